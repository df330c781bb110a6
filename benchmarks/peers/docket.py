"""docket, with its own result storage."""

import asyncio
from datetime import timedelta
from typing import Any, Self

from docket import Docket

from benchmarks.peers.adapter import LIMIT, URL, Adapter, noted
from benchmarks.peers.probes import Server


async def echo(message: Any) -> Any:
    return noted(message)


async def nap(seconds: float) -> float:
    await asyncio.sleep(seconds)
    return seconds


PLACE = f"{URL}?max_connections=300"  # with redis-py's own limit of 100, a worker of 100 slots stops for 5 s at a time
TASKS = {"echo": echo, "nap": nap}
collection = (echo, nap)


def worker(pool: str, slots: int) -> list[str]:  # noqa: ARG001 - it has one pool
    return ["docket", "worker", "--url", PLACE, "--tasks", "benchmarks.peers.docket:collection",
            "--concurrency", str(slots), "--logging-level", "WARNING"]  # fmt: skip


class Client(Adapter):
    bulk = True

    async def __aenter__(self) -> Self:
        self.docket = Docket(url=PLACE)
        await self.docket.__aenter__()
        for task in collection:
            self.docket.register(task)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.docket.__aexit__(None, None, None)

    async def post(self, task: str, message: Any) -> Any:
        return await self.docket.add(TASKS[task])(message)

    async def post_many(self, task: str, messages: list[Any]) -> list[Any]:
        return await self.docket.add_many(self.docket.call(TASKS[task])(message) for message in messages)

    async def result(self, job: Any) -> Any:
        return await job.get_result(timeout=timedelta(seconds=LIMIT))

    def stored(self, server: Server) -> int:
        """A job leaves the stream after its result was stored."""
        return -server.number("XLEN docket:stream")
