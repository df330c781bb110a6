"""RQ with a pool of workers, each of which forks for every job, as is its way."""

import time
from typing import Any

from redis import Redis
from rq import Queue

from benchmarks.peers.adapter import LIMIT, URL, Adapter, noted
from benchmarks.peers.probes import Server


def echo(message: Any) -> Any:
    return noted(message)


def nap(seconds: float) -> float:
    time.sleep(seconds)
    return seconds


TASKS = {"echo": echo, "nap": nap}


def worker(pool: str, slots: int) -> list[str]:  # noqa: ARG001 - it has processes only
    return ["rq", "worker-pool", "--url", URL, "--num-workers", str(slots), "--logging-level", "WARNING"]


class Client(Adapter):
    bulk = True

    def __init__(self) -> None:
        self.queue = Queue(connection=Redis.from_url(URL))

    async def post(self, task: str, message: Any) -> Any:
        return self.queue.enqueue(TASKS[task], message)

    async def post_many(self, task: str, messages: list[Any]) -> list[Any]:
        return self.queue.enqueue_many([Queue.prepare_data(TASKS[task], (message,)) for message in messages])

    async def result(self, job: Any) -> Any:
        return job.latest_result(timeout=LIMIT).return_value

    def stored(self, server: Server) -> int:
        return server.number("ZCARD rq:finished:default")
