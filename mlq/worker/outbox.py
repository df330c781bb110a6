"""What waits to be recorded: outcomes, and what running listeners say. One queue, so that order is kept."""

import queue
import threading
from typing import NamedTuple

from mlq.context import ENTRY
from mlq.job import Outcome
from mlq.worker.attempt import Attempt

LIMIT = 8 * 1024 * 1024  # bytes of entries on their way; above that, whoever says more waits


def cost(data: bytes) -> int:
    """Bytes that an entry takes here."""
    return len(data) + ENTRY


class Ended(NamedTuple):
    """An attempt that is through."""

    attempt: Attempt
    outcome: Outcome
    lost: bool = False  # with the process that it ran in


class Said(NamedTuple):
    """An attempt that has something to say: see `Attempt.speech`."""

    attempt: Attempt


class Outbox:
    """Filled by listeners and pools, emptied by the settler."""

    def __init__(self) -> None:
        """Empty."""
        self._items: queue.SimpleQueue[Ended | Said | None] = queue.SimpleQueue()
        self._size = 0
        self._changed = threading.Condition()

    def end(self, ended: Ended) -> None:
        """Hand over an outcome."""
        self._items.put(ended)

    def report(self, attempt: Attempt, packed: bytes) -> None:
        """Take a progress report; a newer one replaces it while it waits."""
        if attempt.speech.report(packed):
            self._items.put(Said(attempt))

    def say(self, attempt: Attempt, number: int, kind: str, data: bytes) -> None:
        """Take an entry of the job's stream; waits while there are too many, unless the attempt ends meanwhile."""
        with self._changed:
            while self._size > LIMIT and attempt.holds():
                self._changed.wait(0.5)
            self._size += cost(data)
        if attempt.speech.say(number, kind, data):
            self._items.put(Said(attempt))

    def busy(self) -> bool:
        """Whether anything waits."""
        return not self._items.empty()

    def full(self) -> bool:
        """Whether `say` would wait."""
        return self._size > LIMIT

    def close(self) -> None:
        """Let `take` give None once all that was put before is out."""
        self._items.put(None)

    def take(self, *, block: bool) -> Ended | Said | None:
        """The next item, None after `close`. Raises queue.Empty."""
        return self._items.get(block=block)

    def gone(self, size: int) -> None:
        """So many bytes of entries are recorded, or will never be."""
        with self._changed:
            self._size -= size
            self._changed.notify_all()
