"""Celery's canvas with Redis as broker and as result backend; JSON."""

import time

from celery import Celery, chain, chord

from benchmarks.pipelines.systems.adapter import RELIABLE, URL, Adapter, joined, messages, ran

app = Celery("benchmarks.pipelines.systems.celery", broker=URL, backend=URL)
app.conf.broker_connection_retry_on_startup = True  # silences a warning, changes nothing here
if RELIABLE:
    app.conf.task_acks_late = True
    app.conf.task_reject_on_worker_lost = True
    app.conf.worker_prefetch_multiplier = 1
    app.conf.broker_transport_options = {
        "visibility_timeout": 5, "unacked_restore_interval": 2, "unacked_restore_throttle": 1,
    }  # fmt: skip
    app.conf.result_backend_transport_options = {"visibility_timeout": 5}


@app.task
def plain(seconds: float) -> float:
    time.sleep(seconds)
    ran("plain")
    return seconds


@app.task
def step(value: int) -> int:
    ran("step")
    return value + 1


@app.task
def part(number: int, index: int, seconds: float) -> int:
    time.sleep(seconds)
    ran("part", number, index)
    return number


@app.task
def join(numbers: list[int]) -> int:
    return joined(numbers)


def worker(pool: str, slots: int) -> list[str]:  # noqa: ARG001 - it has this one
    return ["celery", "--app", "benchmarks.pipelines.systems.celery", "worker", "--pool", "prefork",
            "--concurrency", str(slots)]  # fmt: skip


class Client(Adapter):
    async def plain(self, count: int, seconds: float = 0.0) -> None:
        for _ in range(count):
            plain.delay(seconds)

    async def chain(self, count: int, steps: int) -> None:
        for _ in range(count):
            chain(step.s(0), *(step.s() for _ in range(steps - 1)))()

    async def fan(self, number: int, parts: int, seconds: float = 0.0) -> None:
        chord(part.s(*each) for each in messages(number, parts, seconds))(join.s())

    async def depend(self, count: int) -> int:
        """They travel in the message of the task that they wait for."""
        plain.apply_async((0.0,), link=[plain.si(0.0) for _ in range(count)])
        return 1
