"""What a worker tells of the attempts that it ran."""

import signal
import time
from collections.abc import Callable
from typing import Any

import pytest

from mlq import MLQ, JobFailed
from mlq.ops.stats import OUTCOMES, QueueStats

pytestmark = pytest.mark.slow

SOON = 6.0  # seconds; workers tell every 3 s


def attempts(**counts: int) -> dict[str, int]:
    """All outcomes with how often they came."""
    return dict.fromkeys(OUTCOMES, 0) | {name.replace("_", " "): number for name, number in counts.items()}


def told(mlq: MLQ, queue: str, holds: Callable[[QueueStats], bool]) -> QueueStats:
    """The numbers of a queue once they are as they should be."""
    give_up = time.monotonic() + SOON
    while not (queue in (queues := mlq.stats().queues) and holds(queues[queue])):
        assert time.monotonic() < give_up, f"it was not told: {queues}"
        time.sleep(0.05)
    return queues[queue]


def test_a_worker_that_goes_on_tells_within_seconds(mlq: MLQ) -> None:
    mlq.create_listener(lambda message: 1 / message, concurrency=2)
    mlq.submit(1).result(60)
    found = told(mlq, "default", lambda queue: queue.attempts["succeeded"] == 1)
    assert (found.run.total, found.wait.total, found.workers, found.slots) == (1, 1, 1, 2)
    mlq.submit(2).result(60)
    assert told(mlq, "default", lambda queue: queue.attempts["succeeded"] == 2).run.total == 2


def test_a_worker_that_stops_tells_the_rest(mlq: MLQ) -> None:
    """At once: so the counts are exactly those of the runs, by outcome."""
    mlq.create_listener(lambda message: 1 / message, concurrency=4)
    jobs = [mlq.submit(message) for message in (1, 2, 4, 0, 0)]
    for job in jobs:
        _end(job)
    mlq.shutdown()
    found = mlq.stats().queues["default"]
    assert found.attempts == attempts(succeeded=3, error=2)
    assert found.run.total == found.wait.total == 5


def _end(job: Any) -> None:
    try:
        job.result(60)
    except (JobFailed, ZeroDivisionError):
        return


def test_pauses_before_retries_are_no_wait(mlq: MLQ) -> None:
    mlq.create_listener(lambda message: 1 / message)
    _end(mlq.submit(0, retries=1, backoff=4.0))
    mlq.shutdown()
    found = mlq.stats().queues["default"]
    assert found.attempts == attempts(error=2)
    assert found.wait.total == 1
    assert found.wait.seconds < 2  # the pause is at least that
    assert found.run.total == 2


def test_a_run_over_its_limit_is_measured_by_it(mlq: MLQ) -> None:
    mlq.create_listener(time.sleep)
    _end(mlq.submit(3.0, timeout=0.2))
    mlq.shutdown(grace=10)
    found = mlq.stats().queues["default"]
    assert found.attempts == attempts(timeout=1)
    assert 0.2 <= found.run.seconds < 3


def test_runs_that_are_handed_back_or_cancelled_are_counted_once(
    start: Callable[..., Any], mlq: MLQ, tell: Any
) -> None:
    one, other = mlq.submit("wait"), mlq.submit("wait")
    first = start(concurrency=2, grace=0)
    for _ in range(2):
        tell.heard("begun")
    one.cancel()
    first.signal(signal.SIGTERM)
    first.wait()
    last = start()
    tell.heard("begun")
    tell.end(last)
    other.result(60)
    last.signal(signal.SIGTERM)
    last.wait()
    assert mlq.stats().queues["default"].attempts == attempts(handed_back=1, cancelled=1, succeeded=1)


def test_a_run_lost_with_its_worker_is_counted_by_whoever_takes_it_back(start: Callable[..., Any], mlq: MLQ) -> None:
    job = mlq.submit("die")
    assert start(fault="listener").wait() == -signal.SIGKILL
    mlq.create_listener(lambda message: "rescued")
    assert job.result(60) == "rescued"
    mlq.shutdown()
    assert mlq.stats().queues["default"].attempts == attempts(lost=1, succeeded=1)


def test_numbers_of_what_runs(mlq: MLQ, start: Callable[..., Any], tell: Any) -> None:
    """Slots that are busy, jobs by queue, and the number to scale on."""
    for _ in range(3):
        mlq.post("wait")
    worker = start(concurrency=2)
    for _ in range(2):
        tell.heard("begun")
    give_up = time.monotonic() + SOON
    while (stats := mlq.stats()).busy < 2:
        assert time.monotonic() < give_up
        time.sleep(0.05)
    assert (stats.workers, stats.slots, stats.running, stats.waiting, stats.wanted) == (1, 2, 2, 1, 3)
    assert (stats.queues["default"].running, stats.queues["default"].waiting) == (2, 1)
    worker.kill()
    mlq._redis.delete(f"{{{mlq.namespace}}}:leases")
