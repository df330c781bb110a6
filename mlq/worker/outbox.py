"""The queue of what is to be recorded: outcomes, and reports of running listeners. One queue keeps them in order."""

import queue
from collections import deque
from typing import NamedTuple

from mlq.core.job import Outcome
from mlq.running.context import ENTRY
from mlq.system.turn import Turn
from mlq.worker.attempt import Attempt

LIMIT = 8 * 1024 * 1024  # bytes of entries not recorded yet; above that, listeners that emit more must wait


def cost(data: bytes) -> int:
    """Bytes that an entry takes in the outbox."""
    return len(data) + ENTRY


class Ended(NamedTuple):
    """An attempt that has ended, with its outcome."""

    attempt: Attempt
    outcome: Outcome
    lost: bool = False  # because the process that it ran in died


class Reported(NamedTuple):
    """An attempt that has something to record: see `Attempt.reports`."""

    attempt: Attempt


class Outbox:
    """Filled by listeners and pools, emptied by the settler. Uses no lock that a caller would wait for: see `turn`."""

    def __init__(self) -> None:
        """Empty."""
        self._items: queue.SimpleQueue[Ended | Reported | None] = queue.SimpleQueue()
        self._size = 0
        self._changes: deque[int] = deque()  # of the size, not added up yet
        self._turn = Turn()  # to add them up

    def end(self, ended: Ended) -> None:
        """Hand over an outcome."""
        self._items.put(ended)

    def report(self, attempt: Attempt, packed: bytes) -> None:
        """Take a progress report; a newer one replaces it if it is not recorded yet."""
        if attempt.reports.report(packed):
            self._items.put(Reported(attempt))

    def add_entry(self, attempt: Attempt, kind: str, data: bytes) -> None:
        """Take an entry of the job's stream."""
        self._count(cost(data))
        if attempt.reports.add_entry(kind, data):
            self._items.put(Reported(attempt))

    def busy(self) -> bool:
        """Whether anything waits to be recorded."""
        return not self._items.empty()

    def full(self) -> bool:
        """Whether too much waits to be recorded: listeners with more entries should wait."""
        return self._size > LIMIT

    def close(self) -> None:
        """Have `take` return None after everything that was put before."""
        self._items.put(None)

    def take(self, *, block: bool) -> Ended | Reported | None:
        """The next item, or None after `close`. Raises queue.Empty."""
        return self._items.get(block=block)

    def gone(self, size: int) -> None:
        """Subtract bytes of entries that are recorded, or never will be."""
        self._count(-size)

    def _count(self, change: int) -> None:
        """Change the size, or leave that to whoever is changing it: another thread, or this one up its stack."""
        self._changes.append(change)
        while self._changes and self._turn.run(self._add_up):
            pass

    def _add_up(self) -> None:
        while self._changes:
            self._size += self._changes.popleft()
