"""The cases, seen from a client: the same code measures every peer. Rates per second, times in milliseconds."""

import asyncio
import base64
import os
import signal
import time
from collections.abc import Awaitable, Callable
from typing import Any

from benchmarks.peers.adapter import ECHO, NAP, SLOTS, Adapter
from benchmarks.peers.probes import Server, send, tree

Figures = dict[str, float]

SMALL = {"number": 1, "text": "x" * 80}  # about 100 bytes in MessagePack and in JSON
BATCH = 250  # messages of one bulk call
ENOUGH = 8.0  # seconds of single jobs, for a peer that takes long for each
LOOK = 0.005  # seconds between two looks at how many results are stored


async def warm(peer: Adapter, server: Server, count: int, worker: int) -> Figures:  # noqa: ARG001
    """The worker is up, all its slots have run something, and nothing is left to do."""
    jobs = [await peer.post(NAP, 0.02) for _ in range(2 * SLOTS)]
    await peer.result(jobs[-1])
    await asyncio.sleep(0.3)
    return {}


async def post(peer: Adapter, server: Server, count: int, worker: int) -> Figures:  # noqa: ARG001
    for _ in range(50):
        await peer.post(ECHO, SMALL)
    began = time.perf_counter()
    for _ in range(count):
        await peer.post(ECHO, SMALL)
    return {"jobs/s": count / (time.perf_counter() - began)}


async def bulk(peer: Adapter, server: Server, count: int, worker: int) -> Figures:  # noqa: ARG001
    if not peer.bulk:
        return {}
    await peer.post_many(ECHO, [SMALL] * 50)
    began = time.perf_counter()
    for _ in range(count // BATCH):
        await peer.post_many(ECHO, [SMALL] * BATCH)
    return {"jobs/s": count // BATCH * BATCH / (time.perf_counter() - began)}


async def memory(peer: Adapter, server: Server, count: int, worker: int) -> Figures:  # noqa: ARG001
    for _ in range(50):
        await peer.post(ECHO, SMALL)
    before = int(server.info("used_memory"))
    for _ in range(count):
        await peer.post(ECHO, SMALL)
    return {"bytes/job": (int(server.info("used_memory")) - before) / count}


async def drain(peer: Adapter, server: Server, count: int, worker: int) -> Figures:
    return {"jobs/s": count / await _drained(peer, server, ECHO, [SMALL] * count, worker)}


async def sleepers(peer: Adapter, server: Server, count: int, worker: int) -> Figures:
    ideal = 0.1 * count / SLOTS
    return {"% of ideal": 100 * ideal / await _drained(peer, server, NAP, [0.1] * count, worker)}


async def _drained(peer: Adapter, server: Server, task: str, messages: list[Any], worker: int) -> float:
    """Seconds from a warm worker's first job to the last stored result; it is held (SIGSTOP) until all are posted."""
    await warm(peer, server, 0, worker)
    held = tree(worker)
    send(held, signal.SIGSTOP)
    try:
        jobs = await peer.post_many(task, messages)
        goal = peer.stored(server) + len(messages)
    finally:
        began = time.perf_counter()
        send(held, signal.SIGCONT)
    while peer.stored(server) < goal:  # noqa: ASYNC110 - nobody here could set an event
        await asyncio.sleep(LOOK)
    took = time.perf_counter() - began
    _check(await peer.result(jobs[-1]), messages[-1])
    return took


async def latency(peer: Adapter, server: Server, count: int, worker: int) -> Figures:
    await warm(peer, server, 0, worker)
    times: list[float] = []
    give_up = time.monotonic() + ENOUGH
    while len(times) < count + 20 and (time.monotonic() < give_up or len(times) < 40):
        began = time.perf_counter()
        _check(await peer.call(ECHO, len(times)), len(times))
        times.append((time.perf_counter() - began) * 1000)
    times = sorted(times[20:])
    await asyncio.sleep(3.0)
    began = time.perf_counter()
    await peer.call(ECHO, 0)
    first = (time.perf_counter() - began) * 1000
    return {
        "p50 ms": times[len(times) // 2],
        "p99 ms": times[int(len(times) * 0.99)],
        "first after 3 s idle, ms": first,
    }


async def large(peer: Adapter, server: Server, count: int, worker: int) -> Figures:
    """A megabyte there and back; a JSON peer gets text, and the coding into it is part of the time."""
    await warm(peer, server, 0, worker)
    payload = os.urandom(1_000_000)
    times = []
    for _ in range(count + 3):
        began = time.perf_counter()
        if peer.binary:
            back = await peer.call(ECHO, payload)
        else:
            back = base64.b64decode(await peer.call(ECHO, base64.b64encode(payload).decode()))
        times.append((time.perf_counter() - began) * 1000)
        _check(back, payload)
    return {"p50 ms": sorted(times[3:])[count // 2]}


def _check(value: object, expected: object) -> None:
    if value != expected:
        raise ValueError(f"a result is {value!r:.80} instead of {expected!r:.80}")


CASES: dict[str, Callable[[Adapter, Server, int, int], Awaitable[Figures]]] = {
    "warm": warm,
    "post": post,
    "bulk": bulk,
    "memory": memory,
    "drain": drain,
    "sleepers": sleepers,
    "latency": latency,
    "large": large,
}
