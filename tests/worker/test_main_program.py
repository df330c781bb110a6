"""What a program has while it runs, its listeners have when it is through; and who types keeps Ctrl-C for himself."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mlq import MLQ

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
PROGRAM = """
import inspect, multiprocessing, os, threading, time
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from mlq import MLQ

class Net:
    pass

def square(number):
    return number * number

def file(message):
    return os.path.basename(__file__)

def source(message):
    return inspect.getsource(Net).split()[1]

def spawns(kind):
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context(kind)) as pool:
        return list(pool.map(square, range(3)))

def threads(message):
    found = []
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(found.append, range(3)))
    thread = threading.Thread(target=found.append, args=[3])
    thread.start()
    thread.join()
    return sorted(found)

def registers(path):  # as joblib does when it is imported
    threading._register_atexit(open(path, "w").write, "called")

if __name__ == "__main__":
    mlq = MLQ({namespace!r})
    for function in (file, source, spawns, threads, registers):
        mlq.create_listener(function)
    print("through", flush=True)
    {then}
"""


def environment(server_url: str) -> dict[str, str]:
    """This checkout, and the tests' server."""
    return os.environ | {"MLQ_URL": server_url, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"}


@pytest.fixture
def program(tmp_path: Path, server_url: str, namespace: str, then: str) -> Iterator["subprocess.Popen[str]"]:
    """A worker's program, run by its path."""
    path = tmp_path / "my program.py"
    path.write_text(PROGRAM.format(namespace=namespace, then=then))
    with subprocess.Popen(
        [sys.executable, path.name], cwd=tmp_path, env=environment(server_url), stdout=subprocess.PIPE, text=True
    ) as running:
        yield running
        running.kill()


@pytest.mark.parametrize("then", ["pass", "raise SystemExit(0)", "time.sleep(600)"])
def test_what_listeners_have_after_the_last_line(program: "subprocess.Popen[str]", mlq: MLQ, tmp_path: Path) -> None:
    """The same as before it: the program's file and source, processes of each kind, threads, and hooks for the end."""
    assert program.stdout is not None
    assert program.stdout.readline() == "through\n"

    def ask(function: str, message: Any = None) -> Any:
        return mlq.submit(message, functions=[function]).result(60)

    assert ask("file") == "my program.py"
    assert ask("source") == "Net:"
    assert ask("spawns", "spawn") == ask("spawns", "forkserver") == [0, 1, 4]
    assert ask("threads") == [0, 1, 2, 3]
    ask("registers", str(tmp_path / "hook"))
    program.terminate()
    assert program.wait(20) == 0
    assert (tmp_path / "hook").read_text() == "called"


class Typed:
    """An interactive Python that is typed into."""

    def __init__(self, server_url: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-i", "-q", "-c", "import sys; sys.ps1 = ''"], env=environment(server_url), text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip
        self.errors: list[str] = []
        self._error = threading.Condition()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        for line in self.process.stderr or ():
            with self._error:
                self.errors.append(line)
                self._error.notify_all()

    def type(self, line: str) -> None:
        """One line, which is carried out."""
        assert self.process.stdin is not None
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()

    def hear(self) -> str:
        """The next line that it prints."""
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def interrupt(self, times: int) -> None:
        """Ctrl-C while something runs that takes long; it is ended, for the nth time.

        It sleeps in short pieces: Python forgets to wake a sleep for a signal that comes in the moment before it begins
        (with threads that want the GIL, one in some hundred right after the print).
        """
        self.type("print('begins'); any(time.sleep(0.01) for _ in itertools.count())")
        assert self.hear() == "begins"
        self.process.send_signal(signal.SIGINT)
        with self._error:
            assert self._error.wait_for(lambda: "".join(self.errors).count("KeyboardInterrupt") >= times, 20)

    def leave(self) -> int:
        """As with Ctrl-D; the exit code."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        return self.process.wait(20)


@pytest.fixture
def typed(server_url: str) -> Iterator[Typed]:
    """It is killed where it has not ended."""
    made = Typed(server_url)
    yield made
    made.process.kill()
    made.process.wait()
    for stream in (made.process.stdin, made.process.stdout, made.process.stderr):
        if stream is not None:
            stream.close()


def test_ctrl_c_is_the_interpreters(typed: Typed, mlq: MLQ, namespace: str) -> None:
    """Each ends what runs in the foreground; the worker goes on, also after the third, and its end is the user's."""
    typed.type(f"import itertools, time; from mlq import MLQ; mlq = MLQ({namespace!r}); mlq.create_listener(abs)")
    assert typed.hear() == "True"
    for times in (1, 2, 3):
        typed.interrupt(times)
        assert mlq.submit(-times).result(60) == times
    typed.type("mlq.shutdown()")
    typed.interrupt(4)
    typed.type("mlq.create_listener()")
    assert typed.hear() == "True"
    typed.interrupt(5)
    assert mlq.submit(-5).result(60) == 5
    typed.type("0")  # else Python itself ends as one that SIGINT ended
    assert typed.leave() == 0
    assert mlq.workers() == []
    assert sum("the worker goes on" in line for line in typed.errors) == 1


def test_a_second_ctrl_c_counts_only_while_something_stops(mlq: MLQ, namespace: str) -> None:
    """In a program: the first stops the worker; a later one, when it has stopped, is an ordinary KeyboardInterrupt."""
    program = f"""
import os, signal, time
from mlq import MLQ
mlq = MLQ({namespace!r})
mlq.create_listener(abs)
for _ in range(3):
    try:
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(600)
    except KeyboardInterrupt:
        mlq.shutdown()
        print("interrupted", flush=True)
mlq.create_listener()
print(mlq.submit(-3).result(60), flush=True)
mlq.shutdown()
"""
    done = subprocess.run(
        [sys.executable, "-c", program], env=environment(str(mlq.url)), stdout=subprocess.PIPE, text=True, timeout=60,
        check=True,
    )  # fmt: skip
    assert done.stdout.split() == ["interrupted"] * 3 + ["3"]
