"""No queue: a loop of redis-py that takes up to 50 jobs at a time, runs them and stores the results in one pipeline.

What it has in hand when it dies is lost, and so are the results. It is the floor for what a queue adds.
"""

import json
import time
from collections.abc import Callable
from typing import Any

import redis

from benchmarks.peers.adapter import LIMIT, URL, Adapter, noted
from benchmarks.peers.probes import Server

MOST = 50  # jobs of one turn


def echo(message: Any) -> Any:
    return noted(message)


def nap(seconds: float) -> float:
    time.sleep(seconds)
    return seconds


TASKS: dict[str, Callable[[Any], Any]] = {"echo": echo, "nap": nap}


def worker(pool: str, slots: int) -> list[str]:  # noqa: ARG001
    return ["python", "-m", "benchmarks.peers.bare"]


class Client(Adapter):
    binary = False

    def __init__(self) -> None:
        self.redis = redis.Redis.from_url(URL)
        self.number = 0

    async def post(self, task: str, message: Any) -> Any:
        self.number += 1
        self.redis.rpush("bare:jobs", json.dumps([self.number, task, message]))
        return self.number

    async def result(self, job: Any) -> Any:
        give_up = time.monotonic() + LIMIT
        while (packed := self.redis.hget("bare:results", str(job))) is None:
            if time.monotonic() > give_up:
                raise TimeoutError
        return json.loads(packed)

    def stored(self, server: Server) -> int:
        return server.number("HLEN bare:results")


def main() -> None:
    client = redis.Redis.from_url(URL)
    while True:
        found = client.lpop("bare:jobs", MOST) or client.blpop(["bare:jobs"], 1)
        if not found:
            continue
        taken = found if isinstance(found, list) else [found[1]]
        pipeline = client.pipeline(transaction=False)
        for packed in taken:
            number, task, message = json.loads(packed)
            pipeline.hset("bare:results", str(number), json.dumps(TASKS[task](message)))
        pipeline.execute()


if __name__ == "__main__":
    main()
