"""Work that takes milliseconds, done by one request at a time, with a turn for all others in between.

A greenlet keeps the process while it computes. A thousand requests that are ready together and take 10 ms each would
leave no answer to anybody for 10 s.
"""

import contextlib
import sys
import threading
import time
from collections.abc import Callable, Iterator
from time import sleep
from typing import Generic, TypeVar

from flask import has_request_context, request

from mlq import ServerError
from mlq.http.peer import CONNECTED, is_known_closed
from mlq.http.problems import Refused
from mlq.shell.fair_semaphore import FairSemaphore

T = TypeVar("T")

PATIENCE = 5.0  # seconds that a request waits for its turn; the client can ask again
ALWAYS = sys.maxsize  # the size of work that is heavy although it does not depend on a value
LONG = 0.005  # seconds of work after which nobody has a turn for half as long
LONGEST_PAUSE = 0.25  # seconds
LIGHT = 16_384  # bytes: 0.7 ms to decode; as JSON up to 30 ms for 15,000 empty values, yielding every 10 ms
LIGHT_PLACES = 8  # so many of them in one round of the event loop
HEAVY = 4096  # bytes of a value that may take a millisecond to decode and to write; smaller ones wait for nobody


class Places:
    """Places for a few requests at a time. Those that wait are limited, else they would wait for minutes."""

    def __init__(self, count: int, most_waiting: int | None = None) -> None:
        """Nobody has one. `most_waiting`: requests that wait for one; None for any number."""
        self._waiting = 0
        self._most = most_waiting
        # Python's own semaphore passes on an inner lock for each arrival: among 50 busy requests, 200 that waited had 5
        # turns a second.
        self._places = FairSemaphore(count)

    @contextlib.contextmanager
    def take(self, *, yields: bool = True) -> Iterator[None]:
        """Wait for a place, then keep it. Raises Refused if too many wait, or it takes long, or the client has gone.

        `yields`: whoever else is ready comes first. That costs a round of the event loop, in which each request that is
        ready has its turn.
        """
        if self._most is not None and self._waiting >= self._most:
            raise _busy()
        self._waiting += 1
        try:
            if not self._places.acquire(PATIENCE):
                raise _busy()
        finally:
            self._waiting -= 1
        with contextlib.ExitStack() as stack:
            stack.push(self._places)
            if yields:
                sleep(0)
            if has_request_context() and is_known_closed(request.environ.get(CONNECTED)):
                raise Refused(503, "the client has closed the connection")
            yield


def _busy() -> Refused:
    return Refused(503, "too many requests of this kind wait: ask again", headers={"Retry-After": "1"})


class Turns:
    """The turns of one kind of work: those of another kind do not wait for them."""

    def __init__(self, most_waiting: int | None = None) -> None:
        """As for `Places`; requests with light work may wait in any number."""
        self._light, self._one = Places(LIGHT_PLACES), Places(1, most_waiting)

    @contextlib.contextmanager
    def take(self, size: int) -> Iterator[None]:
        """Wait for a turn, then keep it, if `size` bytes are heavy work. Raises Refused, as `Places` does.

        The work within must neither wait for others nor hold what they need.
        """
        if size <= HEAVY:
            yield
        elif size <= LIGHT:
            with self._light.take(yields=False):
                yield
        else:
            with self._one.take(), pausing():
                yield


@contextlib.contextmanager
def pausing() -> Iterator[None]:
    """After long work, wait for half as long: so this kind of work leaves a third of the time to others."""
    began = time.monotonic()
    try:
        yield
    finally:
        took = time.monotonic() - began
        if took > LONG:
            sleep(min(took / 2, LONGEST_PAUSE))


class AskedOnce(Generic[T]):
    """Asks the server once for all simultaneous requests: parsing the answer takes long, or each needs a connection."""

    def __init__(self, ask: Callable[[], T]) -> None:
        """`ask` may raise ServerError, which all of them get."""
        self._ask = ask
        self._asking = threading.Lock()
        self._asked = 0.0
        self._answer: T | ServerError

    def answer(self) -> T:
        """What was asked for at or after the time of the call. Raises ServerError."""
        called = time.monotonic()
        with self._asking:
            if self._asked <= called:  # else another request asked after this call began
                began = time.monotonic()
                try:
                    self._answer = self._ask()
                except ServerError as error:
                    self._answer = error
                self._asked = began
            answer = self._answer
        if isinstance(answer, ServerError):
            raise answer
        return answer


def weight(reply: object) -> int:
    """Bytes of a server's reply, however it is nested."""
    if isinstance(reply, bytes):
        return len(reply)
    return sum(map(weight, reply)) if isinstance(reply, list) else 0
