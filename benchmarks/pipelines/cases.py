"""The cases, seen from a client: the same code measures every system, in that system's own environment.

The file of runs says how far things are: a job is over when its listener has noted its run.
"""

import asyncio
import os
import signal
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path

from benchmarks.peers.probes import Server, send, tree
from benchmarks.pipelines.systems.adapter import RUNS, SLOTS, URL, Adapter

Figures = dict[str, float]

LOOK = 0.002  # seconds between two looks at the file
STEPS = 10


class Runs:
    """Counts what the listeners noted since it was made."""

    def __init__(self) -> None:
        self._file = Path(str(RUNS)).open("rb")  # noqa: SIM115 - closed when what is awaited is there
        self._file.seek(0, os.SEEK_END)

    async def until(self, kind: str, count: int) -> None:
        """So many runs of that kind. Whoever started this process ends it after some time."""
        seen: Counter[bytes] = Counter()
        while seen[kind.encode()] < count:
            seen.update(line.partition(b" ")[0] for line in self._file.readlines())
            await asyncio.sleep(LOOK)
        self._file.close()


async def warm(system: Adapter) -> Figures:
    """All slots have run something, and nothing is left to do."""
    runs = Runs()
    await system.plain(4 * SLOTS, 0.02)
    await runs.until("plain", 4 * SLOTS)
    await asyncio.sleep(0.3)
    return {}


async def drained(worker: int, post: Awaitable[None], kind: str, count: int) -> float:
    """Seconds that the worker takes; it is held (SIGSTOP) until all is posted."""
    runs, held = Runs(), tree(worker)
    send(held, signal.SIGSTOP)
    try:
        await post
    finally:
        began = time.perf_counter()
        send(held, signal.SIGCONT)
    await runs.until(kind, count)
    return time.perf_counter() - began


async def took(post: Awaitable[None], kind: str, count: int) -> float:
    """Seconds from the beginning of the post to the last run."""
    runs, began = Runs(), time.perf_counter()
    await post
    await runs.until(kind, count)
    return time.perf_counter() - began


async def forward(system: Adapter, worker: int, count: int) -> Figures:
    await warm(system)
    plain = await drained(worker, system.plain(2 * count), "plain", 2 * count)
    kind, each = system.ends
    pairs = await drained(worker, system.forward(count), kind, each * count)
    return {"plain jobs/s": 2 * count / plain, "jobs that forward/s": count / pairs, "time ÷ two plain": pairs / plain}


async def fan(system: Adapter, worker: int, parts: int) -> Figures:  # noqa: ARG001
    await warm(system)
    plain = await took(system.plain(parts + 1), "plain", parts + 1)
    whole = await took(system.fan(1, parts), "join", 1)
    return {
        "plain jobs/s": (parts + 1) / plain,
        "seconds": whole,
        "parts/s": parts / whole,
        "rate ÷ plain": plain / whole,
    }


async def chain(system: Adapter, worker: int, count: int) -> Figures:
    await warm(system)
    one = await took(system.chain(1, STEPS), "step", STEPS)
    many = await drained(worker, system.chain(count, STEPS), "step", count * STEPS)
    return {"one, ms": 1000 * one, "chains/s": count / many, "steps/s": STEPS * count / many}


async def memory(system: Adapter, worker: int, count: int) -> Figures:  # noqa: ARG001
    """Without a worker. What a system keeps once is there before anything is counted."""
    server = Server(URL)

    def level() -> int:
        return int(server.info("used_memory")) - int(server.info("mem_clients_normal"))  # their buffers come and go

    await system.plain(10)
    await system.depend(10)
    levels = [level()]
    await system.plain(count)
    levels.append(level())
    others = await system.depend(count)
    levels.append(level())
    plain = (levels[1] - levels[0]) / count
    waiting = (levels[2] - levels[1] - others * plain) / count
    return {"bytes/plain job": plain, "bytes/dependent": waiting, "dependent ÷ plain": waiting / plain}


async def pace(system: Adapter, fans: int, parts: int, milliseconds: int, seconds: int) -> Figures:
    """Fan-ins evenly spread over so many seconds; their parts sleep so many milliseconds."""
    began = time.monotonic()
    for number in range(fans):
        await asyncio.sleep(max(0.0, began + number * seconds / fans - time.monotonic()))
        await system.fan(number, parts, milliseconds / 1000)
    return {}


CASES: dict[str, Callable[..., Awaitable[Figures]]] = {
    each.__name__: each for each in (warm, forward, fan, chain, memory, pace)
}
