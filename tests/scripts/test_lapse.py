"""Attempts that nobody settles: handed back, reaped, overrun. Their jobs go back to their old places, or are buried."""

import time

import pytest

from mlq.ops import jobs as job_ops
from mlq.ops import work as work_ops

QUEUED_AGAIN = {"attempts": "1", "state": "queued"}


def test_hand_back_begun(world, keys):
    """The job is where it was; the run counts."""
    one = world.running()
    world.raw.delete(keys.wake + "default")
    stood, changed = world.changes(work_ops.hand_back(keys, [(one, True)]))
    assert stood == [True]
    assert changed == {
        "job:1": QUEUED_AGAIN | {"reason": "handed back"},
        "leases": None,
        "lane:default": {"1": 1.0},
        "wake:default": ["1"],
    }


def test_hand_back_not_begun(world, keys):
    """A run that never began does not count."""
    one = world.running()
    _, changed = world.changes(work_ops.hand_back(keys, [(one, False)]))
    assert changed["job:1"]["attempts"] == "0"
    assert world.claim()[0].attempt == 1


def test_hand_back_batch_with_a_lost_one(world, keys):
    """One lost lease does not hold up the others, and the order is the old one."""
    world.post(4)
    claimed = world.claim(3)
    world.raw.zrem(keys.leases, claimed[1].lease)
    assert world.run(work_ops.hand_back(keys, [(one, True) for one in reversed(claimed)])) == [True, False, True]
    assert [one.id for one in world.claim(9)] == ["1", "3", "4"]


def test_reap_puts_back_at_the_old_place(world, keys, about):
    """A lost lease costs its job nothing but time."""
    world.post(2)
    (one,) = world.claim()
    world.run(work_ops.progress(keys, one, b"\x05"))
    world.lapse(one)
    world.watched()
    world.raw.delete(keys.wake + "default")
    reaped, changed = world.changes(work_ops.reap(keys, 3.0, 2.0, 2))
    assert reaped == (1, 0)
    assert changed == {
        "job:1": QUEUED_AGAIN | {"reason": "lost", "losses": "1"},
        "leases": None,
        "lane:default": {"1": 1.0, "2": 2.0},
        "wake:default": ["1"],
        "reaping": {"at": about(), "hold": "0"},
    }


def test_reap_leaves_live_leases(world, keys):
    """However long the job takes."""
    one = world.running()
    world.overdue(one, 86_400)
    world.watched()
    reaped, changed = world.changes(work_ops.reap(keys, 3.0, 2.0, 2))
    assert (reaped.taken, changed.keys()) == (0, {"reaping"})


@pytest.mark.parametrize("last", [None, 100.0])
def test_reap_after_a_pause_gives_grace(world, keys, about, last):
    """When nobody looked, nobody may have been able to renew: leases get a little longer, but not for ever."""
    one = world.running()
    world.lapse(one)
    if last:
        world.raw.hset(keys.reaping, "at", time.time() - last)
    reaped, changed = world.changes(work_ops.reap(keys, 3.0, 2.0, 2))
    assert reaped.taken == 0
    assert changed == {"reaping": {"at": about(), "hold": about(2)}}
    assert world.reap().taken == 0
    world.raw.hset(keys.reaping, "hold", time.time() - 0.001)
    assert world.reap().taken == 1


def test_reap_bounds_its_work(world):
    """Many lapsed leases are taken in several calls."""
    world.post(5)
    for one in world.claim(5):
        world.lapse(one)
    world.watched()
    assert [world.reap(most=2).taken for _ in range(4)] == [2, 2, 1, 0]
    assert [one.id for one in world.claim(9)] == ["1", "2", "3", "4", "5"]


def test_reap_counts_due_callbacks(world):
    """A worker that looks learns that a callback waits for a sender."""
    world.settle(world.running(callback="http://localhost/"))
    world.watched()
    assert world.reap() == (0, 1)


def test_too_many_losses_make_a_dead_letter(world, keys, about):
    """With the reason, the callback, and word to those who wait."""
    world.post(callback="http://localhost/")
    for _ in range(3):
        (one,) = world.claim(worker="unlucky")
        world.run(job_ops.wait(keys, one.id, "alice", 10))
        world.lapse(one)
        world.watched()
        before = world.look()
        world.reap(losses=2)
    assert before["job:1"]["losses"] == "2"
    after = world.look()
    assert after["job:1"] == {
        "state": "failed",
        "attempts": "3",
        "losses": "3",
        "reason": "lost",
        "worker": "unlucky",
        "started": about(),
        "finished": about(),
        "error_type": "mlq.errors.LeaseLost",
        "error": "its worker died or was cut off in 3 attempts, the last one on unlucky",
    }
    assert after["dead"] == after["callbacks"] == {"1": about()}
    assert after["callback:1"]["success"] == "0"
    assert after["inbox:alice"] == ["1"]
    assert {"leases", "lane:default", "waiters:1"}.isdisjoint(after)
    assert not world.settle(one)


