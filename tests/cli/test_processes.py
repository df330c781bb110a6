"""The command lines as processes: signals, pipes, imports, and the exit codes that a shell sees."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from urllib.request import Request, urlopen

import pytest

from mlq import MLQ

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
COMMAND = (sys.executable, "-m", "mlq.cli")
CONTROLLERS = ((sys.executable, str(ROOT / "controller" / "app.py")), (sys.executable, "-m", "controller.app"))
CONTROLLER = CONTROLLERS[0]
CTRL_C = {0, 130, -2}  # 130 or the signal itself where it comes while the command still starts the worker
LISTENERS = """
from mlq import MLQ

mlq = MLQ({namespace!r})
idle = MLQ("without-listeners")

@mlq.listener
def double(value):
    return value * 2
"""


@pytest.fixture
def environment(server_url):
    return os.environ | {"MLQ_URL": server_url, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"}


@pytest.fixture
def run(environment, tmp_path):
    """Runs a program to its end, in an empty folder."""

    def call(*words: str, code: int = 0, **extra: str) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            words, env=environment | extra, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False
        )
        assert done.returncode == code, done.stderr
        assert "Traceback" not in done.stderr
        return done

    return call


@pytest.fixture
def start(environment, tmp_path):
    """Starts a program, and returns when a line of its stderr holds `sign`; it and that line."""
    started = []

    def call(*words: str, sign: str) -> tuple[subprocess.Popen[str], str]:
        process = subprocess.Popen(words, env=environment, cwd=tmp_path, stderr=subprocess.PIPE, text=True)
        started.append(process)
        line = next((line for line in process.stderr if sign in line), None)
        assert line is not None, f"ended with {process.wait()}"
        return process, line

    yield call
    for process in started:
        process.kill()
        process.communicate()


def ends(process: subprocess.Popen[str], number: signal.Signals = signal.SIGTERM) -> int:
    process.send_signal(number)
    process.communicate(timeout=30)
    return process.returncode


@pytest.mark.parametrize("form", ["listeners", "listeners:mlq", "listeners.py", "{folder}/listeners.py:mlq"])
def test_a_worker_runs_the_listeners_of_a_module(start, mlq, tmp_path, form):
    (tmp_path / "listeners.py").write_text(LISTENERS.format(namespace=mlq.namespace))
    process, line = start(*COMMAND, "worker", form.format(folder=tmp_path), sign="listeners ")
    assert line.rstrip().endswith("listeners double")
    assert mlq.submit(4).result(60) == 8
    assert ends(process) == 0


@pytest.mark.parametrize("pool", ["process", "thread"])
def test_schedules_of_a_module(start, mlq, tmp_path, pool):
    """The worker's process knows those that its children have loaded; of other listeners, they are not declared."""
    schedule = "@mlq.schedule(every=1, msg=4, overlap='queue')\n@mlq.listener\ndef double("
    text = LISTENERS.format(namespace=mlq.namespace).replace("@mlq.listener\ndef double(", schedule)
    (tmp_path / "listeners.py").write_text(text + "\n@mlq.schedule(every=1)\n@mlq.listener\ndef other(_): ...\n")
    process, _ = start(*COMMAND, "worker", "listeners", "--pool", pool, "--functions", "double", sign="listeners ")
    give_up = time.monotonic() + 30
    while not (jobs := list(mlq.jobs())):
        assert time.monotonic() < give_up
        time.sleep(0.05)
    assert mlq.job(jobs[-1].id).result(60) == 8
    assert [one.name for one in mlq.schedules.all()] == ["double"]
    assert ends(process) == 0


