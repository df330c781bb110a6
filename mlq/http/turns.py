"""Work that takes milliseconds, done by one request at a time, with a turn for all others in between.

A greenlet keeps the process while it computes. A thousand requests that are ready together and take 10 ms each would
leave no answer to anybody for 10 s.
"""

import contextlib
import threading
from collections.abc import Iterator
from time import sleep

HEAVY = 4096  # bytes of packed values that may take a millisecond to decode and to write as JSON


class Turns:
    """The turns of one kind of work: those of another kind do not wait for them."""

    def __init__(self) -> None:
        """Nobody has one."""
        self._one = threading.Lock()

    @contextlib.contextmanager
    def take(self) -> Iterator[None]:
        """Wait for a turn, then keep it. The work within must neither wait for others nor hold what they need."""
        with self._one:
            sleep(0)  # whoever else is ready comes first
            yield
