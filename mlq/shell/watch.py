"""Watches a connection for a reply that comes at once, before its reader goes to sleep.

A thread that sleeps until its reply is there needs 40 to 50 us to wake up where processors are virtual, twice the time
that the server takes for it; looking for the reply again and again spares them (docs/adr/0013). At every look, other
programs that want the processor go first. Where looking finds nothing, as with a server far away, it is left off for
a while.
"""

import os
import select
import time
from types import BuiltinFunctionType
from typing import Any

LOOK = 200e-6  # seconds; a small call takes 60 to 100 us on the machine that the server runs on
MISSES = 4  # in a row, after which it rests
REST = 250  # calls; so a server far away costs 3 us of looking a call


class Watch:
    """What is known of a server's replies. Threads may share it: a count that gets lost does no harm."""

    __slots__ = ("_misses", "_rest")

    def __init__(self) -> None:
        """Nothing is known."""
        self._misses = 0
        self._rest = 0

    def wait(self, connection: Any) -> None:
        """Return when a reply is there, or when its reader had better sleep until it comes."""
        if self._rest:
            self._rest -= 1
            return
        make = getattr(select, "poll", None)
        if not isinstance(make, BuiltinFunctionType):  # gevent's, which lets greenlets run meanwhile; none on Windows
            return
        poll = make()
        poll.register(connection._sock, select.POLLIN)  # noqa: SLF001 - redis-py tells it in no other way
        end = time.perf_counter() + LOOK
        while not (there := poll.poll(0)) and time.perf_counter() < end:
            os.sched_yield()
        if there:
            self._misses = 0
            return
        self._misses += 1
        if self._misses == MISSES:
            self._misses, self._rest = 0, REST
