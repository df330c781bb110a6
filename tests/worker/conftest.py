"""Workers in processes of their own, that tests may kill, stop and continue."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import redis

from mlq.core.queue_order import QueueOrder
from mlq.pools.thread import ThreadPool
from mlq.worker.shared import Settings

PROGRAM = Path(__file__).with_name("program.py")
ROOT = Path(__file__).parents[2]

Start = Callable[..., "Process"]


class Process:
    """One worker process and what it tells over Redis lists."""

    def __init__(self, url: str, namespace: str, config: dict[str, Any]) -> None:
        paths = [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
        environment = os.environ | {"PYTHONPATH": os.pathsep.join(paths)}
        command = [sys.executable, str(PROGRAM), url, namespace, json.dumps(config)]
        self._process = subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True)
        self.pid = self._process.pid

    def signal(self, number: int) -> None:
        """Send a signal, if it still runs."""
        self._process.send_signal(number)

    def wait(self, timeout: float = 20) -> int:
        """Its exit code (negative: the signal that killed it)."""
        return self._process.wait(timeout)

    def running(self) -> bool:
        """Whether it has not ended."""
        return self._process.poll() is None

    def errors(self) -> str:
        """All that it wrote to stderr; waits for its end."""
        return self._process.communicate(timeout=20)[1]

    def kill(self) -> None:
        """End it whatever state it is in."""
        self._process.kill()  # also where it was stopped
        self._process.wait()
        if self._process.stderr:
            self._process.stderr.close()


@pytest.fixture
def start(server_url: str, namespace: str) -> Iterator[Start]:
    """Starts worker processes; see `program.py` for what they can be told. Kills them afterwards."""
    made: list[Process] = []

    def begin(url: str = server_url, space: str = namespace, **config: Any) -> Process:
        made.append(Process(url, space, config))
        return made[-1]

    yield begin
    for process in made:
        process.kill()


class Tell:
    """What the listeners in `program.py` say, and what they wait for."""

    def __init__(self, client: redis.Redis, namespace: str) -> None:
        self._client = client
        self._stem = f"{{{namespace}}}:data:"

    def heard(self, name: str, timeout: float = 60) -> str:
        """The next thing said under `name`; fails when nothing comes."""
        item = self._client.blpop([self._stem + name], timeout)
        assert item is not None, f"nobody said {name!r} within {timeout} s"
        return str(item[1].decode())

    def end(self, process: Process) -> None:
        """Let one listener of a worker that waits for it go on."""
        self._client.rpush(f"{self._stem}end {process.pid}", "go")

    def runs(self) -> list[str]:
        """The ids of jobs whose listener began, once per run."""
        return [item.decode() for item in self._client.lrange(self._stem + "runs", 0, -1)]


@pytest.fixture
def tell(server_url: str, namespace: str) -> Iterator[Tell]:
    """Talk with the worker processes of the test's namespace."""
    with redis.Redis.from_url(server_url, socket_timeout=None) as client:
        yield Tell(client, namespace)


@pytest.fixture
def ordered(mlq: Any) -> Iterator[Callable[..., Any]]:
    """Starts workers with an order of queues, on the listeners of `mlq`."""
    made = []

    def start(words: str, slots: int = 1, *, strict: bool = False) -> Any:
        settings = Settings(QueueOrder.parse(words.split(","), strict=strict))
        made.append(mlq.make_worker(ThreadPool(slots), settings=settings))
        made[-1].start()
        return made[-1]

    yield start
    for worker in made:
        worker.stop(0)


@pytest.fixture
def noted(mlq: Any) -> list[Any]:
    """The messages of the jobs that ran, in order; their listener is `note`."""
    order: list[Any] = []

    @mlq.listener
    def note(message: Any) -> None:
        order.append(message)

    return order
