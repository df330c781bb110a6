"""RQ with `depends_on`; a worker forks for every job, as is its way."""

import time

from redis import Redis
from rq import Queue, Retry, get_current_job

from benchmarks.pipelines.systems.adapter import RELIABLE, URL, Adapter, joined, messages, ran

RETRY = Retry(max=10) if RELIABLE else None  # without it, a job whose worker died has failed


def plain(seconds: float) -> float:
    time.sleep(seconds)
    ran("plain")
    return seconds


def step() -> int:
    before = get_current_job().fetch_dependencies()
    ran("step")
    return before[0].return_value() + 1 if before else 0


def part(number: int, index: int, seconds: float) -> int:
    time.sleep(seconds)
    ran("part", number, index)
    return number


def join() -> int:
    return joined(each.return_value() for each in get_current_job().fetch_dependencies())


def worker(pool: str, slots: int) -> list[str]:  # noqa: ARG001 - it has processes only
    if RELIABLE:  # the pool's workers can't be told these; an idle worker looks for others' jobs every ttl - 15 s only
        often = ["--maintenance-interval", "5", "--job-monitoring-interval", "5", "--worker-ttl", "20"]
        return ["rq", "worker", "--url", URL, "--quiet", *often]
    return ["rq", "worker-pool", "--url", URL, "--num-workers", str(slots), "--logging-level", "WARNING"]


class Client(Adapter):
    def __init__(self) -> None:
        self.queue = Queue(connection=Redis.from_url(URL))

    async def plain(self, count: int, seconds: float = 0.0) -> None:
        self.queue.enqueue_many([Queue.prepare_data(plain, (seconds,), retry=RETRY) for _ in range(count)])

    async def chain(self, count: int, steps: int) -> None:
        for _ in range(count):
            before = self.queue.enqueue(step, retry=RETRY)
            for _ in range(steps - 1):
                before = self.queue.enqueue(step, depends_on=before, retry=RETRY)

    async def fan(self, number: int, parts: int, seconds: float = 0.0) -> None:
        wanted = [Queue.prepare_data(part, each, retry=RETRY) for each in messages(number, parts, seconds)]
        self.queue.enqueue(join, depends_on=self.queue.enqueue_many(wanted), retry=RETRY)

    async def depend(self, count: int) -> int:
        needed = self.queue.enqueue(plain, 0.0)
        self.queue.enqueue_many([Queue.prepare_data(plain, (0.0,), depends_on=needed) for _ in range(count)])
        return 1
