"""Workers of the real command line, one pool each, and a side channel to their listeners."""

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
import redis

from mlq import MLQ

ROOT = Path(__file__).parents[2]
LISTENERS = Path(__file__).with_name("listeners.py")
POOLS = ("process", "thread", "asyncio", "gevent", "solo")
COMMAND = (sys.executable, "-m", "mlq.cli")

StartWorker = Callable[..., "Worker"]


class Worker:
    """A worker process, and what it logs."""

    def __init__(self, url: str, namespace: str, words: tuple[str, ...], side: str, folder: Path | None) -> None:
        environment = os.environ | {
            "MLQ_URL": url, "MLQ_TEST_NAMESPACE": namespace, "MLQ_TEST_SIDE": side, "PYTHONPATH": str(ROOT),
        }  # fmt: skip
        self._process = subprocess.Popen(
            [*COMMAND, "worker", *words], env=environment, cwd=folder, stderr=subprocess.PIPE,
            stdout=subprocess.DEVNULL, text=True,
        )  # fmt: skip
        self.pid = self._process.pid
        self.lines: list[str] = []
        self._heard = threading.Condition()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        for line in self._process.stderr:
            with self._heard:
                self.lines.append(line)
                self._heard.notify_all()

    def logs(self, words: str, timeout: float = 20, times: int = 1) -> str:
        """The line of its log that holds `words`, for the nth time; waits for it."""
        with self._heard:
            found = self._heard.wait_for(lambda: [line for line in self.lines if words in line][times - 1 :], timeout)
        assert found, f"{words!r} was not logged: {''.join(self.lines)}"
        return found[0]

    def signal(self, number: int) -> None:
        self._process.send_signal(number)

    def wait(self, timeout: float = 20) -> int:
        code = self._process.wait(timeout)
        self._reader.join(5)
        return code

    def running(self) -> bool:
        return self._process.poll() is None

    def children(self) -> list[int]:
        """The Python processes that it started."""
        return children_of(self.pid)

    def end(self) -> None:
        """Kill it, and what it started. Those of theirs that hold its stderr are nobody's concern."""
        started = self.children() if self.running() else []
        self._process.kill()
        self._process.wait()
        for pid in started:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self._reader.join(5)
        if not self._reader.is_alive():  # else it holds the lock that closing waits for
            self._process.stderr.close()


class Tell:
    """What listeners say, and what they wait for."""

    def __init__(self, client: redis.Redis, namespace: str) -> None:
        self._client = client
        self._stem = f"{{{namespace}}}:data:"

    def heard(self, name: str, timeout: float = 60) -> str:
        """The next thing said under `name`; fails when nothing comes."""
        item = self._client.blpop([self._stem + name], timeout)
        assert item is not None, f"nobody said {name!r} within {timeout} s"
        return str(item[1].decode())

    def say(self, name: str) -> None:
        """Let a listener that waits for `name` go on."""
        self._client.rpush(self._stem + name, "go")

    def count(self, name: str) -> int:
        """How often `name` was said and not heard."""
        return self._client.llen(self._stem + name)

    def number(self, name: str) -> int:
        """A counter."""
        return int(self._client.get(self._stem + name) or 0)


def children_of(pid: int) -> list[int]:
    """The Python processes that one started: no shell that ends what listeners leave behind, no nvidia-smi.

    A process that has not begun its program yet still shows its parent's command line.
    """
    own = command_line(pid)
    found = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # a thread that has just ended
            found += [int(child) for child in (task / "children").read_text().split()]
    return [child for child in found if (line := command_line(child)) != own and b"mlq.cli" in line]


def command_line(pid: int) -> bytes:
    """What a process was started with; nothing where it has ended."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return b""


def until(holds: Callable[[], bool], seconds: float = 10) -> float:
    """For what nobody can be told of, such as the end of somebody else's child: how long it took."""
    begun = time.monotonic()
    while not holds():
        assert time.monotonic() - begun < seconds, "that did not come about"
        time.sleep(0.02)
    return time.monotonic() - begun


def is_alive(pid: int) -> bool:
    """Whether a process is there, and no mere zombie that nobody has collected."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


@pytest.fixture
def lives() -> Callable[[int], bool]:
    return is_alive


@pytest.fixture
def eventually() -> Callable[..., float]:
    return until


@pytest.fixture
def begin(server_url: str, namespace: str, tmp_path: Path) -> Iterator[StartWorker]:
    """Starts workers of the test's own namespace, and kills them afterwards."""
    made: list[Worker] = []

    def start(
        pool: str | None, *words: str, target: str = str(LISTENERS), url: str = server_url, space: str = namespace
    ) -> Worker:
        pooled = () if pool is None else ("--pool", pool)
        made.append(Worker(url, space, (target, *pooled, *words), server_url, tmp_path))
        return made[-1]

    yield start
    for worker in made:
        worker.end()


@pytest.fixture
def tell(server_url: str, namespace: str) -> Iterator[Tell]:
    """The side channel of the test's own namespace."""
    with redis.Redis.from_url(server_url, socket_timeout=None) as client:
        yield Tell(client, namespace)


class Shared:
    """A worker with one slot that many tests use, its queue, and the side channel to its listeners."""

    def __init__(self, pool: str, mlq: MLQ, tell: Tell, worker: Worker) -> None:
        self.pool, self.mlq, self.tell, self.worker = pool, mlq, tell, worker


@pytest.fixture(scope="session")
def workers(server_url: str, raw: redis.Redis) -> Iterator[Callable[[str], Shared]]:
    """One worker per pool, started when the first test wants it."""
    with ExitStack() as stack:
        made: dict[str, Shared] = {}

        def give(pool: str) -> Shared:
            if pool not in made:
                namespace = f"test-{pool}-{uuid.uuid4().hex}"
                mlq = stack.enter_context(MLQ(namespace, url=server_url))
                side = stack.enter_context(redis.Redis.from_url(server_url, socket_timeout=None))
                stack.callback(raw.delete, f"{{{namespace}}}:counter")
                stack.callback(mlq.clear)
                words = (str(LISTENERS), "--pool", pool, "--concurrency", "1")
                worker = Worker(server_url, namespace, words, server_url, None)
                stack.callback(worker.end)
                made[pool] = Shared(pool, mlq, Tell(side, namespace), worker)
            return made[pool]

        yield give


@pytest.fixture(params=POOLS)
def shared(request: pytest.FixtureRequest, workers: Callable[[str], Shared]) -> Iterator[Shared]:
    """The shared worker of each pool in turn; a test must leave nothing running or waiting."""
    given = workers(request.param)
    yield given
    until(lambda: given.mlq.job_count() == 0, 20)
    assert given.worker.running(), given.worker.lines
    for letter in given.mlq.dead_letters():
        given.mlq.discard(letter.id)


@pytest.fixture(params=POOLS)
def pool(request: pytest.FixtureRequest) -> str:
    """Each pool in turn."""
    return str(request.param)
