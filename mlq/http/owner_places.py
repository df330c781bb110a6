"""Places that owners of tokens share: whoever takes many leaves as many for others.

A slow upload holds its place for minutes, and one program may have begun fifty of them.
"""

import contextlib
import threading
from collections import Counter
from collections.abc import Iterator

from mlq.http.problems import Refused

PATIENCE = 5.0  # seconds that a request waits for a place; the client can ask again
MOST_WAITING = 50  # requests of one owner


class OwnerPlaces:
    """Each owner may have no more places than are free afterwards; so there is always one for somebody else."""

    def __init__(self, count: int) -> None:
        """Nobody has a place."""
        self._free = count
        self._held: Counter[bytes] = Counter()
        self._waiting: Counter[bytes] = Counter()
        self._changed = threading.Condition()

    @contextlib.contextmanager
    def take(self, owner: bytes) -> Iterator[None]:
        """Wait for a place, then keep it. Raises Refused if too many of this owner wait, or it takes long."""
        with self._changed:
            self._wait(owner)
            self._free -= 1
            self._held[owner] += 1
        try:
            yield
        finally:
            with self._changed:
                self._free += 1
                _lower(self._held, owner)
                self._changed.notify_all()

    def _wait(self, owner: bytes) -> None:
        if self._waiting[owner] >= MOST_WAITING:
            raise _busy()
        self._waiting[owner] += 1
        try:
            if not self._changed.wait_for(lambda: self._may(owner), PATIENCE):
                raise _busy()
        finally:
            _lower(self._waiting, owner)

    def _may(self, owner: bytes) -> bool:
        return self._free > 0 and self._held[owner] < self._free


def _lower(count: Counter[bytes], owner: bytes) -> None:
    count[owner] -= 1
    if not count[owner]:
        del count[owner]


def _busy() -> Refused:
    return Refused(503, "too many requests of this kind and token at a time: ask again", headers={"Retry-After": "1"})
