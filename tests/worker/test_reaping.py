"""`create_reaper`: the limit that a user sets on an attempt."""

import threading
from collections.abc import Callable
from typing import Any

import pytest

from mlq import MLQ, InputError, JobFailed

pytestmark = pytest.mark.slow


def test_overrun_attempts_are_ended_requeued_and_buried(mlq: MLQ) -> None:
    """The job runs again as often as was allowed, then is a dead letter with the reason; its slot is replaced."""
    runs, go_on = [], threading.Event()

    def too_long(message: Any, context: Any) -> None:
        runs.append(context.full_message["retries"])
        go_on.wait(20)

    def quick(message: Any) -> str:
        return "quick"

    mlq.create_listener(too_long)
    mlq.create_listener(quick)
    mlq.create_reaper(call_how_often=0.1, job_timeout=0.4, max_retries=2)
    job = mlq.submit(1, functions=["too_long"])
    with pytest.raises(JobFailed, match=r"ran longer than 0\.4") as caught:
        job.result(60)
    assert caught.value.reason == "timeout"
    assert runs == [0, 1, 2]
    assert [(letter.id, letter.reason, letter.attempts) for letter in mlq.dead_letters()] == [(job.id, "timeout", 3)]
    assert mlq.submit(1, functions=["quick"]).result(60) == "quick"  # the only slot was given back thrice
    before = mlq.get_job(job.id)
    go_on.set()  # the abandoned listeners return; nobody hears
    assert mlq.submit(1, functions=["quick"]).result(60) == "quick"
    assert mlq.get_job(job.id) == before


def test_a_second_call_replaces_the_limit(mlq: MLQ) -> None:
    """And a job under the limit is left alone."""
    mlq.create_listener(lambda message: threading.Event().wait(message))
    mlq.create_reaper(0.05, 0.1, 0)
    mlq.create_reaper(0.05, 30, 0)
    assert mlq.submit(0.5).result(60) is False


def test_too_many_stuck_threads_end_the_worker_for_its_supervisor(
    start: Callable[..., Any], mlq: MLQ, tell: Any
) -> None:
    """Exit code 70 once eight listeners run on though their jobs were taken."""
    mlq.post_many(["wait"] * 8)
    worker = start(concurrency=8, reaper=[0.2, 0.5, 0])
    assert worker.wait(15) == 70
    assert len(mlq.dead_letters()) == 8


@pytest.mark.parametrize("arguments", [(0, 1, 1), (1, -1, 1), (1, 1, -1), (1, 1, 1.5), ("1", 1, 1), (None, 1, 1)])
def test_limits_that_make_no_sense_are_refused(mlq: MLQ, arguments: tuple[Any, ...]) -> None:
    """At once, in words."""
    with pytest.raises(InputError):
        mlq.create_reaper(*arguments)