def test_the_environment_sets_a_workers_options(start, environment, mlq, tmp_path):
    (tmp_path / "listeners.py").write_text(LISTENERS.format(namespace=mlq.namespace))
    environment["MLQ_WORKER_CONCURRENCY"] = "3"
    process, _ = start(*COMMAND, "worker", "listeners", sign=" process pool")
    give_up = time.monotonic() + 20
    while [one["slots"] for one in mlq.workers()] != ["3"]:  # it says so with its next sign of life
        assert time.monotonic() < give_up, mlq.workers()
        time.sleep(0.05)
    assert ends(process, signal.SIGINT) in CTRL_C


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (("nowhere",), "No module named 'nowhere'"),
        (("nowhere.py",), "no file nowhere.py"),
        (("broken.py",), "ZeroDivisionError"),
        (("broken",), "broken.py, line 1"),
        (("typo.py",), "{folder}/typo.py, line 2"),
        (("typo",), "{folder}/typo.py, line 2"),
        (("helped.py",), "{folder}/typo.py, line 2"),
        (("indented.py",), "{folder}/indented.py, line 3"),
        (("negative.py",), "{folder}/negative.py, line 4"),
        (("negative.py", "--pool", "thread"), "{folder}/negative.py, line 4"),
        (("refused.py",), "f() can't be called as a listener: "),
        (("leaves.py",), "SystemExit"),
        (("empty.py",), "has no queue"),
        (("listeners:idle",), "no listeners"),
        (("listeners:double",), "is not an MLQ object"),
        (("listeners.py:nothing",), "there is no 'nothing' in listeners.py"),
        (("listeners:mlq.nothing.there",), "there is no 'mlq.nothing.there' in listeners"),
        (("listeners", "--namespace", "other"), "not 'other'"),
        (("listeners", "--concurrency", "0"), "--concurrency"),
        (("sub/json.py",), "rename the file"),
    ],
)
def test_a_worker_that_finds_nothing_to_run_is_exit_code_2(run, tmp_path, words, reason):
    files = {
        "listeners": LISTENERS.format(namespace="n"),
        "broken": "def f(): return 1 / 0\nf()",
        "typo": "\ndef",
        "helped": "import typo",
        "indented": "\n\n  x = 1",
        "negative": "from mlq import MLQ\nmlq = MLQ('n')\n\n@mlq.listener(timeout=-1)\ndef f(msg):\n    pass",
        "refused": "from mlq import MLQ\nmlq = MLQ('n')\n@mlq.listener\ndef f():\n    pass",
        "leaves": "raise SystemExit(7)",
        "empty": "",
        "json": "",
    }
    name = words[0].partition(":")[0].removesuffix(".py")
    (tmp_path / "sub").mkdir()
    for needed in {name, "typo"} if name == "helped" else {name}:
        if needed.removeprefix("sub/") in files:
            (tmp_path / f"{needed}.py").write_text(files[needed.removeprefix("sub/")])
    *before, told = run(*COMMAND, "worker", *words, code=2).stderr.splitlines()
    assert all(" INFO mlq.cli: starting a child from " in line for line in before)
    assert told.startswith("mlq: ")
    assert reason.format(folder=tmp_path) in told


