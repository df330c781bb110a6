"""Claiming: order, batches, lanes, repeated calls, broken entries, wake-ups."""

import time

from mlq.core import codec
from mlq.core.job import Record
from mlq.core.states import State
from mlq.ops import jobs as job_ops
from mlq.ops import work as work_ops
from mlq.ops.work import WorkerClass


def test_claim_one(world, keys, about):
    """The job leaves its lane for a lease; the caller's reply is kept."""
    world.post()
    world.token(taken=True)
    claimed, changed = world.changes(work_ops.claim(keys, "w", 5, world.serving(), 60, 1))
    (one,) = claimed
    assert (one.id, one.attempt, one.token, one.worker, one.lease) == ("1", 1, "w.5", "w", "1:w.5")
    assert codec.unpack(Record.parse(one.record).message) == "message 0"
    assert changed == {
        "job:1": {"attempts": "1", "state": "running", "token": "w.5", "worker": "w", "started": about()},
        "lane:default": None,
        "lanes": None,
        "leases": {"1:w.5": about(60)},
        "replay:w": "5 1",
    }


def test_batch_is_oldest_first_and_bounded(world):
    """A claim takes as many as it has slots."""
    world.post(5)
    assert [one.id for one in world.claim(3)] == ["1", "2", "3"]
    assert [one.id for one in world.claim(3)] == ["4", "5"]
    assert world.claim(3) == []


def test_oldest_first_over_several_lanes(world):
    """Lanes are one line for a worker that serves them all."""
    for functions in (["a"], None, ["b"], ["a"], None, ["b", "a"]):
        world.post(functions=functions)
    assert [one.id for one in world.claim(2)] == ["1", "2"]
    assert [one.id for one in world.claim(10)] == ["3", "4", "5", "6"]
    assert not [name for name in world.look() if name.startswith("lane:")]


def test_only_what_is_served(world, keys):
    """A job that needs functions which this worker lacks stays where it is."""
    world.post(functions=["other"])
    world.post()
    served = world.serving(WorkerClass.of(["default"], ["default"], ["f"]))
    (one,) = world.run(work_ops.claim(keys, "w", 1, served, 60, 10))
    assert one.id == "2"
    assert world.look()["lane:default:other"] == {"1": 1.0}


def test_nothing_waits(world, keys):
    """A claim that finds nothing writes nothing."""
    assert world.changes(work_ops.claim(keys, "w", 1, world.serving(), 60, 10)) == ([], {})


def test_same_claim_again_gives_the_same_jobs(world, keys):
    """A claim whose reply was lost is sent again."""
    world.post(3)
    op = work_ops.claim(keys, "w", 1, world.serving(), 60, 2)
    claimed = world.run(op)
    again, changed = world.changes(op)
    assert [one._replace(started=0) for one in again] == [one._replace(started=0) for one in claimed]
    assert changed == {}


def test_same_claim_again_leaves_out_what_was_taken_away(world, keys):
    """A lease that was reaped before the claim was sent again is not given out twice."""
    world.post(2)
    op = work_ops.claim(keys, "w", 1, world.serving(), 60, 2)
    first, _ = world.run(op)
    world.lapse(first)
    world.watched()
    world.reap()
    assert [one.id for one in world.run(op)] == ["2"]


def test_entry_without_a_message_becomes_a_dead_letter(world, keys, about):
    """The queue goes on behind it."""
    world.post(2)
    world.raw.delete(keys.post + "1")
    claimed, changed = world.changes(work_ops.claim(keys, "w", 1, world.serving(), 60, 2))
    assert [one.id for one in claimed] == ["2"]
    assert changed["dead"] == {"1": about()}
    assert changed["job:1"]["state"] == "failed"
    assert changed["job:1"]["error_type"] == "mlq.errors.Undecodable"
    assert changed["leases"] == {"2:w.1": about(60)}
    assert changed["lane:default"] is None


def test_token_is_passed_on_when_work_is_left(world, keys):
    """The worker that took the wake token wakes the next one."""
    world.post(3)
    world.token(taken=True)
    world.run(work_ops.claim(keys, "w", 1, world.serving(), 60, 2))
    assert world.token()


def test_no_token_when_nothing_is_left(world, keys):
    """Nobody is woken for an empty lane."""
    world.post(2)
    world.token(taken=True)
    world.run(work_ops.claim(keys, "w", 1, world.serving(), 60, 2))
    assert not world.token()


def test_second_attempt_counts_on(world):
    """An attempt that lost its lease is followed by the next number, under a new token."""
    first = world.running()
    world.lapse(first)
    world.watched()
    world.reap()
    (second,) = world.claim()
    assert (second.id, second.attempt) == (first.id, 2)
    assert second.token != first.token


def test_errors_of_earlier_attempts_are_told(world, keys):
    """What counts for the job's retries: neither losses nor attempts that were handed back."""
    one = world.running()
    assert (one.attempt, one.errors) == (1, 0)
    for errors in (1, 2):
        world.settle(one, State.FAILED, None, retry_in=0.0)
        world.come_due()
        world.reap()
        (one,) = world.claim()
        assert (one.attempt, one.errors) == (errors + 1, errors)
    world.run(work_ops.hand_back(keys, [(one, True)]))
    (one,) = world.claim()
    assert (one.attempt, one.errors) == (4, 2)
    assert world.die(one)
    op = work_ops.claim(keys, "w", 1, world.serving(), 60, 1)
    for _ in ("first", "sent again"):
        (one,) = world.run(op)
        assert (one.attempt, one.errors) == (5, 2)


def test_scheduled_job_is_not_claimed(world):
    """Before its time."""
    world.scheduled()
    assert world.claim() == []


def test_lanes_of_named_queues(world, keys):
    """A worker names the queues that it serves; the order is that of the ids over all of them."""
    world.post(queue="slow")
    world.post()
    world.post(queue="slow", functions=["f"])
    served = world.serving(WorkerClass.of(["slow"], ["slow"], ["f"]))
    assert [one.id for one in world.run(work_ops.claim(keys, "w", 1, served, 60, 9))] == ["1", "3"]
    assert [world.run(job_ops.read(keys, str(i)))["queue"] for i in (1, 2, 3)] == ["slow", "default", "slow"]


def test_renew(world, keys, about):
    """Leases that stand get a new deadline, even one that ran out but was not taken; those that are gone are named."""
    world.post(3)
    one, two, gone = world.claim(3)
    world.lapse(two)
    world.raw.zrem(keys.leases, gone.lease)
    lost, changed = world.changes(work_ops.renew(keys, [one, two, gone], 600))
    assert lost == {gone.lease}
    assert changed == {"leases": {one.lease: about(600), two.lease: about(600)}}


def test_renew_many(world, keys):
    """A worker may hold a thousand."""
    world.post(1000)
    claimed = world.claim(1000)
    assert world.run(work_ops.renew(keys, claimed, 600)) == set()
    assert world.raw.zcount(keys.leases, time.time() + 500, "+inf") == 1000
