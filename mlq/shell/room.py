"""Room for so many at a time, given in the order of asking.

A plain semaphore lets a thread that asks again at once overtake those that wait: sixteen listeners that reported
progress in a loop kept a worker from renewing its leases for 9 s.
"""

import threading
from collections import deque
from types import TracebackType


class Room:
    """A fair semaphore, for `with`."""

    def __init__(self, places: int) -> None:
        """`places`: how many may be inside at a time."""
        self._most = places
        self._places = places
        self._waiting: deque[threading.Lock] = deque()
        self._lock = threading.Lock()

    @property
    def alone(self) -> bool:
        """Whether whoever is inside is the only one."""
        return self._places == self._most - 1

    def __enter__(self) -> None:
        """Wait for a place."""
        with self._lock:
            if self._places:
                self._places -= 1
                return
            turn = threading.Lock()
            turn.acquire()
            self._waiting.append(turn)
        try:
            turn.acquire()
        except BaseException:  # Ctrl-C while waiting: give up the turn, or the place if it was given already
            with self._lock:
                if turn in self._waiting:
                    self._waiting.remove(turn)
                    raise
            self.__exit__(None, None, None)
            raise

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Leave; whoever waits longest enters."""
        with self._lock:
            if self._waiting:
                self._waiting.popleft().release()
            else:
                self._places += 1
