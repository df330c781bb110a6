"""Listeners amid whose words finalisers and signal handlers speak, too."""

import contextlib
import gc
import logging
import os
import signal
from collections.abc import AsyncIterator, Iterator
from typing import Any

from side_channel import mlq

from mlq import LeaseLost
from mlq.running.context import JobContext

OFTEN = 200  # allocations between two runs of the collector


class Session:
    """Garbage that only the collector finds, on whatever thread it runs; it complains of not having been closed."""

    def __init__(self, context: JobContext) -> None:
        self.me = self
        self.context = context

    def __del__(self) -> None:
        logging.getLogger("session").warning("unclosed")
        print("unclosed")
        with contextlib.suppress(LeaseLost):
            self.context.update_progress(-1)
            self.context.emit("unclosed")


class Posting(Session):
    def __del__(self) -> None:
        with contextlib.suppress(LeaseLost):
            self.context.post("unclosed", functions=["echo"])


@contextlib.contextmanager
def collecting() -> Iterator[None]:
    before = gc.get_threshold()
    gc.set_threshold(OFTEN)
    try:
        yield
    finally:
        gc.set_threshold(*before)


@mlq.listener
def emits_amid_finalisers(count: int, context: JobContext) -> int:
    with collecting():
        for number in range(count):
            Session(context)
            context.emit(number)
            context.update_progress(number)
    return count


@mlq.listener
async def yields_amid_finalisers(count: int, context: JobContext) -> AsyncIterator[int]:
    with collecting():
        for number in range(count):
            Session(context)
            yield number


@mlq.listener
def posts_amid_finalisers(count: int, context: JobContext) -> int:
    with collecting():
        for number in range(count):
            Posting(context)
            context.emit([[number] for _ in range(20)])
            context.store_data(number, "amid", 60)
    return count


class Interrupted(Exception):
    """Raised by a signal handler."""


@mlq.listener
def emits_until_interrupted(times: int, context: JobContext) -> list[Any]:
    """How often it tried, and where."""
    armed = False

    def interrupt(*_: object) -> None:
        nonlocal armed
        if armed:
            armed = False
            raise Interrupted

    before = signal.signal(signal.SIGALRM, interrupt)
    signal.setitimer(signal.ITIMER_REAL, 0.001, 0.0003)
    interrupted = number = 0
    while interrupted < times:
        number += 1
        try:
            armed = True
            context.emit([number, bytes([number % 256]) * (number * 7919 % 50_000)])
            armed = False
        except Interrupted:
            interrupted += 1
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, before)
    return [number, os.getpid()]