@pytest.mark.parametrize("record", [None, b"not a record"])
def test_reaped_job_without_a_readable_record_is_buried(world, keys, record):
    """It can't go back into a lane that nobody knows, and it must not count as running for ever."""
    one = world.running()
    world.raw.delete(keys.post + one.id)
    if record:
        world.raw.set(keys.post + one.id, record)
    world.lapse(one)
    world.watched()
    assert world.reap().taken == 1
    after = world.look()
    assert "leases" not in after
    assert (after["job:1"]["state"], list(after["dead"])) == ("failed", ["1"])


def test_reaped_job_waits_for_nothing(world, keys):
    """Its next attempt may be waited for by the job that the last one waited for."""
    world.post(2)
    one, two = world.claim(2)
    assert world.run(job_ops.wait(keys, two.id, "w", 10, one.id)) is None
    world.lapse(one)
    world.watched()
    world.reap()
    assert world.run(job_ops.wait(keys, one.id, "w", 10, two.id)) is None


def test_overrun_puts_back(world, keys):
    """The limit that a user asks for ends the attempt, whatever its lease."""
    world.post(2)
    long, short = world.claim(2)
    world.overdue(long, 100)
    world.overdue(short, 10)
    world.raw.delete(keys.wake + "default")
    (cursor, ended), changed = world.changes(work_ops.overrun(keys, 60.0, 5))
    assert (cursor, ended) == ("0", [long.id])
    assert changed == {
        "job:1": QUEUED_AGAIN | {"reason": "timeout", "overruns": "1"},
        "leases": {short.lease: pytest.approx(time.time() + 60, abs=20)},
        "lane:default": {"1": 1.0},
        "wake:default": ["1"],
    }
    assert not world.settle(long)
    assert world.settle(short)


def test_overrun_too_often_makes_a_dead_letter(world, keys, about):
    """One more time than is allowed, whatever else made it run again."""
    world.post(callback="http://localhost/")
    for attempt in (1, 2):
        (one,) = world.claim()
        assert one.attempt == attempt
        world.overdue(one, 100)
        _, changed = world.changes(work_ops.overrun(keys, 60.0, 1))
    assert changed["job:1"]["state"] == "failed"
    assert changed["job:1"]["reason"] == "timeout"
    assert changed["job:1"]["error_type"] == "builtins.TimeoutError"
    assert "ran longer than" in changed["job:1"]["error"]
    assert changed["dead"] == changed["callbacks"] == {"1": about()}
    assert changed["leases"] is None
    assert "lane:default" not in world.look()


def test_overrun_pages_through_many(world, keys):
    """Every attempt over the limit is found, over several calls."""
    world.post(500)
    for one in world.claim(500):
        world.overdue(one, 100)
    ended, cursor, calls = [], "", 0
    while cursor != "0":
        cursor, page = world.run(work_ops.overrun(keys, 60.0, 5, cursor or "0"))
        ended += page
        calls += 1
    assert sorted(map(int, ended)) == list(range(1, 501))
    assert calls > 1


def test_burying_a_job_with_long_options(world, keys):
    """The callback is found however many functions a job names."""
    world.post(callback="http://localhost/", functions=["f"] * 20_000)
    (one,) = world.claim()
    world.lapse(one)
    world.watched()
    world.reap(losses=0)
    after = world.look()
    assert after["job:1"]["state"] == "failed"
    assert after["callback:1"]["url"] == "http://localhost/"
    assert world.run(work_ops.reap(keys, 3.0, 2.0, 2)) == (0, 1)


def test_empty_lanes_are_dropped_when_there_are_very_many(world, keys):
    """The list of lanes stays short, workers learn of it, and no lane with work is lost."""
    world.post(functions=["busy"])
    world.raw.sadd(keys.lanes, *(f"default:f{i}" for i in range(300)))
    world.watched()
    before = world.lanes().version
    for _ in range(50):
        world.reap()
    left = world.raw.smembers(keys.lanes)
    assert b"default:busy" in left
    assert len(left) <= 101
    assert world.lanes().version != before
    assert [one.id for one in world.claim()] == ["1"]
