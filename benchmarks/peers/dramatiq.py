"""Dramatiq with its Redis broker, and its results middleware with the Redis backend."""

import time
from typing import Any

import dramatiq
from dramatiq.brokers.redis import RedisBroker
from dramatiq.results import Results
from dramatiq.results.backends import RedisBackend

from benchmarks.peers.adapter import LIMIT, URL, Adapter, noted
from benchmarks.peers.probes import Server

broker = RedisBroker(url=URL)
broker.add_middleware(Results(backend=RedisBackend(url=URL)))
dramatiq.set_broker(broker)


@dramatiq.actor(store_results=True)
def echo(message: Any) -> Any:
    return noted(message)


@dramatiq.actor(store_results=True)
def nap(seconds: float) -> float:
    time.sleep(seconds)
    return seconds


TASKS = {"echo": echo, "nap": nap}


def worker(pool: str, slots: int) -> list[str]:
    processes, threads = (slots, 8) if pool == "process" else (1, slots)  # 8 threads a process are its default
    return ["dramatiq", "benchmarks.peers.dramatiq", "--processes", str(processes), "--threads", str(threads)]


class Client(Adapter):
    binary = False

    async def post(self, task: str, message: Any) -> Any:
        return TASKS[task].send(message)

    async def result(self, job: Any) -> Any:
        return job.get_result(block=True, timeout=LIMIT * 1000)

    def stored(self, server: Server) -> int:
        """A message leaves this hash when it is acknowledged, after its result was stored."""
        return -server.number("HLEN dramatiq:default.msgs")
