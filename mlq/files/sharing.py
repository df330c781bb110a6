"""Memory that all runs of one process share, in equal parts."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager


class SharedMemory:
    """Bytes that runs may use together. A run that begins makes the parts of all others smaller."""

    def __init__(self, size: int) -> None:
        """Nobody uses it."""
        self._size = size
        self._runs = 0
        self._lock = threading.Lock()

    @contextmanager
    def used(self) -> Iterator[None]:
        """One run more uses it."""
        with self._lock:
            self._runs += 1
        try:
            yield
        finally:
            with self._lock:
                self._runs -= 1

    def part(self) -> int:
        """Bytes for each run."""
        return self._size // max(1, self._runs)
