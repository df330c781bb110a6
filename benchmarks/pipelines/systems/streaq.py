"""streaQ with `start(after=)` and `|`, and its own Redis client; pickle as by default."""

import asyncio
from typing import Self

from streaq import Worker

from benchmarks.pipelines.systems.adapter import RELIABLE, SLOTS, URL, Adapter, joined, messages, ran

streaq = Worker(redis_url=URL, concurrency=SLOTS, **({"idle_timeout": 3} if RELIABLE else {}))
# Results that are asked for at a time: each takes 100 ms and two of the 64 connections, and must not wait for one.
asking = asyncio.Semaphore(25)
TRIES = 10  # for all: a task that was lost with its worker has used one of them


@streaq.task(silent=True, max_tries=TRIES)
async def plain(seconds: float) -> float:
    await asyncio.sleep(seconds)
    ran("plain")
    return seconds


@streaq.task(silent=True, max_tries=TRIES)
async def step(value: int) -> int:
    ran("step")
    return value + 1


@streaq.task(silent=True, max_tries=TRIES)
async def part(number: int, index: int, seconds: float) -> int:
    await asyncio.sleep(seconds)
    ran("part", number, index)
    return number


@streaq.task(silent=True, max_tries=TRIES)
async def join(parts: list[str]) -> int:
    """`after` passes no results, so it asks for them."""
    return joined(await asyncio.gather(*map(result, parts)))


async def result(task: str) -> int:
    async with asking:
        return (await streaq.result_by_id(task, timeout=30)).result


def worker(pool: str, slots: int) -> list[str]:  # noqa: ARG001 - the worker above knows them
    return ["streaq", "run", "benchmarks.pipelines.systems.streaq:streaq"]


class Client(Adapter):
    async def __aenter__(self) -> Self:
        await streaq.__aenter__()
        return self

    async def __aexit__(self, *trouble: object) -> None:
        await streaq.__aexit__(*trouble)

    async def plain(self, count: int, seconds: float = 0.0) -> None:
        await streaq.enqueue_many([plain.enqueue(seconds) for _ in range(count)])

    async def chain(self, count: int, steps: int) -> None:
        for _ in range(count):
            task = step.enqueue(0)
            for _ in range(steps - 1):
                task = task | step
            await task

    async def fan(self, number: int, parts: int, seconds: float = 0.0) -> None:
        tasks = [part.enqueue(*each) for each in messages(number, parts, seconds)]
        await streaq.enqueue_many(tasks)
        ids = [task.id for task in tasks]
        await join.enqueue(ids).start(after=ids)

    async def depend(self, count: int) -> int:
        needed = await plain.enqueue(0.0)
        for _ in range(count):  # its bulk call is not for tasks with dependencies, its documentation says
            await plain.enqueue(0.0).start(after=needed.id)
        return 1
