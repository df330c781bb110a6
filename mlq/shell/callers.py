"""Names for callers, so that a call that is sent again has the effect of one.

A script that must not take effect twice keeps, per caller, the number of the last call and its reply. A caller has
one call under way at a time; so a client keeps a few, and each call borrows one. One whose call failed for good is
not given back.
"""

import os
import secrets
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager


class Caller:
    """One caller: its name, and the number of its current call."""

    __slots__ = ("name", "number")

    def __init__(self) -> None:
        """72 bits of randomness: names never meet."""
        self.name = secrets.token_urlsafe(9)
        self.number = 0


class Callers:
    """The callers of one client. Safe with threads and tasks: a deque's ends are atomic."""

    def __init__(self) -> None:
        """With none; they are made when needed."""
        self._free: deque[Caller] = deque()
        self._pid = os.getpid()

    @contextmanager
    def borrow(self) -> Iterator[Caller]:
        """A caller with a new number, for one call."""
        if self._pid != os.getpid():  # a forked child must not answer to its parent's names
            self._pid = os.getpid()
            self._free = deque()
        try:
            caller = self._free.pop()
        except IndexError:
            caller = Caller()
        caller.number += 1
        yield caller
        self._free.append(caller)
