"""Programs of the examples, run as their readers run them: as processes of their own, on the tests' server."""

import os
import socket
import subprocess
import sys
import sysconfig
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import mlq as mlq_package

ROOT = Path(__file__).parents[1]
EXAMPLES = ROOT / "examples"
MLQ = str(Path(sysconfig.get_path("scripts"), "mlq"))
START_LIMIT = 30.0  # seconds
WORK_LIMIT = 60.0


def environment(server_url: str) -> dict[str, str]:
    """What an example finds: the server's address, and this checkout of the library."""
    return os.environ | {"MLQ_URL": server_url, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"}


@contextmanager
def running(server_url: str, *arguments: str) -> Iterator["subprocess.Popen[str]"]:
    """A Python program that goes on until it is told to stop, which it does in good order."""
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


def free_port() -> int:
    """A port of this machine that nobody uses."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


@contextmanager
def cleared(namespace: str, server_url: str) -> Iterator[mlq_package.MLQ]:
    """A client of an example's namespace, which is empty before and afterwards."""
    queue = mlq_package.MLQ(namespace, url=server_url)
    queue.clear()
    yield queue
    queue.clear()
    queue.close()
