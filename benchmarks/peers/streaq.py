"""streaQ, with its own Redis client; pickle as by default."""

import asyncio
from typing import Any, Self

from streaq import Worker

from benchmarks.peers.adapter import LIMIT, SLOTS, URL, Adapter, noted
from benchmarks.peers.probes import Server

streaq = Worker(redis_url=URL, concurrency=SLOTS)


@streaq.task(silent=True)
async def echo(message: Any) -> Any:
    return noted(message)


@streaq.task(silent=True)
async def nap(seconds: float) -> float:
    await asyncio.sleep(seconds)
    return seconds


TASKS = {"echo": echo, "nap": nap}


def worker(pool: str, slots: int) -> list[str]:  # noqa: ARG001 - the worker above knows them
    return ["streaq", "run", "benchmarks.peers.streaq:streaq"]


class Client(Adapter):
    bulk = True

    async def __aenter__(self) -> Self:
        await streaq.__aenter__()
        return self

    async def __aexit__(self, *trouble: object) -> None:
        await streaq.__aexit__(*trouble)

    async def post(self, task: str, message: Any) -> Any:
        return await TASKS[task].enqueue(message)

    async def post_many(self, task: str, messages: list[Any]) -> list[Any]:
        jobs = [TASKS[task].enqueue(message) for message in messages]
        await streaq.enqueue_many(jobs)
        return jobs

    async def result(self, job: Any) -> Any:
        return (await job.result(LIMIT)).result

    def stored(self, server: Server) -> int:
        """A job leaves the stream in the transaction that stores its result."""
        return -server.number("XLEN streaq:default:queues:normal")
