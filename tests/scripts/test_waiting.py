"""Waiting for jobs: no end is missed, and jobs never wait for one another in a circle."""

import pytest

from mlq.core.job import announced
from mlq.core.states import State
from mlq.errors import UnknownJob, WaitCircle
from mlq.ops import jobs as job_ops
from mlq.ops import work as work_ops


def test_wait_for_a_job_that_has_not_ended(world, keys):
    """The inbox is remembered for a little longer than until the asker asks again."""
    world.post()
    fields, changed = world.changes(job_ops.wait(keys, "1", "alice", 10))
    assert (fields, changed) == (None, {"waiters:1": {"alice"}})
    assert 20 < world.raw.ttl(keys.waiters + "1") <= 30


@pytest.mark.parametrize("state", [State.SUCCEEDED, State.FAILED])
def test_wait_for_a_job_that_ended(world, keys, state):
    """Its fields at once; the inbox gets the id too, for the command that already waits for it."""
    one = world.running()
    world.settle(one, state)
    fields, changed = world.changes(job_ops.wait(keys, "1", "alice", 10))
    assert fields["state"] == state.encode()
    assert changed == {"inbox:alice": ["1"]}
    assert 0 < world.raw.ttl(keys.inbox + "alice") <= 60


@pytest.mark.parametrize("alone", [True, False])
def test_what_an_earlier_question_left_goes(world, keys, alone):
    """Where the inbox serves one question at a time: an old item would be taken for the answer."""
    world.post()
    world.raw.rpush(keys.inbox + "alice", "old", "older")
    world.raw.expire(keys.inbox + "alice", 60)
    assert world.run(job_ops.wait(keys, "1", "alice", 10, alone=alone)) is None
    assert world.look().get("inbox:alice", []) == ([] if alone else ["old", "older"])
    assert world.raw.smembers(keys.waiters + "1") == {b"alice"}


def test_wait_for_a_job_that_is_scheduled(world, keys):
    """It has not ended."""
    world.scheduled()
    assert world.run(job_ops.wait(keys, "1", "alice", 10)) is None


def test_deleted_job_is_announced_without_an_outcome(world, keys):
    """The waiter asks, and learns that there is none."""
    world.failed()
    world.raw.sadd(keys.waiters + "1", "alice")
    world.run(job_ops.delete(keys, "1"))
    (item,) = world.raw.lrange(keys.inbox + "alice", 0, -1)
    assert announced(item) == ("1", None)


def test_outcome_asks_without_a_trace(world, keys):
    """Whoever only looks leaves nothing behind."""
    world.post()
    assert world.changes(job_ops.outcome(keys, "1")) == (None, {})


def test_wait_for_a_job_that_is_gone(world, keys):
    """An error, and the command that waits is answered."""
    before = world.look()
    with pytest.raises(UnknownJob):
        world.run(job_ops.wait(keys, "1", "alice", 10))
    assert world.look() == before | {"inbox:alice": ["1"]}


def test_job_that_waits_for_itself(world, keys):
    """The smallest circle."""
    one = world.running()
    with pytest.raises(WaitCircle, match="1"):
        world.run(job_ops.wait(keys, one.id, "w", 10, one.id))
    assert "waits_for" not in world.look()["job:1"]


def test_circle_of_three(world, keys):
    """The wait that would close it is refused and not recorded."""
    world.post(3)
    world.claim(3)
    assert world.run(job_ops.wait(keys, "2", "w", 10, "1")) is None
    assert world.run(job_ops.wait(keys, "3", "w", 10, "2")) is None
    with pytest.raises(WaitCircle):
        world.run(job_ops.wait(keys, "1", "w", 10, "3"))
    jobs = world.look()
    assert [jobs[f"job:{i}"].get("waits_for") for i in (1, 2, 3)] == ["2", "3", None]


def test_wait_that_is_over_makes_no_circle(world, keys):
    """A listener that went on may be waited for."""
    world.post(2)
    one, _two = world.claim(2)
    assert world.run(job_ops.wait(keys, "2", "w", 10, "1")) is None
    world.run(work_ops.waits_no_more(keys, one))
    assert world.run(job_ops.wait(keys, "1", "w", 10, "2")) is None


def test_many_may_wait_for_one(world, keys):
    """That is no circle."""
    world.post(3)
    world.claim(3)
    assert world.run(job_ops.wait(keys, "3", "w", 10, "1")) is None
    assert world.run(job_ops.wait(keys, "3", "w", 10, "2")) is None


def test_attempt_of_a_deleted_job_leaves_no_trace_of_it(world, keys):
    """A listener that runs on though its job is gone may wait, but brings nothing back."""
    one = world.running()
    world.post()
    world.raw.delete(keys.job + one.id, keys.post + one.id)
    world.run(job_ops.wait(keys, "2", "w", 10, one.id))
    assert keys.job.removeprefix(keys.root) + one.id not in world.look()


def test_a_large_result_is_read_without_a_script(world, keys):
    """The fields lack it, and another op completes them, unless the job has changed since."""
    one = world.running()
    (ending,) = [world.ending(one)]
    world.run(ending)
    large = bytes(70_000)
    world.raw.hset(keys.job + "1", "result", large)
    for op in (job_ops.wait(keys, "1", "", 10), job_ops.outcome(keys, "1")):
        fields = world.run(op)
        assert "result" not in fields
        whole = world.run(job_ops.large_result(keys, "1", fields))
        assert (whole["result"], whole["state"]) == (large, b"succeeded")
        assert "elsewhere" not in whole
    world.raw.hset(keys.job + "1", "finished", "1.5")
    assert world.run(job_ops.large_result(keys, "1", fields)) is None
    world.raw.delete(keys.job + "1")
    assert world.run(job_ops.large_result(keys, "1", fields)) is None


def test_a_small_result_needs_no_other_op(world, keys):
    world.settle(world.running())
    fields = world.run(job_ops.outcome(keys, "1"))
    assert fields["result"]
    assert job_ops.large_result(keys, "1", fields) is None


def test_who_only_waits_is_no_suspect(world, keys):
    """What ended its process together with others is not charged to it, and it is not run apart for that."""
    world.post(2)
    one, two = world.claim(2)
    world.run(work_ops.rest(keys, one))
    assert world.raw.hget(keys.job + "1", "waits_for") == b"0"
    with world.unchanged():
        world.run(work_ops.rest(keys, one))
    assert world.run(job_ops.wait(keys, "1", "w", 10, two.lease)) is None
    for _ in range(4):
        assert world.die(one, beside=1)
        assert world.raw.hmget(keys.job + "1", "losses", "shared", "waits_for") == [None, None, None]
        (one,) = world.claim()
        world.run(work_ops.rest(keys, one))
    world.run(work_ops.waits_no_more(keys, one))
    assert world.settle(one)


def test_a_lease_that_is_lost_notes_no_rest(world, keys):
    """The job may be gone."""
    one = world.running()
    world.settle(one)
    with world.unchanged():
        world.run(work_ops.rest(keys, one))
