"""Removing jobs that ended long ago."""

import asyncio

import pytest

from mlq import AsyncMLQ, InputError, JobCancelled, State
from mlq.ops import jobs as job_ops


@pytest.fixture
def ended(mlq, keys):
    """One job in each state, by state; those that ended did so an hour ago."""

    def work(message):
        if message == "fail":
            raise ValueError

    made = {State.QUEUED: mlq.post(1, functions=["nobody"]), State.CANCELLED: mlq.post(1, functions=["nobody"])}
    mlq.cancel(made[State.CANCELLED])
    mlq.listener(work)
    mlq.create_listener()
    for state, message in ((State.SUCCEEDED, "work"), (State.FAILED, "fail")):
        made[state] = mlq.post(message, functions=["work"])
        mlq.wait_end(made[state], 10)
    recent = mlq.post("work", functions=["work"])
    mlq.wait_end(recent, 10)
    for state in (State.CANCELLED, State.SUCCEEDED, State.FAILED):
        key = keys.job + made[state]
        mlq._redis.hset(key, "finished", f"{float(mlq._redis.hget(key, 'finished')) - 3600:.6f}")
    return made


def states(mlq):
    return sorted(job.state for job in mlq.jobs())


def test_those_that_ended_long_ago_are_removed(mlq, ended):
    assert mlq.purge(7200) == 0
    assert mlq.purge(1800) == 3
    assert states(mlq) == ["queued", "succeeded"]
    assert mlq.dead_letters() == []


def test_those_that_ended_in_one_state(mlq, ended):
    assert mlq.purge(1800, State.SUCCEEDED) == 1
    assert states(mlq) == ["cancelled", "failed", "queued", "succeeded"]


def test_on_an_event_loop(mlq, ended, server_url, namespace):
    async def check():
        async with AsyncMLQ(namespace, url=server_url) as client:
            return await client.purge(1800, State.FAILED), await client.purge(1800)

    assert asyncio.run(check()) == (1, 2)


def test_a_state_in_which_no_job_has_ended_is_refused(mlq):
    with pytest.raises(InputError, match="state must be one in which a job has ended"):
        mlq.purge(1, State.RUNNING)


def test_a_job_that_has_changed_meanwhile_is_left(mlq, ended, keys):
    """It was listed as cancelled, and has been requeued, and then failed."""
    job_id = ended[State.FAILED]
    assert mlq._shell.run(job_ops.purge(keys, job_id, "cancelled")) is False
    assert mlq._shell.run(job_ops.purge(keys, ended[State.QUEUED], "cancelled")) is False
    assert mlq.get_state(job_id) is State.FAILED


# Of a queue


def test_a_queue(mlq):
    """Whoever waits hears at once; the others stay."""
    jobs = [
        mlq.submit(number, queue="gpu", functions=functions)
        for number, functions in enumerate((None, ["f"], ["f", "g"]))
    ]
    other = mlq.submit(1)
    later = mlq.submit(1, queue="gpu", delay=60)
    assert mlq.purge(queue="gpu") == 3
    with pytest.raises(JobCancelled, match="was purged from its queue"):
        jobs[0].result(5)
    assert [one.state() for one in (*jobs, other, later)] == ["cancelled"] * 3 + ["queued", "scheduled"]
    assert mlq.get_job(jobs[1].id)["reason"] == "purged"
    assert [job.reason for job in mlq.jobs(State.CANCELLED)] == ["purged"] * 3
    assert mlq.purge(queue="gpu") == 0


def test_a_function(mlq):
    """In all queues, also where jobs name others beside it; or in one queue."""
    for queue in ("gpu", "cpu"):
        for functions in (None, ["f"], ["f", "g"], ["g"]):
            mlq.post(1, functions=functions, queue=queue)
    assert mlq.purge(queue="gpu", function="f") == 2
    assert mlq.purge(function="f") == 2
    assert mlq.job_count() == 4


def test_a_queue_for_asyncio(mlq, server_url, namespace):
    mlq.post_many([1] * 250, queue="gpu")

    async def purge():
        async with AsyncMLQ(namespace, url=server_url) as client:
            return await client.purge(queue="gpu")

    assert asyncio.run(purge()) == 250


def test_one_that_was_killed_midway(mlq):
    """What was cancelled is, the rest waits; the next one goes on."""
    mlq.post_many([1] * 250, queue="gpu")
    begun = mlq._purge("gpu", None)
    assert next(begun) == 100
    begun.close()
    assert mlq.counts().waiting == 150
    mlq.post(1, queue="gpu")
    assert mlq.purge(queue="gpu") == 151


@pytest.mark.parametrize(
    "given",
    [{}, {"older": 1, "queue": "gpu"}, {"queue": "gpu", "state": State.FAILED}, {"queue": "#rows"}, {"queue": "a,b"},
     {"function": "a,b"}, {"function": ""}],
)  # fmt: skip
def test_wrong_arguments_of_a_purge(mlq, given):
    mlq.post(1)
    with pytest.raises(InputError):
        mlq.purge(**given)
    assert mlq.job_count() == 1


def test_shares_are_purged_too(mlq):
    """Also those that are paused."""
    for share in ("a", "b"):
        mlq.post_many([1] * 3, queue="gpu", functions=["f"], share=share)
    mlq.pause(share="b")
    assert mlq.purge(queue="gpu", function="f") == 6
    assert mlq.job_count() == 0
