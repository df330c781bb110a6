"""Where a benchmark takes place: a private server on one core, clients and workers on the other.

Placement alone changes such figures 2.5 times on a machine of two cores, so it is fixed: the server has core 0 for
itself.
"""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from mlq import MLQ
from mlq.server import Scratch, process, scratch

NAMESPACE = "bench"


def pin(pid: int, core: int) -> None:
    """Bind a process to a core, where the system can."""
    if hasattr(os, "sched_setaffinity") and (os.cpu_count() or 1) > 1:
        for thread in _threads(pid):
            with suppress(ProcessLookupError):
                os.sched_setaffinity(thread, {core})


def use_server(program: str | None) -> None:
    """Have the servers of this process run that program instead of the bundled Valkey."""
    if program is not None:
        process.find_binary = lambda: Path(program)


def _threads(pid: int) -> list[int]:
    try:
        return [int(task.name) for task in Path(f"/proc/{pid}/task").iterdir()]
    except OSError:
        return [pid]


class Stage:
    """A server and what runs against it."""

    def __init__(self, server: Scratch) -> None:
        """`server` is pinned to core 0, this process to core 1."""
        self.server = server
        pin(server.pid, 0)
        pin(os.getpid(), 1)
        self.mlq = MLQ(NAMESPACE, url=server.url)

    @contextmanager
    def worker(self, slots: int, echoes: int = 0) -> Iterator["subprocess.Popen[bytes]"]:
        """A worker process that returns messages, up and waiting for jobs; gone afterwards.

        Its listeners are `work`, and `echo_0` to `echo_<echoes - 1>`, for jobs that name them.
        """
        command = [sys.executable, "-m", "benchmarks.worker", self.server.url, NAMESPACE, str(slots), str(echoes)]
        process = subprocess.Popen(command)
        try:
            pin(process.pid, 1)
            while not self.mlq.workers():
                time.sleep(0.02)
            self.mlq.submit(1, functions=["work"]).result(timeout=30)
            yield process
        finally:
            process.terminate()
            process.wait()
            self.mlq.clear()


@contextmanager
def stage() -> Iterator[Stage]:
    """A fresh server, over TCP as a remote one is, with the embedded server's log on disk."""
    with scratch(port=0) as server:
        made = Stage(server)
        yield made
        made.mlq.close()
