"""Recording outcomes: once, under the lease, with all that follows from it."""

import pytest

from mlq import codec
from mlq.errors import LeaseLost
from mlq.job import Outcome, Record
from mlq.ops import jobs as job_ops
from mlq.ops import work as work_ops
from mlq.states import State

RESULT = {"result": codec.pack(4), "short": codec.pack("four")}
ERROR = {"reason": "error", "error": "boom", "error_type": "builtins.ValueError"}


def settled(world, *outcomes):
    """The op that settles these."""
    return work_ops.settle(world.keys, [(one, outcome, Record.parse(one.record)) for one, outcome in outcomes])


def test_success(world, about):
    """The result is stored and the lease is gone; the token stays, to answer a repeated call."""
    one = world.running()
    stood, changed = world.changes(settled(world, (one, Outcome(State.SUCCEEDED, RESULT, "four"))))
    assert stood == [True]
    assert changed.keys() == {"job:1", "leases"}
    assert changed["leases"] is None
    assert changed["job:1"] == {
        "state": "succeeded",
        "attempts": "1",
        "token": one.token,
        "worker": "worker",
        "started": about(),
        "finished": about(),
        "result": "\x04",
        "short": "\\xa4four",
    }


def test_failure_is_a_dead_letter(world, about):
    """It waits for a person."""
    one = world.running()
    stood, changed = world.changes(settled(world, (one, Outcome(State.FAILED, ERROR))))
    assert stood == [True]
    assert changed.keys() == {"job:1", "leases", "dead"}
    assert changed["dead"] == {"1": about()}
    assert changed["job:1"]["state"] == "failed"
    assert changed["job:1"]["error"] == "boom"


@pytest.mark.parametrize("first", [State.SUCCEEDED, State.FAILED])
def test_same_outcome_again_is_ok_and_changes_nothing(world, first):
    """The reply was lost; the record was not."""
    one = world.running(callback="http://localhost/")
    assert world.settle(one, first)
    with world.unchanged():
        assert world.settle(one, first)


def test_second_outcome_of_the_same_attempt_changes_nothing(world):
    """Exactly one outcome."""
    one = world.running()
    assert world.settle(one, State.SUCCEEDED)
    with world.unchanged():
        world.settle(one, State.FAILED)


def test_without_the_lease_it_is_refused(world, keys):
    """Whoever lost the lease can write nothing."""
    one = world.running(callback="http://localhost/", ttl=5.0)
    world.lapse(one)
    world.watched()
    world.reap()
    with world.unchanged():
        assert not world.settle(one)
        with pytest.raises(LeaseLost):
            world.run(work_ops.progress(keys, one, codec.pack(50)))
        assert world.run(work_ops.hand_back(keys, [(one, True)])) == [False]
        assert world.run(work_ops.renew(keys, [one], 60)) == {one.lease}


def test_of_an_older_attempt_it_is_refused(world):
    """The token is of one attempt."""
    first = world.running()
    world.lapse(first)
    world.watched()
    world.reap()
    (second,) = world.claim()
    with world.unchanged():
        assert not world.settle(first)
    assert world.settle(second)
    with world.unchanged():
        assert not world.settle(first)


def test_of_a_deleted_job_it_is_refused(world, keys):
    """Nothing comes back to life."""
    one = world.failed()
    world.run(job_ops.delete(keys, one.id))
    with world.unchanged():
        assert not world.settle(one)


def test_batch_with_a_lost_one(world, keys):
    """One lost lease does not hold up the others."""
    world.post(3)
    claimed = world.claim(3)
    world.raw.zrem(keys.leases, claimed[1].lease)
    outcomes = [(one, Outcome(State.SUCCEEDED, RESULT, "four")) for one in claimed]
    stood, changed = world.changes(settled(world, *outcomes))
    assert stood == [True, False, True]
    assert changed.keys() == {"job:1", "job:3", "leases"}


@pytest.mark.parametrize("ttl", [0.0005, 1.001, 1.1, 2.0, 0.57, 1234.5678, 1e9])
def test_time_to_live_of_a_success(world, keys, ttl):
    """Any number of seconds will do; record and result lapse together, and the callback is queued as well."""
    one = world.running(ttl=ttl, callback="http://localhost/")
    assert world.settle(one)
    assert world.raw.zrange(keys.callbacks, 0, -1) == [b"1"]
    if ttl > 1:
        for name in (keys.job + "1", keys.post + "1"):
            assert ttl * 1000 - 2000 <= world.raw.pttl(name) <= ttl * 1000 + 1


def test_dead_letter_keeps_without_limit(world, keys):
    """A time to live is for successes."""
    world.failed(ttl=60.0)
    assert world.raw.ttl(keys.job + "1") == world.raw.ttl(keys.post + "1") == -1


@pytest.mark.parametrize(
    ("state", "said", "expected"),
    [
        (State.SUCCEEDED, "four", {"success": "1", "says": "1", "said": "four"}),
        (State.SUCCEEDED, "", {"success": "1", "says": "1", "said": ""}),
        (State.SUCCEEDED, None, {"success": "1", "says": "0", "said": ""}),
        (State.FAILED, None, {"success": "0", "says": "0", "said": ""}),
    ],
)
def test_callback_is_queued_in_the_same_step(world, keys, about, state, said, expected):
    """With what it is to say; it lapses after a day."""
    one = world.running(callback="http://localhost/done")
    _, changed = world.changes(settled(world, (one, Outcome(state, {}, said))))
    assert changed["callbacks"] == {"1": about()}
    assert changed["callback:1"] == expected | {"url": "http://localhost/done", "ended": about(), "tries": "0"}
    assert 86_000 < world.raw.ttl(keys.callback + "1") <= 86_400


def test_waiters_are_told(world, keys):
    """Each inbox gets the id; nobody is told twice."""
    one = world.running()
    for inbox in ("alice", "bob"):
        assert world.run(job_ops.wait(keys, one.id, inbox, 10)) is None
    _, changed = world.changes(settled(world, (one, Outcome(State.SUCCEEDED, RESULT, "four"))))
    assert (changed["inbox:alice"], changed["inbox:bob"], changed["waiters:1"]) == (["1"], ["1"], None)


def test_progress(world, keys):
    """What a running listener reports is one field."""
    one = world.running()
    _, changed = world.changes(work_ops.progress(keys, one, codec.pack(50)))
    assert changed["job:1"]["progress"] == "2"
    assert changed.keys() == {"job:1"}
    assert world.run(job_ops.glance(keys, "1")) == ("running", b"2")


def test_progress_after_the_end_is_refused(world, keys):
    """A result is not overwritten by a late report."""
    one = world.running()
    world.settle(one)
    with world.unchanged(), pytest.raises(LeaseLost):
        world.run(work_ops.progress(keys, one, codec.pack(50)))
