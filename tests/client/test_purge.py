"""Removing jobs that ended long ago."""

import asyncio

import pytest

from mlq import AsyncMLQ, InputError, State
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
