"""Work that takes milliseconds, done by one request at a time, with a turn for all others in between.

A greenlet keeps the process while it computes. A thousand requests that are ready together and take 10 ms each would
leave no answer to anybody for 10 s.
"""

import contextlib
import threading
from collections.abc import Iterator
from time import sleep

HEAVY = 4096  # bytes of a value that may take a millisecond to decode and to write; smaller ones wait for nobody


class Turns:
    """The turns of one kind of work: those of another kind do not wait for them."""

    def __init__(self) -> None:
        """Nobody has one."""
        self.waiting = 0
        self._one = threading.Lock()

    @contextlib.contextmanager
    def take(self, size: int) -> Iterator[None]:
        """Wait for a turn, then keep it, if `size` bytes are heavy work.

        The work within must neither wait for others nor hold what they need.
        """
        if size <= HEAVY:
            yield
            return
        self.waiting += 1
        try:
            self._one.acquire()
        finally:
            self.waiting -= 1
        try:
            sleep(0)  # whoever else is ready comes first
            yield
        finally:
            self._one.release()


def weight(reply: object) -> int:
    """Bytes of a server's reply, however it is nested."""
    if isinstance(reply, bytes):
        return len(reply)
    return sum(map(weight, reply)) if isinstance(reply, list) else 0
