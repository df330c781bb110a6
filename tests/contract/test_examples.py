"""The examples run as their readers run them: as processes of their own, from end to end."""

import json
import os
import re
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import urllib3

import mlq as mlq_package

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples"
START_LIMIT = 30.0  # seconds
WORK_LIMIT = 60.0

pytestmark = pytest.mark.timeout(180)


def environment(server_url: str) -> dict[str, str]:
    """What an example finds: the server's address, and this checkout of the library."""
    return os.environ | {"MLQ_URL": server_url, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"}


@contextmanager
def running(server_url: str, *arguments: str) -> Iterator["subprocess.Popen[str]"]:
    """A program of the examples that goes on until it is told to stop, which it does in good order."""
    said: list[str] = []
    with subprocess.Popen(
        [sys.executable, *arguments], env=environment(server_url), cwd=ROOT, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    ) as process:  # fmt: skip
        reader = threading.Thread(target=lambda: said.extend(process.stdout or ()), daemon=True)
        reader.start()
        try:
            yield process
        finally:
            process.terminate()
            process.wait(START_LIMIT)
            reader.join(START_LIMIT)
            print("".join(said))  # pytest shows it when the test fails


def until(true: Callable[[], Any], limit: float = WORK_LIMIT) -> Any:
    """The first true answer; an AssertionError if there is none in time."""
    give_up = time.monotonic() + limit
    while not (answer := true()):
        assert time.monotonic() < give_up, "it did not happen in time"
        time.sleep(0.05)
    return answer


@contextmanager
def cleared(namespace: str, server_url: str) -> Iterator[mlq_package.MLQ]:
    """A client of an example's namespace, which is empty before and afterwards."""
    queue = mlq_package.MLQ(namespace, url=server_url)
    queue.clear()
    yield queue
    queue.clear()
    queue.close()


# --- quickstart


def test_quickstart_posts_and_works(server_url: str) -> None:
    """The two programs of the quick start, and what its README says that they print."""
    quickstart = EXAMPLES / "quickstart"
    with cleared("example_app", server_url), running(server_url, str(quickstart / "worker.py")) as worker:
        posted = subprocess.run(
            [sys.executable, str(quickstart / "post.py")],
            env=environment(server_url), text=True, capture_output=True, timeout=WORK_LIMIT, check=False,
        )  # fmt: skip
        assert posted.returncode == 0, posted.stderr
        first, last = posted.stdout.splitlines()
        assert re.fullmatch(r"Posted job \d+", first)
        assert last == "The result is 2468"
        assert last in (quickstart / "README.md").read_text()
        assert worker.poll() is None, "the worker goes on after its main program has ended"
    assert worker.returncode == 0


# --- full workflow


class Backend:
    """The backend as the page sees it."""

    def __init__(self, address: str, http: urllib3.PoolManager) -> None:
        """Asks nothing yet."""
        self._address = address
        self._http = http

    def ask(self, path: str, body: str | None = None) -> tuple[int, Any]:
        """The status and the decoded answer; `body` makes it a POST."""
        headers = {"Content-Type": "application/json"}
        method = "GET" if body is None else "POST"
        answer = self._http.request(method, self._address + path, body=body, headers=headers, retries=False)
        return answer.status, json.loads(answer.data or "null")

    def page(self) -> str:
        """The page itself."""
        return self._http.request("GET", self._address + "/", retries=False).data.decode()

    def is_up(self) -> bool:
        """Whether it answers yet."""
        try:
            return bool(self.page())
        except urllib3.exceptions.HTTPError:
            return False


@pytest.fixture(scope="module")
def backend(server_url: str) -> Iterator[Backend]:
    """The backend and one worker, running."""
    folder = EXAMPLES / "full_workflow"
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    with (
        cleared("full_workflow", server_url),
        running(server_url, str(folder / "backend.py"), "--port", str(port)) as process,
        running(server_url, str(folder / "worker.py")),
        urllib3.PoolManager(timeout=10) as http,
    ):
        made = Backend(f"http://127.0.0.1:{port}", http)
        until(lambda: made.is_up() or process.poll() is not None, START_LIMIT)
        yield made


def test_full_workflow_from_number_to_callback(backend: Backend) -> None:
    """A number becomes a job that is seen at work, then its result is there, then its callback."""
    status, body = backend.ask("/do_inference", '{"number": -12}')
    assert status == 202
    job_id = body["id"]
    seen: list[dict[str, Any]] = []

    def called() -> bool:
        seen.append(backend.ask(f"/status/{job_id}")[1])
        return seen[-1]["callback"] is not None

    until(called)
    assert any(look["state"] == "running" and 0 < look["progress"] < 100 for look in seen)
    assert seen[-1]["state"] == "succeeded"
    assert seen[-1]["progress"] == 100
    assert seen[-1]["callback"]["success"] is True
    assert seen[-1]["callback"]["short_result"] == "144"
    assert backend.ask(f"/result/{job_id}") == (200, {"result": 144})


def test_full_workflow_answers_202_before_the_result(backend: Backend) -> None:
    """Whoever asks too early is told to come back."""
    _, body = backend.ask("/do_inference", '{"number": 0.5}')
    assert backend.ask(f"/result/{body['id']}") == (202, {"result": None})
    result = until(lambda: backend.ask(f"/result/{body['id']}")[1]["result"])
    assert result == 0.25


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ('{"number": "seven"}', "not a number: 'seven'"),
        ('{"number": ""}', "not a number"),
        ('{"number": null}', "not a number"),
        ('{"number": true}', "not a number"),
        ('{"number": [1]}', "not a number"),
        ('{"number": NaN}', "choose a number from"),
        ('{"number": 1e400}', "choose a number from"),
        ('{"number": 1' + 400 * "0" + "}", "choose a number from"),
        ('{"number": -1000001}', "choose a number from"),
        ('{"n": 1}', 'like {"number": 12}'),
        ("[12]", 'like {"number": 12}'),
        ("12 apples", 'like {"number": 12}'),
        ("", 'like {"number": 12}'),
    ],
)
def test_full_workflow_refuses_bad_input(backend: Backend, body: str, said: str) -> None:
    """Bad input is answered 400 with a sentence that the page can show."""
    status, answer = backend.ask("/do_inference", body)
    assert status == 400
    assert said in answer["error"]


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/status/999999", 404),
        ("/result/999999", 404),
        ("/callback?job_id=999999&success=1", 404),
        ("/status/abc", 400),
        ("/callback", 400),
        ("/nowhere", 404),
        ("/do_inference", 405),
    ],
)
def test_full_workflow_says_what_it_does_not_know(backend: Backend, path: str, expected: int) -> None:
    """Unknown jobs and addresses get their status, and a reason."""
    status, answer = backend.ask(path)
    assert status == expected
    assert answer["error"]