def test_the_log_level_debug_shows_where_an_import_failed(environment, tmp_path):
    (tmp_path / "broken.py").write_text("1 / 0")
    words = (*COMMAND, "worker", "broken", "--log-level", "debug")
    done = subprocess.run(words, env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2
    assert "Traceback (most recent call last)" in done.stderr


@pytest.mark.parametrize(
    "words",
    [(*COMMAND, "worker", "listeners", "--url", "redis://127.0.0.1:1"),
     (*CONTROLLER, "consumer", "--redis_host", "127.0.0.1", "--redis_port", "1")],
)  # fmt: skip
def test_a_worker_without_a_server_keeps_trying(start, tmp_path, words):
    (tmp_path / "listeners.py").write_text(LISTENERS.format(namespace="n"))
    process, line = start(*words, sign="can't")
    assert "can't reach the server at redis://127.0.0.1:1" in line
    assert ends(process) == 0


def test_a_reader_that_goes_away_is_no_trouble(environment, mlq):
    mlq.post_many(range(2000))
    words = (*COMMAND, "jobs", "--limit", "2000", "--namespace", mlq.namespace)
    process = subprocess.Popen(words, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    process.stdout.readline()
    process.stdout.close()
    assert process.stderr.read() == ""
    process.stderr.close()
    process.wait(30)


@pytest.mark.parametrize("controller", CONTROLLERS)
def test_the_controller_posts_json_as_what_it_says(run, mlq, controller):
    posted = run(*controller, "post", '{"arg1":6,"arg2":3}', "--namespace", mlq.namespace).stdout
    assert mlq.get_job(posted.strip())["msg"] == {"arg1": 6, "arg2": 3}


def test_clear_all_leaves_other_namespaces_alone(run, mlq, server_url, namespace):
    neighbour = MLQ(f"{namespace}_b", url=server_url)
    with contextlib.closing(neighbour):
        kept, _ = neighbour.post(1), mlq.post(2)
        run(*CONTROLLER, "--namespace", namespace, "clear_all")
        assert mlq.job_count() == 0
        assert neighbour.get_job(kept)["msg"] == 1
        neighbour.clear()
        neighbour._redis.delete(f"{{{namespace}_b}}:counter")


@pytest.mark.parametrize(
    ("words", "code"),
    [
        ((), 2),
        (("nonsense",), 2),
        (("post",), 2),
        (("post", "--functions", "f", "message"), 2),
        (("consumer", "--redis_port", "many"), 2),
        (("consumer", "--namespace", "{x}"), 2),
        (("consumer", "--reaper", "--reaper_interval", "-1"), 2),
        (("post", "x", "--callback", "nowhere"), 2),
        (("consumer", "--server", "--server_port", "99999"), 2),
        (("clear_all", "--redis_host", "127.0.0.1", "--redis_port", "1"), 3),
        (("post", "x", "--redis_port", "1", "--redis_host", "127.0.0.1"), 3),
    ],
)
def test_the_controllers_mistakes_are_told_in_one_line(run, words, code):
    told = [line for line in run(*CONTROLLER, *words, code=code).stderr.splitlines() if " INFO " not in line]
    assert len(told) == 1
    assert told[0].startswith("mlq: ")


def test_a_consumer_serves_http_and_ends_on_sigterm(start, mlq, namespace):
    words = ("test_consumer", "--server", "--server_port", "0", "--namespace", namespace)
    process, line = start(*CONTROLLER, *words, sign="serving at ")
    base = line.split()[-1]
    assert read(base, "/healthz") == b"ok"
    job_id = read(base, "/jobs", b'{"msg": "hello", "functions": ["simple_consumer_func"]}').decode()
    assert mlq.wait(job_id, 20) == "hello was processed"
    assert read(base, f"/jobs/{job_id}/result.txt") == b"hello was processed"
    assert read(base, "/jobs/count") == b"0"
    assert ends(process) == 0


def read(base: str, path: str, body: bytes | None = None) -> bytes:
    with urlopen(Request(base + path, body, {"Content-Type": "application/json"}), timeout=20) as answer:  # noqa: S310
        return answer.read()


@pytest.mark.parametrize(
    ("words", "sign"),
    [(("consumer",), "started, with the thread pool"), (("--server", "--server_port", "0"), "serving at")],
)
def test_what_goes_on_ends_on_ctrl_c(start, namespace, words, sign):
    process, _ = start(*CONTROLLER, *words, "--namespace", namespace, sign=sign)
    assert ends(process, signal.SIGINT) in CTRL_C


def test_the_producer_posts(start, mlq, namespace):
    process, line = start(*CONTROLLER, "test_producer", "--namespace", namespace, sign="posted job ")
    assert mlq.get_job(line.split()[-1])["msg"] == "a random message"
    assert ends(process) == 0


def test_an_order_of_queues(start, mlq, tmp_path, namespace):
    """On the command line and in the environment; it is listed with the workers."""
    (tmp_path / "listeners.py").write_text(LISTENERS.format(namespace=namespace))
    form = (*COMMAND, "worker", "listeners.py", "--pool", "thread")
    workers = [
        start(*form, "--queues", "gpu:3,cpu:1", sign="started")[0],
        start(*form, "--queues", "gpu,cpu", "--strict-order", sign="started")[0],
    ]
    give_up = time.monotonic() + 20
    while len(mlq.workers()) < 2 and time.monotonic() < give_up:
        time.sleep(0.05)
    assert sorted(one["order"] for one in mlq.workers()) == ["gpu before cpu", "gpu:3, cpu:1"]
    for queue in ("cpu", "gpu"):
        assert mlq.submit(4, functions=["double"], queue=queue).result(30) == 8
    assert [ends(one) for one in workers] == [0, 0]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--queues", "gpu:0,cpu"), "the weight of queue 'gpu' must be"),
        (("--queues", "gpu:3,cpu", "--strict-order"), "not both"),
        (("--strict-order",), "needs the queues"),
    ],
)
def test_wrong_orders_of_queues(run, tmp_path, namespace, words, told):
    (tmp_path / "listeners.py").write_text(LISTENERS.format(namespace=namespace))
    assert told in run(*COMMAND, "worker", "listeners.py", *words, code=2).stderr
