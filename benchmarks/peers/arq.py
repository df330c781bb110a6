"""arq, polling every 5 ms on both sides: it has nothing but polls, and half a second by default."""

import asyncio
from typing import Any, Self

from arq import create_pool
from arq.connections import RedisSettings

from benchmarks.peers.adapter import LIMIT, SLOTS, URL, Adapter, noted
from benchmarks.peers.probes import Server

POLL = 0.005
QUIET = {"version": 1, "disable_existing_loggers": False, "loggers": {"arq": {"level": "WARNING"}}}


async def echo(ctx: dict[str, Any], message: Any) -> Any:  # noqa: ARG001
    return noted(message)


async def nap(ctx: dict[str, Any], seconds: float) -> float:  # noqa: ARG001
    await asyncio.sleep(seconds)
    return seconds


class WorkerSettings:
    functions = (echo, nap)
    redis_settings = RedisSettings.from_dsn(URL)
    max_jobs = SLOTS
    poll_delay = POLL


def worker(pool: str, slots: int) -> list[str]:  # noqa: ARG001 - the settings above know them
    return ["arq", "benchmarks.peers.arq.WorkerSettings", "--custom-log-dict", "benchmarks.peers.arq.QUIET"]


class Client(Adapter):
    async def __aenter__(self) -> Self:
        self.pool = await create_pool(RedisSettings.from_dsn(URL))
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.pool.aclose()

    async def post(self, task: str, message: Any) -> Any:
        return await self.pool.enqueue_job(task, message)

    async def result(self, job: Any) -> Any:
        return await job.result(timeout=LIMIT, poll_delay=POLL)

    def stored(self, server: Server) -> int:
        """A job leaves the queue in the transaction that stores its result."""
        return -server.number("ZCARD arq:queue")