def test_full_workflow_page_needs_nothing_from_elsewhere(backend: Backend) -> None:
    """The page comes whole: it loads no script, style, font or picture from another place."""
    page = backend.page()
    assert "<title>" in page
    assert not re.findall(r"""(?:src|href)=["'](?!data:)|https?://|@import|url\(""", page)


# --- digits


def test_digits_loses_nothing_when_a_worker_is_killed() -> None:
    """The demonstration in small, with its own server: its exit status, what it says, and that it tidies up."""
    shown = subprocess.run(
        [sys.executable, "-m", "examples.digits", "--images", "60"],
        env=environment("redis://127.0.0.1:1"), cwd=ROOT, text=True, encoding="utf-8", errors="replace",
        capture_output=True, timeout=120, check=False,
    )  # fmt: skip
    assert shown.returncode == 0, shown.stdout + shown.stderr
    said = re.sub(r" +", " ", shown.stdout)
    killed = re.search(r"worker 2 is killed \(SIGKILL\) while it runs job ([\d, ]+)", said)
    assert killed
    assert re.search(r"100 % 60 of 60 images", said)
    accuracy = re.search(r"Accuracy (\d+\.\d)% \(\d+ of 60 images read correctly\)", said)
    assert accuracy
    assert float(accuracy[1]) > 90
    assert re.search(r"Speed \d+ jobs per second \(60 in \d+\.\d s\)", said)
    for job_id in killed[1].split(", "):
        assert re.search(rf"Run again \d+ \(.*job {job_id}, done \d+\.\d s after the kill", said)
    assert re.search(r"Callbacks 60 of 60 received", said)
    assert re.search(r"Lost 0 \(each of the 60 jobs has exactly one outcome\)", said)
    assert "Problems" not in said
    assert shown.stderr == ""
