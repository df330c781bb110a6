"""A fair semaphore: waiting threads get their places first come, first served.

With a plain semaphore, a thread that asks again at once overtakes those that wait: sixteen listeners that reported
progress in a loop prevented a worker from renewing its leases for 9 s.
"""

import threading
from collections import deque
from types import TracebackType


class FairSemaphore:
    """A fair semaphore, as a context manager. Reentrant: a finaliser or signal handler may interrupt its own thread."""

    def __init__(self, places: int) -> None:
        """`places`: how many threads may be inside at a time."""
        self._most = places
        self._places = places
        self._depths: dict[int, int] = {}  # of nested calls, by thread
        self._waiting: deque[threading.Lock] = deque()
        self._lock = threading.Lock()  # taken only by a thread's outermost call, so no thread takes it twice

    @property
    def alone(self) -> bool:
        """Whether this thread is the only one inside, in its outermost call."""
        return self._places == self._most - 1 and self._depths.get(threading.get_ident()) == 1

    def __enter__(self) -> None:
        """Wait for a place."""
        self.acquire()

    def acquire(self, seconds: float = -1) -> bool:
        """Wait for a place, so many seconds if they are not negative; returns whether there was one.

        Leave it as the context manager does.
        """
        me = threading.get_ident()
        depth = self._depths.get(me, 0)
        self._depths[me] = depth + 1
        if depth:
            return True
        with self._lock:
            if self._places:
                self._places -= 1
                return True
            turn = threading.Lock()
            turn.acquire()
            self._waiting.append(turn)
        try:
            has_place = turn.acquire(timeout=seconds)
        except BaseException:  # Ctrl-C while waiting: give up the turn, or the place if it was given already
            with self._lock:
                if self._gives_up(turn):
                    self._pass_on()
            del self._depths[me]
            raise
        if not has_place:
            with self._lock:
                has_place = self._gives_up(turn)  # it may have been given just now
            if not has_place:
                del self._depths[me]
        return has_place

    def _gives_up(self, turn: threading.Lock) -> bool:
        """Wait no longer; returns whether the place was given already. With the lock held."""
        if turn in self._waiting:
            self._waiting.remove(turn)
            return False
        return True

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Leave; the thread that has waited longest enters."""
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
