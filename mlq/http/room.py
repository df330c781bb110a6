"""How much room the files of a service take: measured now and then, since that looks at all of them."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

FRESH = 60.0  # seconds after which it is measured again: other services and batches write there, too
FULL = 5.0  # seconds after which it is measured again where there seems to be no room: files were deleted since


class Room:
    """The room of one store, as one service knows it."""

    def __init__(self, most: int) -> None:
        """`most`: bytes of all files together, from which on there is no room."""
        self.most = most
        self._known = 0  # bytes when it was measured, and of what this service has kept since
        self._coming = 0  # bytes of uploads that are not complete
        self._at: float | None = None  # when it was measured
        self._measuring = threading.Lock()

    @contextmanager
    def coming(self) -> Iterator["Coming"]:
        """Count what an upload brings, until it is kept or dropped."""
        made = Coming(self)
        try:
            yield made
        finally:
            self.arrive(-made.size)

    def arrive(self, size: int) -> bool:
        """So many bytes more of uploads are there, or fewer; whether there is room for them."""
        self._coming += size
        return self._fits(0)

    def add(self, size: int) -> None:
        """So many bytes more are there; fewer, if it is below 0."""
        self._known += size

    def has(self, size: int, measure: Callable[[], int]) -> bool:
        """Whether there is room for so many bytes more. What `measure` raises is raised here, too."""
        self._know(measure, FRESH)
        if not self._fits(size):
            self._know(measure, FULL)
        return self._fits(size)

    def _fits(self, size: int) -> bool:
        return self._known + self._coming + size <= self.most

    def _know(self, measure: Callable[[], int], age: float) -> None:
        """Measure it, unless that was done within so many seconds. One request measures, and others wait for it."""
        asked = time.monotonic()
        with self._measuring:
            if self._at is None or asked - self._at > age:
                began, self._known = time.monotonic(), measure()
                self._at = began


class Coming:
    """What one upload has brought so far."""

    def __init__(self, room: Room) -> None:
        """Nothing."""
        self._room, self.most = room, room.most
        self.size = 0

    def add(self, size: int) -> bool:
        """So many bytes more have come; whether there is room for them."""
        self.size += size
        return self._room.arrive(size)
