"""Batches in every pool: jobs that wait together run together, and each has its own outcome."""

import contextlib

import pytest

from mlq import JobCancelled, JobFailed, State

pytestmark = pytest.mark.slow


@contextlib.contextmanager
def busy(shared):
    """The worker's one slot is taken within the block; what is posted meanwhile waits."""
    blocker = shared.mlq.submit("this", functions=["waits"])
    shared.tell.heard("begun")
    yield
    shared.tell.say("end this")
    blocker.result(60)


@pytest.mark.parametrize("name", ["together", "together_async"])
def test_what_waits_together_runs_together(shared, name):
    with busy(shared):
        jobs = [shared.mlq.submit(n, functions=[name]) for n in range(11)]
    assert [job.result(60) for job in jobs] == [[n, 8] for n in range(8)] + [[n, 3] for n in range(8, 11)]
    assert shared.mlq.submit("alone", functions=[name]).result(60) == ["alone", 1]


@pytest.mark.parametrize("name", ["together", "together_async"])
def test_an_error_concerns_the_job_to_blame(shared, name):
    with busy(shared):
        jobs = [shared.mlq.submit(n, functions=[name]) for n in ("a", "return error", "b", "c", "raise", "d")]
    errors = {1: KeyError, 4: ZeroDivisionError}
    for number, job in enumerate(jobs):
        if number in errors:
            with pytest.raises(errors[number]):
                job.result(60)
        else:
            assert job.result(60)[0] == "abbccd"[number]
    assert [len(shared.mlq.get_job(job.id)["attempts"]) for job in jobs] == [1] * 6


def test_large_messages(shared):
    """Each comes by itself, and the batch waits for all of them."""
    with busy(shared):
        jobs = [shared.mlq.submit(b"x" * size, functions=["together_lengths"]) for size in (200_000, 10, 300_000)]
    assert [job.result(60) for job in jobs] == [[200_000, 3], [10, 3], [300_000, 3]]


def test_a_cancelled_job_leaves_the_others_running(shared):
    with busy(shared):
        jobs = [shared.mlq.submit(n, functions=["together_until_told"]) for n in range(4)]
    assert shared.tell.heard("batch") == "4"
    jobs[1].cancel()
    with pytest.raises(JobCancelled):
        jobs[1].result(60)
    shared.tell.say("go on")
    (process,) = {job.result(60) for job in jobs if job is not jobs[1]}
    assert shared.mlq.submit(0, functions=["together"]).result(60) == [0, 1]
    if shared.pool == "process":
        assert process in shared.worker.children()  # it was not killed for the one that was cancelled


def test_a_batch_that_takes_too_long_ends_for_all(shared):
    with busy(shared):
        jobs = [shared.mlq.submit(n, functions=["together_until_told"], timeout=1, retries=0) for n in range(3)]
    assert shared.tell.heard("batch") == "3"
    for job in jobs:
        with pytest.raises(JobFailed, match="ran longer than its limit of 1 s"):
            job.result(60)
    if shared.pool in ("process", "gevent"):  # its child is killed, or its greenlet
        assert shared.mlq.submit(0, functions=["together"]).result(60) == [0, 1]
    shared.tell.say("go on")
    assert shared.mlq.submit(0, functions=["together"]).result(60) == [0, 1]
    with contextlib.suppress(AssertionError):
        shared.tell.heard("go on", 1)  # where nobody was left to hear it


def test_who_kills_its_process_does_so_alone_in_the_end(begin, mlq):
    """The batch is run again in halves; the others lose nothing but time."""
    jobs = [mlq.submit(n, functions=["together_deadly"]) for n in ("a", "b", "c", "die", "d", "e", "f", "g")]
    begin("process")
    assert [job.result(60) for job in jobs if job is not jobs[3]] == list("abcdefg")
    with pytest.raises(JobFailed) as caught:
        jobs[3].result(60)
    assert caught.value.reason == "lost"
    assert [letter.id for letter in mlq.dead_letters()] == [jobs[3].id]
    assert {mlq.get_job(job.id)["state"] for job in jobs if job is not jobs[3]} == {State.SUCCEEDED}
    assert max(len(mlq.get_job(job.id)["attempts"]) for job in jobs if job is not jobs[3]) <= 4
