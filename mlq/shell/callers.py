"""Names for callers, so that a call that is sent twice takes effect once.

A script that must not take effect twice stores, per caller, the number of the last call and its reply. A caller makes
one call at a time; so a client keeps several callers, and each call borrows one. A caller whose call failed for good is
not reused.
"""

import os
import secrets
from collections import deque


class Caller:
    """One caller: its name, and the number of its current call."""

    __slots__ = ("name", "number")

    def __init__(self) -> None:
        """72 bits of randomness, so that names never collide."""
        self.name = secrets.token_urlsafe(9)
        self.number = 0


class Borrowed:
    """A caller for one call, as a context manager; a generator-based one would cost each post 2 us more."""

    __slots__ = ("_caller", "_free")

    def __init__(self, free: deque[Caller], caller: Caller) -> None:
        """`free`: where to return the caller to."""
        self._free = free
        self._caller = caller

    def __enter__(self) -> Caller:
        """The caller, with a new number."""
        self._caller.number += 1
        return self._caller

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """Return the caller, unless its call failed for good: that call may still arrive at the server."""
        if kind is None:
            self._free.append(self._caller)


class Callers:
    """The callers of one client. Safe with threads and tasks: a deque's ends are atomic."""

    def __init__(self) -> None:
        """No callers yet; they are created when needed."""
        self._free: deque[Caller] = deque()
        self._pid = os.getpid()

    def borrow(self) -> Borrowed:
        """A caller with a new number, for one call."""
        if self._pid != os.getpid():  # a forked child must not use its parent's callers
            self._pid = os.getpid()
            self._free = deque()
        try:
            caller = self._free.pop()
        except IndexError:
            caller = Caller()
        return Borrowed(self._free, caller)
