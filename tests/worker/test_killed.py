"""Workers that die by SIGKILL: nothing is lost, and what was settled is not run again."""

import signal
import time
from collections.abc import Callable
from typing import Any

import pytest

from mlq import MLQ, JobFailed

pytestmark = pytest.mark.slow

AT_ANY_STEP = [
    "claim's reply is lost",
    "after the claim",
    "before begin",
    "listener",
    "outcome is not handed over",
    "before settle is sent",
    "settle's reply is lost",
]


def test_a_job_survives_its_workers_death_at_any_step(
    start: Callable[..., Any], namespace: str, server_url: str, raw: Any, subtests: pytest.Subtests
) -> None:
    """It runs again within 10 s and counts one retry; where the outcome was recorded already, it does not run again."""
    spaces = [f"{namespace}:{i}" for i in range(len(AT_ANY_STEP))]
    queues = [MLQ(space, url=server_url) for space in spaces]
    jobs = [queue.submit("die") for queue in queues]
    victims = [start(space=space, fault=fault) for space, fault in zip(spaces, AT_ANY_STEP, strict=True)]
    died = {}
    for fault, victim, queue in zip(AT_ANY_STEP, victims, queues, strict=True):
        assert victim.wait() == -signal.SIGKILL, fault
        died[fault] = time.monotonic()
        queue.create_listener(lambda message: "rescued")
    try:
        for fault, job, queue in zip(AT_ANY_STEP, jobs, queues, strict=True):
            with subtests.test(fault):
                settled = fault == "settle's reply is lost"
                assert job.result(timeout=12) == ("done" if settled else "rescued")
                assert time.monotonic() - died[fault] < 10
                assert queue.get_job(job.id)["retries"] == (0 if settled else 1)
                assert queue.job_count() == 0
                assert queue.dead_letters() == []
    finally:
        for queue, space in zip(queues, spaces, strict=True):
            queue.shutdown(grace=0)
            queue.clear()
            raw.delete(f"{{{space}}}:counter")


def test_a_job_that_kills_every_worker_becomes_a_dead_letter(start: Callable[..., Any], mlq: MLQ) -> None:
    """After three lost leases it stops taking workers down, and says why."""
    job = mlq.submit("die")
    for _ in range(3):
        assert start(fault="listener").wait(25) == -signal.SIGKILL
    start()
    with pytest.raises(JobFailed, match="worker died or was cut off in 3 attempts") as caught:
        job.result(timeout=15)
    assert caught.value.reason == "lost"
    assert [letter.id for letter in mlq.dead_letters()] == [job.id]
    assert mlq.get_job(job.id)["retries"] == 2


def test_other_jobs_of_a_killed_worker_run_again_too(start: Callable[..., Any], mlq: MLQ, tell: Any) -> None:
    """All of its slots, in one go."""
    ids = mlq.post_many(["wait"] * 8)
    victim = start(concurrency=8)
    for _ in range(8):
        tell.heard("begun")
    victim.kill()
    mlq.create_listener(lambda message: "rescued", concurrency=8)
    assert [mlq.wait(i, 12) for i in ids] == ["rescued"] * 8
    assert {mlq.get_job(i)["retries"] for i in ids} == {1}
