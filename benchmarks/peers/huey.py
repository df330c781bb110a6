"""Huey with Redis, blocking pop, and results that tell whoever waits for them."""

import time
from typing import Any

from huey import RedisHuey

from benchmarks.peers.adapter import LIMIT, URL, Adapter, noted
from benchmarks.peers.probes import Server

huey = RedisHuey("bench", url=URL, blocking=True, notify_result=True)


@huey.task()
def echo(message: Any) -> Any:
    return noted(message)


@huey.task()
def nap(seconds: float) -> float:
    time.sleep(seconds)
    return seconds


TASKS = {"echo": echo, "nap": nap}


def worker(pool: str, slots: int) -> list[str]:
    return ["huey_consumer", "benchmarks.peers.huey.huey", "--worker-type", pool, "--workers", str(slots), "--quiet"]


class Client(Adapter):
    async def post(self, task: str, message: Any) -> Any:
        return TASKS[task](message)

    async def result(self, job: Any) -> Any:
        return job.get(blocking=True, timeout=LIMIT)

    def stored(self, server: Server) -> int:
        return server.number("HLEN huey.results.bench")
