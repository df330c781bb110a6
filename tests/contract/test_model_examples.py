"""The examples of hosted models run as their readers run them, and print what their READMEs show.

In a block marked `no-torch` of a README is what happens where torch is not installed.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from fnmatch import fnmatchcase
from http.client import HTTPConnection
from importlib.util import find_spec
from pathlib import Path

import pytest

import mlq as mlq_package
from mlq.server import scratch
from tests.programs import EXAMPLES, MLQ, ROOT, WORK_LIMIT, environment, free_port, running, until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]

MODELS = {"iris": "iris", "spam": "spam", "llm_stream": "zen", "torch_batch": "spirals",
          "two_environments": "iris"}  # fmt: skip
BLOCK = re.compile(r"^```console(?: (\S+))?\n(.*?)^```$", re.MULTILINE | re.DOTALL)
STEP = re.compile(r"^\$ ((?:.*\\\n)*.*)\n((?:(?!\$ ).*\n)*)", re.MULTILINE)  # a command and what it prints
HAS_TORCH = find_spec("torch") is not None
HAS_OLD = sys.version_info < (3, 13)  # the scikit-learn of `two_environments` runs there
LACKING = {name for name, is_there in (("torch_batch", HAS_TORCH), ("two_environments", HAS_OLD)) if not is_there}
EXAMPLES_HERE = [name for name in MODELS if name not in LACKING]  # torch is a download of gigabytes


@pytest.fixture
def server_url() -> Iterator[str]:
    """A server of its own: the READMEs' ids are those of a new namespace."""
    with scratch(appendfsync=None) as server:
        yield server.url


@pytest.fixture
def folder(tmp_path) -> Path:
    """A clone, as far as the examples need it: what they write stays out of this one."""
    unwanted = shutil.ignore_patterns("__pycache__", "*.joblib", "*.pickle", "environments")
    shutil.copytree(EXAMPLES, tmp_path / "examples", ignore=unwanted)
    return tmp_path


@contextmanager
def hosted(server_url: str, models: Path) -> Iterator[int]:
    """The models of a file, ready to be asked over HTTP, at this port."""
    port, name = free_port(), MODELS[models.parent.name]

    def is_there() -> bool:
        """Whether the service answers, and some worker hosts the model."""
        with closing(HTTPConnection("127.0.0.1", port, timeout=WORK_LIMIT)) as connection, suppress(ConnectionError):
            connection.request("GET", f"/models/{name}")
            answer = connection.getresponse()
            return answer.status == 200 and json.load(answer)["versions"][0]["unserved"] is None
        return False

    with running(server_url, MLQ, "serve-models", str(models), "--port", str(port)) as both:
        until(is_there)
        yield port
    assert both.returncode == 0


def ran(command: str, folder: Path, server_url: str) -> "subprocess.CompletedProcess[str]":
    path = os.pathsep.join([sysconfig.get_path("scripts"), os.environ["PATH"]])
    return subprocess.run(
        ["bash", "-c", command], cwd=folder, env=environment(server_url) | {"PATH": path},
        text=True, capture_output=True, timeout=2 * WORK_LIMIT, check=False,
    )  # fmt: skip


def matches(shown: str, said: str) -> bool:
    """Whether it printed what is shown, where three dots and times of posts stand for anything."""
    shown = re.sub(r"@\d+\.\d+|^Date: .*|\d+(?= calls)|(?<= on )cpu$", "...", shown.strip(), flags=re.MULTILINE)
    pattern = re.sub(r"([\[\]?*])", r"[\1]", shown).replace("...", "*")
    return fnmatchcase(said.strip(), pattern)


def words_of(events: str) -> list[str]:
    """The partial results in a stream of events, whose states depend on who is faster."""
    return re.findall(r'"data": "(.*?)"', events)


