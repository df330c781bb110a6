"""Recording outcomes: once, under the lease, with all that follows from it."""

import pytest

from mlq.core import codec
from mlq.core.job import Outcome, Record, announced
from mlq.core.job_options import PLAIN
from mlq.core.states import State
from mlq.ops import jobs as job_ops
from mlq.ops import lists as list_ops
from mlq.ops import settling as settle_ops
from mlq.ops import work as work_ops
from mlq.ops.settling import Ending
from mlq.running.outcomes import death

RESULT = {"result": codec.pack(4), "short": codec.pack("four")}
ERROR = {"reason": "error", "error": "boom", "error_type": "builtins.ValueError"}


def settled(world, *outcomes):
    """The op that settles these."""
    endings = [Ending(one, outcome, Record.parse(one.record).options) for one, outcome in outcomes]
    return settle_ops.settle(world.keys, endings, 2)


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
        assert not world.tell(one, (1, "chunk", b"\x05"), progress=codec.pack(50))
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
    assert world.raw.zrange(keys.deliveries + "callback", 0, -1) == [b"1"]
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
    assert changed["deliveries:callback"] == {"1": about()}
    expected |= {"url": "http://localhost/done", "queued": about(), "tries": "0"}
    assert changed["delivery:callback:1"] == expected
    assert 86_000 < world.raw.ttl(keys.delivery + "callback:1") <= 86_400


def test_waiters_are_told(world, keys):
    """Each inbox gets the id and the outcome; nobody is told twice."""
    one = world.running()
    for inbox in ("alice", "bob"):
        assert world.run(job_ops.wait(keys, one.id, inbox, 10)) is None
    _, changed = world.changes(settled(world, (one, Outcome(State.SUCCEEDED, RESULT, "four"))))
    assert changed["waiters:1"] is None
    for inbox in ("alice", "bob"):
        (item,) = world.raw.lrange(keys.inbox + inbox, 0, -1)
        job_id, fields = announced(item)
        assert (job_id, fields) == ("1", world.raw_job("1"))


def test_progress(world, keys):
    """What a running listener reports is one field."""
    one = world.running()
    stood, changed = world.changes(work_ops.report(keys, one, codec.pack(50), []))
    assert stood
    assert changed["job:1"]["progress"] == "2"
    assert changed.keys() == {"job:1"}
    assert world.run(job_ops.glance(keys, "1")) == ("running", b"2")


def test_progress_after_the_end_is_refused(world, keys):
    """A result is not overwritten by a late report."""
    one = world.running()
    world.settle(one)
    with world.unchanged():
        assert not world.tell(one, progress=codec.pack(50))


# --- retries


def test_retry(world, keys, about):
    """The run is history, the job waits for its time, and those who follow it may look again."""
    one = world.running(callback="http://localhost/", ttl=5.0)
    world.tell(one, progress=b"\x05")
    world.run(job_ops.wait(keys, "1", "alice", 10))
    stood, changed = world.changes(world.ending(one, State.FAILED, None, retry_in=100.0))
    assert stood == [True]
    assert changed == {
        "job:1": {
            "state": "scheduled",
            "attempts": "1",
            "errors": "1",
            "reason": "error",
            "settled": one.token,
            "past:1": ["worker", about(), about(), "error", "builtins.ValueError", "boom", "trace"],
        },
        "leases": None,
        "scheduled": {"1": about(100)},
        "inbox:alice": ["1"],
    }
    assert world.raw.smembers(keys.waiters + "1") == {b"alice"}
    assert world.raw.ttl(keys.job + "1") == -1


def test_retry_again_is_ok_and_changes_nothing(world):
    """The reply was lost; also when the next attempt has begun, or has ended."""
    one = world.running()
    op = world.ending(one, State.FAILED, None, retry_in=100.0)
    assert world.run(op) == [True]
    with world.unchanged():
        assert world.run(op) == [True]
    world.come_due()
    world.reap()
    (two,) = world.claim()
    with world.unchanged():
        assert world.run(op) == [True]
    assert world.settle(two)
    with world.unchanged():
        assert world.run(op) == [True]
        assert world.settle(two)


def test_retry_without_the_lease_is_refused(world):
    """Somebody else decides by now."""
    one = world.running()
    world.lapse(one)
    world.watched()
    world.reap()
    with world.unchanged():
        assert not world.settle(one, State.FAILED, None, retry_in=100.0)


def test_retry_that_succeeds_leaves_no_reason(world, keys):
    """But its history tells."""
    world.scheduled()
    world.come_due()
    world.reap()
    (two,) = world.claim()
    assert world.settle(two)
    told = world.run(job_ops.read(keys, "1"))
    assert (told["state"], told["reason"], told["error"], told["retries"]) == ("succeeded", None, None, 1)
    assert [(run["attempt"], run["reason"]) for run in told["attempts"]] == [(1, "error"), (2, None)]


def test_batch_of_all_kinds(world, keys):
    """Each by its own verdict."""
    world.post(4)
    good, bad, again, dead = world.claim(4)
    boom = Outcome(State.FAILED, ERROR)
    endings = [
        Ending(good, Outcome(State.SUCCEEDED, RESULT), PLAIN),
        Ending(bad, boom, PLAIN),
        Ending(again, boom, PLAIN, retry_in=5.0),
        Ending(dead, death("lost", "gone"), PLAIN, lost=True),
    ]
    assert world.run(settle_ops.settle(keys, endings, 2)) == [True] * 4
    states = [world.run(job_ops.glance(keys, one.id))[0] for one in (good, bad, again, dead)]
    assert states == ["succeeded", "failed", "scheduled", "queued"]


def test_dead_letters_of_a_batch_are_in_its_order(world, keys):
    """Though they died at once."""
    world.post(101)
    boom = Outcome(State.FAILED, ERROR)
    world.run(settled(world, *((one, boom) for one in world.claim(101))))
    assert world.run(list_ops.dead_ids(keys)) == [b"%d" % i for i in range(1, 102)]


# --- what waiters are told


@pytest.mark.parametrize(
    ("fields", "travels"),
    [
        ({"result": b"x" * 8000}, True),
        ({"result": b"x" * 8192}, False),
        ({"result": b"x" * 5000, "short": b"x" * 5000}, False),
        (ERROR | {"traceback": "x" * 10_000}, True),
        (ERROR | {"traceback": "x" * 20_000}, False),
    ],
    ids=range(5),
)
def test_small_outcomes_travel_along(world, keys, fields, travels):
    """With all their fields; of a large one the waiter hears the id, and asks."""
    one = world.running()
    world.run(job_ops.wait(keys, "1", "alice", 10))
    state = State.FAILED if "error" in fields else State.SUCCEEDED
    world.run(settled(world, (one, Outcome(state, fields))))
    (item,) = world.raw.lrange(keys.inbox + "alice", 0, -1)
    assert announced(item) == ("1", world.raw_job("1") if travels else None)
