"""SAQ with its Redis queue; JSON as by default."""

import asyncio
from contextlib import suppress
from typing import Any, Self

from saq import Queue

from benchmarks.peers.adapter import LIMIT, SLOTS, URL, Adapter, noted
from benchmarks.peers.probes import Server


async def echo(ctx: dict[str, Any], *, message: Any) -> Any:  # noqa: ARG001
    return noted(message)


async def nap(ctx: dict[str, Any], *, message: float) -> float:  # noqa: ARG001
    await asyncio.sleep(message)
    return message


queue = Queue.from_url(URL)
settings = {"queue": queue, "functions": [echo, nap], "concurrency": SLOTS}


def worker(pool: str, slots: int) -> list[str]:  # noqa: ARG001 - the settings above know them
    return ["saq", "benchmarks.peers.saq.settings"]


class Client(Adapter):
    binary = False

    async def __aenter__(self) -> Self:
        await queue.connect()
        return self

    async def __aexit__(self, *_: object) -> None:
        await queue.disconnect()

    async def post(self, task: str, message: Any) -> Any:
        return await queue.enqueue(task, message=message)

    async def result(self, job: Any) -> Any:
        """Its notification is lost when the job ends just before the subscription, so it is asked again."""
        for _ in range(LIMIT):
            with suppress(TimeoutError):
                await job.refresh(until_complete=1)
                return job.result
        raise TimeoutError

    def stored(self, server: Server) -> int:
        """A job leaves this set in the transaction that stores its result."""
        return -server.number("ZCARD saq:default:incomplete")