def does_as_shown(command: str, shown: str, folder: Path, server_url: str) -> None:
    done = ran(command, folder, server_url)
    if "/result/" in command and not matches(shown, done.stdout):  # not there yet
        done = until(lambda: (again := ran(command, folder, server_url)) and matches(shown, again.stdout) and again)
    assert done.returncode == 0, done.stdout + done.stderr
    if command.endswith("/events"):
        assert words_of(done.stdout) == words_of(shown) != []
    else:
        assert matches(shown, done.stdout), f"$ {command}\nshown:\n{shown}\ngot:\n{done.stdout}"


@pytest.mark.parametrize("example", EXAMPLES_HERE)
def test_readme_shows_what_happens(example, folder, server_url) -> None:
    """All commands of the README but the installation, in order; some before the model is hosted, most of them then."""
    readme = (folder / "examples" / example / "README.md").read_text("utf-8")
    steps = [step for kind, block in BLOCK.findall(readme) if kind != "no-torch" for step in STEP.findall(block)]
    commands = [command for command, _ in steps]
    assert commands[0].startswith("pip install '.[examples]'")
    (served,) = (place for place, command in enumerate(commands) if command.startswith("mlq serve-models "))
    models = folder / commands[served].split()[2]
    for command, shown in steps[1:served]:
        does_as_shown(command, shown, folder, server_url)
    with hosted(server_url, models) as port:
        for command, shown in steps[served + 1 :]:
            does_as_shown(command.replace("localhost:5001", f"127.0.0.1:{port}"), shown, folder, server_url)


def test_the_zoo_has_never_more_than_its_budget(folder) -> None:
    """And all questions are answered; the README shows the end."""
    done = subprocess.run(
        [sys.executable, "examples/zoo/run.py"], cwd=folder, env=os.environ | {"PYTHONPATH": str(ROOT)},
        text=True, capture_output=True, timeout=3 * WORK_LIMIT, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    readme = (folder / "examples" / "zoo" / "README.md").read_text("utf-8")
    shown = readme.partition("3 of 20\n")[2].partition("```")[0]
    assert matches(shown, done.stdout), done.stdout
    assert max(map(int, re.findall(r"(\d+) of 20$", done.stdout, re.MULTILINE))) in range(1, 7)
    held = [int(size) for size in re.findall(r"holds (\d+) MiB", done.stdout)]
    assert len(held) == 2
    assert max(held) <= 600


def test_iris_trains_where_there_is_no_file(folder, server_url) -> None:
    """And predicts the same."""
    with hosted(server_url, folder / "examples" / "iris" / "models.toml"):
        done = ran("python examples/iris/one.py", folder, server_url)
    assert done.stdout.splitlines()[0] in (folder / "examples" / "iris" / "README.md").read_text("utf-8"), done.stderr


def test_words_come_before_the_text_is_complete(folder, server_url) -> None:
    """Both in Python and over HTTP."""
    with (
        hosted(server_url, folder / "examples" / "llm_stream" / "models.toml") as port,
        mlq_package.MLQ(url=server_url) as mlq,
    ):
        job = mlq.model("zen").submit({"prompt": "Now is", "words": 60})
        words = iter(job.stream())
        first = next(words)
        assert not job.ready()
        events = ran(f"curl -N 127.0.0.1:{port}/jobs/{job.id}/events", folder, server_url).stdout
        streamed = [first, *words]
        assert job.result(timeout=0) == {"text": " ".join(["Now is", *streamed])}
    assert words_of(events) == streamed
    assert len(streamed) == 60
    assert '"state": "running"' in events[: events.index("event: chunk") + 100]


@pytest.mark.skipif(HAS_TORCH, reason="torch is installed")
def test_without_torch_the_worker_says_so(folder, server_url) -> None:
    """In the words of the README, once models.toml was read."""
    readme = (folder / "examples" / "torch_batch" / "README.md").read_text("utf-8")
    (block,) = (block for kind, block in BLOCK.findall(readme) if kind == "no-torch")
    ((command, shown),) = STEP.findall(block)
    done = ran(command, folder, server_url)
    assert done.returncode == 2
    assert matches(shown, done.stderr), done.stderr
