"""What every system offers to the cases, and the file in which its listeners note each of their runs."""

import os
import time
from collections.abc import Iterable
from typing import Any, Self

URL = os.environ.get("BENCH_URL", "")
SLOTS = int(os.environ.get("BENCH_SLOTS", "1"))
RELIABLE = os.environ.get("BENCH_RELIABLE") == "1"  # set up for workers that die, as the documentation says
RUNS = os.environ.get("BENCH_RUNS")  # the file

_runs = os.open(RUNS, os.O_WRONLY | os.O_APPEND) if RUNS else None


def ran(kind: str, number: int = 0, index: int = 0) -> None:
    """One line for one run. It stays when the process is killed at the next instruction."""
    if _runs is not None:
        os.write(_runs, f"{kind} {number} {index} {os.getpid()} {time.monotonic()}\n".encode())


def joined(values: Iterable[int]) -> int:
    """What each join does: note how many parts of its own fan-in it got. Parts return the number of their fan-in."""
    found = list(values)
    ran("join", found[0], found.count(found[0]))
    return len(found)


class Adapter:
    """A client of one system. Methods are coroutines; those of a blocking library never suspend.

    The listeners: `plain` sleeps and notes; `step` does so within a chain; `part` within a fan-in, whose `join` gets
    what the parts returned.
    """

    ends = ("step", 2)  # what a job of `forward` notes, and how often

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        pass

    async def plain(self, count: int, seconds: float = 0.0) -> None:
        """Post jobs that have nothing to do with each other, by the system's own bulk call if it has one."""
        raise NotImplementedError

    async def chain(self, count: int, steps: int) -> None:
        """Post chains in which each step gets what the one before returned."""
        raise NotImplementedError

    async def forward(self, count: int) -> None:
        """Post jobs that go on as another one; where there is no such thing, chains of two."""
        await self.chain(count, 2)

    async def fan(self, number: int, parts: int, seconds: float = 0.0) -> None:
        """Post a fan-in. Parts are `(number, index, seconds)`."""
        raise NotImplementedError

    async def depend(self, count: int) -> int:
        """Post jobs that wait for another one; returns how many plain jobs it took besides."""
        raise NotImplementedError


def messages(number: int, parts: int, seconds: float) -> list[Any]:
    return [(number, index, seconds) for index in range(parts)]
