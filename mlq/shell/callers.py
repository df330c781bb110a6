"""Names for callers, so that a call that is sent again has the effect of one.

A script that must not take effect twice keeps, per caller, the number of the last call and its reply. A caller has
one call under way at a time; so a client keeps a few, and each call borrows one. One whose call failed for good is
not given back.
"""

import os
import secrets
from collections import deque


class Caller:
    """One caller: its name, and the number of its current call."""

    __slots__ = ("name", "number")

    def __init__(self) -> None:
        """72 bits of randomness: names never meet."""
        self.name = secrets.token_urlsafe(9)
        self.number = 0


class Borrowed:
    """A caller for one call, for `with`; a generator would cost each post 2 us more."""

    __slots__ = ("_caller", "_free")

    def __init__(self, free: deque[Caller], caller: Caller) -> None:
        """`free`: where it goes back to."""
        self._free = free
        self._caller = caller

    def __enter__(self) -> Caller:
        """With a new number."""
        self._caller.number += 1
        return self._caller

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """Back it goes, but not where its call failed for good: that may still arrive."""
        if kind is None:
            self._free.append(self._caller)


class Callers:
    """The callers of one client. Safe with threads and tasks: a deque's ends are atomic."""

    def __init__(self) -> None:
        """With none; they are made when needed."""
        self._free: deque[Caller] = deque()
        self._pid = os.getpid()

    def borrow(self) -> Borrowed:
        """A caller with a new number, for one call."""
        if self._pid != os.getpid():  # a forked child must not answer to its parent's names
            self._pid = os.getpid()
            self._free = deque()
        try:
            caller = self._free.pop()
        except IndexError:
            caller = Caller()
        return Borrowed(self._free, caller)
