"""How processes are started: what lies in the folder, and whether stdout and stderr are there, makes no difference."""

import contextlib
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from urllib.request import Request, urlopen

import pytest

from mlq.system import launch
from tests.programs import MLQ, ROOT, free_port, until

pytestmark = pytest.mark.slow

POOLS = ("process", "thread", "asyncio", "gevent", "solo")
CLOSED = ('exec "$@" >&- 2>&-', 'exec "$@" <&- >&- 2>&-')
SHADOWS = ("queue", "types", "redis", "click", "inspect", "random", "logging", "msgpack", "numpy", "flask", "gevent",
           "mlq", "signal", "_signal", "multiprocessing", "cloudpickle", "site_packages", "resource")  # fmt: skip
LISTENERS = """
import os
from mlq import MLQ
import neighbour

mlq = MLQ(os.environ["MLQ_TEST_NAMESPACE"])

@mlq.listener
def descriptors(text):
    for number in (1, 2):
        os.write(number, text.encode())
    return [os.readlink(f"/proc/self/fd/{number}") for number in (0, 1, 2)]

@mlq.listener
def echo(value):
    return value
"""
POSTER = """
import os, sys
from mlq import MLQ

mlq = MLQ(os.environ["MLQ_TEST_NAMESPACE"])
first = mlq.post(1)
for number in (1, 2):
    os.write(number, b"*1\\r\\n$8\\r\\nFLUSHALL\\r\\n")
assert mlq.get_job(first)["msg"] == 1
mlq.post([os.readlink(f"/proc/self/fd/{number}") for number in (0, 1, 2)])
"""


@pytest.fixture
def environment(server_url, namespace):
    return os.environ | {"MLQ_URL": server_url, "MLQ_TEST_NAMESPACE": namespace, "PYTHONPATH": str(ROOT)}


@pytest.fixture
def folder(tmp_path):
    """Full of modules that are named like others, and leave word when they are run; the listeners lie below."""
    for name in SHADOWS:
        (tmp_path / f"{name}.py").write_text("open('was-run', 'a').write(__file__)\nraise SystemExit('not for you')\n")
    (tmp_path / "app").mkdir()
    (tmp_path / "app" / "neighbour.py").touch()
    (tmp_path / "app" / "listeners.py").write_text(LISTENERS)
    return tmp_path


@contextlib.contextmanager
def started(command, **options):
    """A process that is stopped in order, which it shows by its exit code."""
    with subprocess.Popen(command, **options) as process:
        try:
            yield process
        finally:
            process.terminate()
            code = process.wait(30)
    assert code == 0


@pytest.mark.parametrize("pool", POOLS)
def test_a_worker_in_a_folder_that_shadows_modules(pool, folder, environment, mlq):
    with started([MLQ, "worker", "app/listeners.py", "--pool", pool], cwd=folder, env=environment):
        assert mlq.submit(7, functions=["echo"]).result(60) == 7
    assert not (folder / "was-run").exists()


def test_a_watched_one(folder, environment, mlq):
    with started([MLQ, "worker", "app/listeners.py", "--watch"], cwd=folder, env=environment):
        assert mlq.submit(7, functions=["echo"]).result(60) == 7
    assert not (folder / "was-run").exists()


def test_a_service_in_a_folder_that_shadows_modules(folder, environment, mlq):
    command = [MLQ, "serve", "--port", "0", "--namespace", mlq.namespace]
    with started(command, cwd=folder, env=environment, stderr=subprocess.PIPE, text=True) as process:
        url = next(found[0] for line in process.stderr if (found := re.findall(r"http://[\d.:]+", line)))
        body = Request(f"{url}/jobs", b'{"msg": 5}', {"Content-Type": "application/json"})  # noqa: S310 - http
        with urlopen(body, timeout=20) as answer:  # noqa: S310 - http
            assert mlq.get_job(answer.read().decode())["msg"] == 5
    assert not (folder / "was-run").exists()


def test_the_library_is_the_starters_own(tmp_path):
    """Also where it is not installed, or another version of it is; and before other packages."""
    package = tmp_path / "mlq"
    (package / "system").mkdir(parents=True)
    (package / "__init__.py").touch()
    shutil.copy(launch.__file__, package / "system")
    (package / "toy.py").write_text("import sys, mlq\ndef main(): print(mlq.__path__, sys.argv[1:], sys.path[0])\n")
    copied = [
        package / "system" / "launch.py" if word == launch.__file__ else word for word in launch.command("mlq.toy")
    ]
    done = subprocess.run([*copied, "a", "b"], capture_output=True, text=True, check=True, cwd=tmp_path,
                          env={"PATH": os.environ["PATH"]})  # fmt: skip
    assert done.stdout.startswith(f"['{package}'] ['a', 'b'] ")
    assert f" {tmp_path}" not in done.stdout.rpartition("] ")[2]


@pytest.mark.parametrize("closed", CLOSED)
@pytest.mark.parametrize("pool", POOLS)
def test_a_worker_without_stdout_and_stderr(pool, closed, folder, environment, mlq):
    """C code that writes there writes to nobody: not to the server, and not to the wire of a child."""
    command = ["sh", "-c", closed, "sh", MLQ, "worker", "app/listeners.py", "--pool", pool]
    with started(command, cwd=folder, env=environment, stdin=subprocess.DEVNULL):
        for _ in range(2):
            said = mlq.submit("*1\r\n$8\r\nFLUSHALL\r\n", functions=["descriptors"]).result(60)
            assert said == ["/dev/null"] * 3
        assert [mlq.submit(value, functions=["echo"]).result(60) for value in range(3)] == [0, 1, 2]


def test_a_program_that_posts_without_stdout_and_stderr(environment, mlq):
    subprocess.run(["sh", "-c", CLOSED[1], "sh", sys.executable, "-c", POSTER], env=environment, check=True)
    assert mlq.get_job("2")["msg"] == ["/dev/null"] * 3


@pytest.mark.parametrize("command", [[MLQ, "serve", "--port"],
                                     [sys.executable, str(ROOT / "controller" / "app.py"), "consumer", "--server",
                                      "--server_port"]], ids=["mlq serve", "controller"])  # fmt: skip
def test_a_service_without_stdout_and_stderr(command, environment, mlq, tmp_path):
    port = str(free_port())
    closed = ["sh", "-c", CLOSED[1], "sh", *command, port, "--namespace", mlq.namespace]
    with started(closed, cwd=tmp_path, env=environment) as process:
        until(lambda: answers(f"http://127.0.0.1:{port}/healthz"))
        family = [process.pid, *children(process.pid)]
        assert [descriptors(pid) for pid in family] == [["/dev/null"] * 3] * len(family)


def answers(url):
    """Whether a service is there."""
    try:
        with urlopen(url, timeout=20) as answer:  # noqa: S310 - http
            return answer.status == 200
    except OSError:
        return False


def children(pid):
    """The processes that one has started."""
    tasks = Path(f"/proc/{pid}/task").iterdir()
    return [int(child) for task in tasks for child in (task / "children").read_text().split()]


def descriptors(pid):
    """What the first three of a process stand for."""
    return [str(Path(f"/proc/{pid}/fd/{number}").readlink()) for number in (0, 1, 2)]
