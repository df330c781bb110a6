"""A lock that nobody waits for: a caller that finds it taken leaves the work to the holder.

Finalisers (`__del__`, weak references) and signal handlers can interrupt any Python code, in the same thread, and may
print, log, emit or report progress. If they then waited for a lock that their own thread holds further up its stack,
they would wait forever. Signal handlers may also raise anywhere, even between a lock's `acquire` and the `try` after
it, which would leave the lock taken.
"""

from collections.abc import Callable
from threading import get_ident

_KEY = "holder"


class Turn:
    """Held by one piece of work at a time. Safe to use from any thread, finaliser and signal handler."""

    __slots__ = ("_holders",)

    def __init__(self) -> None:
        """Nobody has it."""
        self._holders: dict[str, tuple[int]] = {}

    def run(self, work: Callable[[], None]) -> bool:
        """Do `work` if nobody else has the turn; returns whether it was done. Raises what `work` raises."""
        mine = (get_ident(),)  # a new object: a call further up the stack of this thread counts as somebody else
        try:
            if self._holders.setdefault(_KEY, mine) is not mine:
                return False
            work()
            return True
        finally:  # no function call before the turn is released: signal handlers run only at calls and loops
            if _KEY in self._holders and self._holders[_KEY] is mine:
                del self._holders[_KEY]

    def is_mine(self) -> bool:
        """Whether this thread has it, further up its stack."""
        return self._holders.get(_KEY) == (get_ident(),)
