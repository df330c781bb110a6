"""Celery with Redis as broker and as result backend; JSON, early acknowledgement and prefetching as by default."""

import time
from typing import Any

from celery import Celery

from benchmarks.peers.adapter import LIMIT, URL, Adapter, noted
from benchmarks.peers.probes import Server

app = Celery("benchmarks.peers.celery", broker=URL, backend=URL)
app.conf.broker_connection_retry_on_startup = True  # silences a warning, changes nothing here


@app.task
def echo(message: Any) -> Any:
    return noted(message)


@app.task
def nap(seconds: float) -> float:
    time.sleep(seconds)
    return seconds


TASKS = {"echo": echo, "nap": nap}


def worker(pool: str, slots: int) -> list[str]:
    kind = {"thread": "threads", "process": "prefork"}[pool]
    return ["celery", "--app", "benchmarks.peers.celery", "worker", "--pool", kind, "--concurrency", str(slots)]


class Client(Adapter):
    async def post(self, task: str, message: Any) -> Any:
        return TASKS[task].delay(message)

    async def result(self, job: Any) -> Any:
        return job.get(timeout=LIMIT)

    def stored(self, server: Server) -> int:
        """A key for each result; the broker's own keys come and go."""
        return server.number("DBSIZE") - server.number("EXISTS celery unacked unacked_index unacked_mutex")
