"""Time limits and cancellation of what runs, in every pool."""

import time

import pytest

from mlq import JobCancelled, JobFailed

pytestmark = pytest.mark.slow

SLOW = 3.5  # seconds that a record may take; what is cut off here would take 4 or more


def test_a_time_limit_of_a_job(shared):
    job = shared.mlq.submit(5, functions=["asks"], timeout=0.5)
    with pytest.raises((TimeoutError, JobFailed), match=r"limit of 0\.5 s"):
        job.result(60)
    assert shared.tell.heard("saw") == job.id
    _took(shared, job.id, 0.5)
    shared.tell.heard("begun")
    assert shared.mlq.submit(1, functions=["echo"]).result(60) == 1


def test_a_time_limit_of_a_listener(shared):
    job = shared.mlq.submit(5, functions=["hurries"])
    with pytest.raises((TimeoutError, JobFailed), match=r"limit of 0\.4 s"):
        job.result(60)
    assert shared.tell.heard("saw") == job.id
    _took(shared, job.id, 0.4)
    shared.tell.heard("begun")
    within = shared.mlq.submit(0.1, functions=["hurries"])
    assert within.result(60) == "not cancelled"
    shared.tell.heard("begun")


def _took(shared, job_id, limit):
    kept = shared.mlq.get_job(job_id)
    assert (kept["state"], kept["reason"]) == ("failed", "timeout")
    assert limit <= kept["processing_finished"] - kept["processing_started"] < limit + SLOW


def test_a_listener_that_does_not_ask_runs_out_of_time_too(shared):
    job = shared.mlq.submit(4.0, functions=["sleeps"], timeout=0.3)
    with pytest.raises((TimeoutError, JobFailed), match="limit"):
        job.result(60)
    _took(shared, job.id, 0.3)
    shared.tell.heard("begun")
    assert shared.mlq.submit(1, functions=["echo"]).result(60) == 1


@pytest.mark.parametrize("kind", ["thread", "asyncio", "solo"])
def test_a_listener_that_holds_the_gil_runs_out_of_time_too(kind, workers):
    """It returns before the thread that watches the time has its turn, or just after it."""
    shared = workers(kind)
    for _ in range(3):
        job = shared.mlq.submit(1, functions=["holds_the_gil"], timeout=0.2)
        with pytest.raises((TimeoutError, JobFailed), match=r"limit of 0\.2 s"):
            job.result(60)
        assert shared.mlq.get_job(job.id)["reason"] == "timeout"
        shared.tell.heard("begun")


def test_an_attempt_that_took_too_long_is_retried(shared):
    job = shared.mlq.submit(5, functions=["asks"], timeout=0.2, retries=1, backoff=0.05)
    with pytest.raises((TimeoutError, JobFailed)):
        job.result(60)
    runs = shared.mlq.get_job(job.id)["attempts"]
    assert [(run["attempt"], run["reason"]) for run in runs] == [(1, "timeout"), (2, "timeout")]
    for _ in range(2):
        assert shared.tell.heard("saw") == job.id
        shared.tell.heard("begun")


@pytest.mark.parametrize("name", ["asks", "sleeps_async"])
def test_cancelling_what_runs(shared, name):
    """It is recorded at once, and the next job gets the slot."""
    job = shared.mlq.submit(4, functions=[name])
    shared.tell.heard("begun")
    begun = time.monotonic()
    following = shared.mlq.submit(1, functions=["echo"])
    job.cancel()
    with pytest.raises(JobCancelled):
        job.result(60)
    assert time.monotonic() - begun < SLOW
    kept = shared.mlq.get_job(job.id)
    assert (kept["state"], kept["reason"]) == ("cancelled", "cancelled")
    if name == "asks":
        assert shared.tell.heard("saw") == job.id
        assert time.monotonic() - begun < SLOW
    if (shared.pool, name) != ("solo", "sleeps_async"):  # its thread can't be interrupted
        assert following.result(60) == 1
        assert time.monotonic() - begun < SLOW
    assert following.result(60) == 1
    assert job.state() == "cancelled"


def test_a_coroutine_is_cancelled_where_it_can_be(workers):
    shared = workers("asyncio")
    job = shared.mlq.submit(30, functions=["minds_its_cancellation"])
    shared.tell.heard("begun")
    job.cancel()
    assert shared.tell.heard("saw") == "CancelledError"


@pytest.mark.parametrize("name", ["awaits", "awaits_async"])
def test_a_cancelled_job_that_waits_lets_go(shared, name):
    """A listener that waits for another job hears of it, and its slot is not lost."""
    never = shared.mlq.submit(1, functions=["nobody"])
    job = shared.mlq.submit(never.id, functions=[name])
    shared.tell.heard("begun")
    assert shared.mlq.submit(1, functions=["echo"]).result(60) == 1
    job.cancel()
    for _ in range(3):
        assert shared.mlq.submit(1, functions=["echo"]).result(60) == 1
    assert job.state() == "cancelled"
    never.cancel()
