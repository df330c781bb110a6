"""A scene for one bar: a server of its own, workers of the real command line, and the record of their runs."""

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from benchmarks.chaos import effects
from benchmarks.chaos.effects import Run
from benchmarks.chaos.fleet import Place, children_of, start_worker
from benchmarks.chaos.mix import NAMESPACE, Job
from mlq import MLQ, JobHandle
from mlq.server import Scratch, scratch

if TYPE_CHECKING:
    import subprocess


class Scene:
    """Server, client and workers of one test."""

    def __init__(self, server: Scratch, folder: Path) -> None:
        self.server = server
        self.mlq = MLQ(NAMESPACE, url=server.url)
        self._effects = folder / "effects"
        self._log = folder / "log"
        self._workers: list[subprocess.Popen[bytes]] = []

    def start(self, pool: str, concurrency: int = 1, url: str | None = None) -> "subprocess.Popen[bytes]":
        """A worker that is up: the server lists it."""
        place = Place(pool, concurrency, url or self.server.url, proxied=url is not None)
        worker = start_worker(place, self._effects, self._log)
        self._workers.append(worker)
        until(lambda: str(worker.pid) in {one["pid"] for one in self.mlq.workers()}, 20)
        return worker

    def submit(self, seconds: float = 0.0, number: int = 1) -> JobHandle:
        """A job that takes so long."""
        return self.mlq.submit(Job(number, "short", seconds, 0, "exit", calls_back=False).message)

    def runs(self, job: JobHandle) -> list[Run]:
        """The runs of a job so far."""
        return [run for run in effects.read(self._effects) if run.job_id == job.id]

    def end(self) -> None:
        """Kill the workers, and their children."""
        for worker in self._workers:
            left = children_of(worker.pid)
            worker.kill()
            worker.wait()
            for pid in left:
                until(lambda pid=pid: not Path(f"/proc/{pid}").exists(), 20)
        self.mlq.close()


def until(holds: Callable[[], Any], seconds: float) -> Any:
    """What `holds` gives, when it is true; fails when that takes too long. For what nobody can be told of."""
    give_up = time.monotonic() + seconds
    while not (found := holds()):
        assert time.monotonic() < give_up, f"not within {seconds} s"
        time.sleep(0.01)
    return found


@pytest.fixture
def wait_until() -> Callable[[Callable[[], Any], float], Any]:
    """Polls."""
    return until


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    """Gone afterwards."""
    with ExitStack() as stack:
        made = Scene(stack.enter_context(scratch(appendfsync="always", port=0)), tmp_path)
        stack.callback(made.end)
        yield made
