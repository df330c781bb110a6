"""Room for so many at a time, given in the order of asking.

A plain semaphore lets a thread that asks again at once overtake those that wait: sixteen listeners that reported
progress in a loop kept a worker from renewing its leases for 9 s.
"""

import threading
from collections import deque
from types import TracebackType


class Room:
    """A fair semaphore, for `with`. A finaliser or signal handler amid its thread's own call takes no place."""

    def __init__(self, places: int) -> None:
        """`places`: how many may be inside at a time."""
        self._most = places
        self._places = places
        self._depths: dict[int, int] = {}  # of calls within calls, by thread
        self._waiting: deque[threading.Lock] = deque()
        self._lock = threading.Lock()  # for threads with no other call under way alone: none wants it twice

    @property
    def alone(self) -> bool:
        """Whether whoever is inside is the only one."""
        return self._places == self._most - 1 and self._depths.get(threading.get_ident()) == 1

    def __enter__(self) -> None:
        """Wait for a place."""
        me = threading.get_ident()
        depth = self._depths.get(me, 0)
        self._depths[me] = depth + 1
        if depth:
            return
        turn = threading.Lock()
        turn.acquire()
        with self._lock:
            if self._places:
                self._places -= 1
                return
            self._waiting.append(turn)
        try:
            turn.acquire()
        except BaseException:  # Ctrl-C while waiting: give up the turn, or the place if it was given already
            with self._lock:
                if turn in self._waiting:
                    self._waiting.remove(turn)
                else:
                    self._pass_on()
            del self._depths[me]
            raise

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Leave; whoever waits longest enters."""
        me = threading.get_ident()
        if self._depths[me] > 1:
            self._depths[me] -= 1
            return
        with self._lock:
            self._pass_on()
        del self._depths[me]

    def _pass_on(self) -> None:
        if self._waiting:
            self._waiting.popleft().release()
        else:
            self._places += 1
