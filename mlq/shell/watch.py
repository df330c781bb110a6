"""Polls a connection for an immediate reply, before its reader goes to sleep.

A thread that sleeps until its reply comes needs 40 to 50 us to wake up on virtual processors, twice the time that the
server takes; polling saves that (docs/adr/0013). Between polls, other programs that want the processor go first. If
polling finds nothing, as with a distant server, it is suspended for a while.
"""

import os
import select
import time
from types import BuiltinFunctionType
from typing import Any

LOOK = 200e-6  # seconds of polling; a small call takes 60 to 100 us on the machine that the server runs on
MISSES = 4  # failed polls in a row after which polling is suspended
REST = 250  # calls without polling after that; with a distant server, polling then costs 3 us per call


class Watch:
    """Polls, and remembers whether that helps. Threads may share it: a lost update of a counter does no harm."""

    __slots__ = ("_misses", "_rest")

    def __init__(self) -> None:
        """Nothing is known yet."""
        self._misses = 0
        self._rest = 0

    def wait(self, connection: Any) -> None:
        """Return when a reply has arrived, or when the reader should sleep until it does."""
        if self._rest:
            self._rest -= 1
            return
        make = getattr(select, "poll", None)
        if not isinstance(make, BuiltinFunctionType):  # gevent has replaced it, or there is none (Windows)
            return
        poll = make()
        poll.register(connection._sock, select.POLLIN)  # noqa: SLF001 - redis-py has no public access to it
        end = time.perf_counter() + LOOK
        while not (there := poll.poll(0)) and time.perf_counter() < end:
            os.sched_yield()
        if there:
            self._misses = 0
            return
        self._misses += 1
        if self._misses == MISSES:
            self._misses, self._rest = 0, REST
