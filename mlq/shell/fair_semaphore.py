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
        me = threading.get_ident()
        depth = self._depths.get(me, 0)
        self._depths[me] = depth + 1
        if depth:
            return
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
                else:
                    self._pass_on()
            del self._depths[me]
            raise

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
