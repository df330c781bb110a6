"""What waits to be recorded: outcomes, and what running listeners say. One queue, so that order is kept."""

import queue
from collections import deque
from typing import NamedTuple

from mlq.core.job import Outcome
from mlq.running.context import ENTRY
from mlq.system.turn import Turn
from mlq.worker.attempt import Attempt

LIMIT = 8 * 1024 * 1024  # bytes of entries on their way; above that, who emits more waits


def cost(data: bytes) -> int:
    """Bytes that an entry takes here."""
    return len(data) + ENTRY


class Ended(NamedTuple):
    """An attempt that is through."""

    attempt: Attempt
    outcome: Outcome
    lost: bool = False  # with the process that it ran in


class Reported(NamedTuple):
    """An attempt that has something to say: see `Attempt.reports`."""

    attempt: Attempt


class Outbox:
    """Filled by listeners and pools, emptied by the settler. Nobody waits for a lock here: see `turn`."""

    def __init__(self) -> None:
        """Empty."""
        self._items: queue.SimpleQueue[Ended | Reported | None] = queue.SimpleQueue()
        self._size = 0
        self._changes: deque[int] = deque()  # of the size, not counted yet
        self._turn = Turn()  # to count them

    def end(self, ended: Ended) -> None:
        """Hand over an outcome."""
        self._items.put(ended)

    def report(self, attempt: Attempt, packed: bytes) -> None:
        """Take a progress report; a newer one replaces it while it waits."""
        if attempt.reports.report(packed):
            self._items.put(Reported(attempt))

    def add_entry(self, attempt: Attempt, kind: str, data: bytes) -> None:
        """Take an entry of the job's stream."""
        self._count(cost(data))
        if attempt.reports.add_entry(kind, data):
            self._items.put(Reported(attempt))

    def busy(self) -> bool:
        """Whether anything waits."""
        return not self._items.empty()

    def full(self) -> bool:
        """Whether too much waits: listeners that have more partial results should wait."""
        return self._size > LIMIT

    def close(self) -> None:
        """Let `take` give None once all that was put before is out."""
        self._items.put(None)

    def take(self, *, block: bool) -> Ended | Reported | None:
        """The next item, None after `close`. Raises queue.Empty."""
        return self._items.get(block=block)

    def gone(self, size: int) -> None:
        """So many bytes of entries are recorded, or will never be."""
        self._count(-size)

    def _count(self, change: int) -> None:
        """Change the size, or leave that to whoever changes it now: another thread, or this one up its stack."""
        self._changes.append(change)
        while self._changes and self._turn.run(self._add_up):
            pass

    def _add_up(self) -> None:
        while self._changes:
            self._size += self._changes.popleft()
