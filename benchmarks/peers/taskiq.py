"""taskiq with the acknowledging stream broker and result backend of taskiq-redis; a client polls every 5 ms."""

import asyncio
from typing import Any, Self

from taskiq_redis import RedisAsyncResultBackend, RedisStreamBroker

from benchmarks.peers.adapter import LIMIT, URL, Adapter, noted
from benchmarks.peers.probes import Server

broker = RedisStreamBroker(URL).with_result_backend(RedisAsyncResultBackend(URL))


@broker.task
async def echo(message: Any) -> Any:
    return noted(message)


@broker.task
async def nap(seconds: float) -> float:
    await asyncio.sleep(seconds)
    return seconds


TASKS = {"echo": echo, "nap": nap}


def worker(pool: str, slots: int) -> list[str]:  # noqa: ARG001 - it has one pool
    return ["taskiq", "worker", "benchmarks.peers.taskiq:broker", "--workers", "1", "--max-async-tasks", str(slots),
            "--log-level", "WARNING"]  # fmt: skip


class Client(Adapter):
    binary = False

    async def __aenter__(self) -> Self:
        await broker.startup()
        return self

    async def __aexit__(self, *_: object) -> None:
        await broker.shutdown()

    async def post(self, task: str, message: Any) -> Any:
        return await TASKS[task].kiq(message)

    async def result(self, job: Any) -> Any:
        answer = await job.wait_result(check_interval=0.005, timeout=LIMIT)
        answer.raise_for_error()
        return answer.return_value

    def stored(self, server: Server) -> int:
        """A key for each result; the broker's lock comes and goes."""
        return server.number("DBSIZE") - server.number("EXISTS autoclaim:taskiq:taskiq")
