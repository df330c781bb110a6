"""The most resident memory that the children of each worker had at a time."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from benchmarks.models.memory import resident

EVERY = 0.1  # seconds between two looks


class Most:
    """Of all workers together: the most that one of them needed."""

    def __init__(self) -> None:
        self.mebibytes = 0.0

    def look(self, workers: list[int]) -> None:
        for pid in workers:
            self.mebibytes = max(self.mebibytes, sum(resident(child) for child in _children(pid)))


@contextmanager
def watched(workers: list[int]) -> Iterator[Most]:
    """Looks while the block runs."""
    most, ended = Most(), threading.Event()

    def watch() -> None:
        while not ended.wait(EVERY):
            most.look(workers)

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield most
    finally:
        ended.set()
        watcher.join()


def _children(pid: int) -> list[int]:
    found = []
    for task in Path(f"/proc/{pid}/task").glob("*"):
        with suppress(FileNotFoundError, ProcessLookupError):  # that thread has just ended
            found += [int(child) for child in (task / "children").read_text().split()]
    return found
