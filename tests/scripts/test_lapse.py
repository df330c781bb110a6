"""Attempts that nobody settles: handed back, reaped, overrun. Their jobs go back to their old places, or are buried."""

import time

import pytest

from mlq.core.job import Outcome, announced
from mlq.core.job_options import PLAIN
from mlq.core.states import State
from mlq.ops import jobs as job_ops
from mlq.ops import settling as settle_ops
from mlq.ops import work as work_ops
from mlq.running.outcomes import death

OFF = "its worker died or was cut off"


def queued_again(about, reason, why):
    """A job whose first attempt ended so; the attempt is remembered."""
    run = ["worker", about(), about(), reason, "", why, ""]
    return {"attempts": "1", "state": "queued", "reason": reason, "past:1": run}


def test_hand_back_begun(world, keys, about):
    """The job is where it was; the run counts."""
    one = world.running()
    world.token(taken=True)
    stood, changed = world.changes(work_ops.hand_back(keys, [(one, True)]))
    assert stood == [True]
    assert changed == {
        "job:1": queued_again(about, "handed back", "its worker stopped"),
        "leases": None,
        "lane:default": {"1": 1.0},
        "lanes": {"default"},
    }
    assert world.token()


def test_hand_back_not_begun(world, keys):
    """A run that never began does not count, and is not remembered."""
    one = world.running()
    _, changed = world.changes(work_ops.hand_back(keys, [(one, False)]))
    assert changed["job:1"] == {"state": "queued", "attempts": "0", "reason": "handed back"}
    assert world.run(job_ops.read(keys, "1"))["attempts"] == []
    assert world.claim()[0].attempt == 1


def test_hand_back_not_begun_keeps_earlier_runs(world, keys):
    """They did begin."""
    for begun in (True, False, False, True):
        (one,) = world.claim() or [world.running()]
        world.run(work_ops.hand_back(keys, [(one, begun)]))
    runs = world.run(job_ops.read(keys, "1"))["attempts"]
    assert [(run["attempt"], run["reason"]) for run in runs] == [(1, "handed back"), (2, "handed back")]


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
    world.tell(one, progress=b"\x05")
    world.lapse(one)
    world.watched()
    world.token(taken=True)
    reaped, changed = world.changes(work_ops.reap(keys, 3.0, 2.0, 2))
    assert reaped == (1, 0, None, 0, 0, None, None)
    assert changed == {
        "job:1": queued_again(about, "lost", OFF) | {"losses": "1"},
        "leases": None,
        "lane:default": {"1": 1.0, "2": 2.0},
        "reaping": {"at": about(), "hold": "0"},
    }
    assert world.token()


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
    assert world.reap() == (0, 1, None, 0, 0, None, None)


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
        world.come_due()
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
        "error": f"{OFF} in 3 attempts, the last one on unlucky",
        "past:1": ["unlucky", about(), about(), "lost", "", OFF, ""],
        "past:2": ["unlucky", about(), about(), "lost", "", OFF, ""],
    }
    assert after["dead"] == after["deliveries:callback"] == {"1": about()}
    assert after["delivery:callback:1"]["success"] == "0"
    *_, told = world.raw.lrange(keys.inbox + "alice", 0, -1)  # the others: that it goes on
    assert announced(told) == ("1", world.raw_job("1"))
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


def test_overrun_puts_back(world, keys, about):
    """The limit that a user asks for ends the attempt, whatever its lease."""
    world.post(2)
    long, short = world.claim(2)
    world.overdue(long, 100)
    world.overdue(short, 10)
    world.token(taken=True)
    (cursor, ended), changed = world.changes(work_ops.overrun(keys, 60.0, 5))
    assert (cursor, ended) == ("0", [long.id])
    assert changed == {
        "job:1": queued_again(about, "timeout", "ran longer than 60.0 s")
        | {"overruns": "1", "past:1": ["worker", about(-100), about(), "timeout", "", "ran longer than 60.0 s", ""]},
        "inbox:worker": [f"lost {long.lease}"],
        "leases": {short.lease: pytest.approx(time.time() + 60, abs=20)},
        "lane:default": {"1": 1.0},
        "lanes": {"default"},
    }
    assert world.token()
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
    assert changed["dead"] == changed["deliveries:callback"] == {"1": about()}
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
    assert after["delivery:callback:1"]["url"] == "http://localhost/"
    assert world.run(work_ops.reap(keys, 3.0, 2.0, 2)) == (0, 1, None, 0, 0, None, None)


# --- retries


def test_reap_tells_when_the_next_retry_is_due(world, keys):
    """Also when nothing may be taken back yet."""
    assert world.reap().retry_in is None
    world.scheduled()
    world.scheduled()
    world.raw.zadd(keys.scheduled, {"2": time.time() + 5})
    assert 0 < world.reap().retry_in <= 5
    world.watched()
    assert 0 < world.reap().retry_in <= 5


@pytest.mark.parametrize("watched", [True, False])
def test_reap_lines_up_retries_that_are_due(world, keys, watched):
    """At their old places, whether leases may be taken or not; a worker is woken."""
    world.scheduled()
    world.scheduled()
    world.post()
    world.raw.zadd(keys.scheduled, {"1": time.time() - 1})
    if watched:
        world.watched()
    world.token(taken=True)
    reaped, changed = world.changes(work_ops.reap(keys, 3.0, 2.0, 2))
    assert 500 < reaped.retry_in <= 600
    changed.pop("reaping")
    assert changed.pop("scheduled").keys() == {"2"}
    assert changed.pop("job:1")["state"] == "queued"
    assert changed == {"lane:default": {"1": 1.0, "3": 3.0}}
    assert world.token()
    assert [one.id for one in world.claim(9)] == ["1", "3"]


def test_reap_bounds_the_retries_of_a_call(world):
    """The next call is due at once."""
    for _ in range(5):
        world.scheduled()
    world.come_due()
    assert [world.reap(most=2).retry_in for _ in range(3)] == [0.0, 0.0, None]
    assert [one.id for one in world.claim(9)] == ["1", "2", "3", "4", "5"]


def test_reap_drops_a_retry_of_a_job_that_is_gone(world, keys):
    """Its time to live may have been over."""
    world.scheduled()
    world.raw.delete(keys.job + "1", keys.post + "1")
    world.come_due()
    assert world.reap().retry_in is None
    assert {"lane:default", "job:1", "scheduled"}.isdisjoint(world.look())


# --- history


def test_runs_are_remembered_in_order(world, keys, about):
    """With what each of them ended in; the one that runs comes last."""
    one = world.running()
    world.run(work_ops.hand_back(keys, [(one, True)]))
    (one,) = world.claim(worker="second")
    world.lapse(one)
    world.watched()
    world.reap()
    (one,) = world.claim(worker="third")
    world.settle(one, State.FAILED, None, retry_in=0.0)
    world.come_due()
    world.reap()
    world.claim(worker="fourth")
    runs = world.run(job_ops.read(keys, "1"))["attempts"]
    assert [(run["attempt"], run["worker"], run["reason"], run["error"]) for run in runs] == [
        (1, "worker", "handed back", "its worker stopped"),
        (2, "second", "lost", OFF),
        (3, "third", "error", "boom"),
        (4, "fourth", None, None),
    ]
    assert (runs[2]["error_type"], runs[2]["traceback"]) == ("builtins.ValueError", "trace")
    assert all(run["started"] == about() for run in runs)
    assert [run["finished"] for run in runs] == [about(), about(), about(), None]


def test_last_twenty_runs_are_remembered(world, keys):
    """A job that is handed back for ever does not grow."""
    world.post()
    for _ in range(25):
        (one,) = world.claim()
        world.run(work_ops.hand_back(keys, [(one, True)]))
    runs = world.run(job_ops.read(keys, "1"))["attempts"]
    assert [run["attempt"] for run in runs] == list(range(6, 26))


def test_texts_of_past_runs_are_cut(world, keys):
    """The beginning of an error, the end of a traceback."""
    one = world.running()
    fields = {"reason": "error", "error": "e" * 5000 + "E", "error_type": "t", "traceback": "T" + "x" * 20_000 + "Z"}
    ending = settle_ops.Ending(one, Outcome(State.FAILED, fields), PLAIN, retry_in=600.0)
    assert world.run(settle_ops.settle(keys, [ending], 2)) == [True]
    (run,) = world.run(job_ops.read(keys, "1"))["attempts"]
    assert run["error"] == "e" * 2000
    assert run["traceback"] == "x" * 7999 + "Z"


def test_texts_cut_in_the_middle_of_a_character_are_read(world, keys):
    """Redis cuts bytes."""
    one = world.running()
    ending = settle_ops.Ending(one, Outcome(State.FAILED, {"error": "x" + "\u00e4" * 5000}), PLAIN, retry_in=600.0)
    world.run(settle_ops.settle(keys, [ending], 2))
    (run,) = world.run(job_ops.read(keys, "1"))["attempts"]
    assert run["error"].startswith("x\u00e4")
    assert len(run["error"].encode()) < 2010
    assert run["reason"] is None


# --- attempts that died with their process


def test_dead_child_costs_a_loss(world, keys, about):
    """The job goes back to its old place, with the reason."""
    world.post(2)
    (one,) = world.claim()
    world.token(taken=True)
    op = settle_ops.settle(keys, [settle_ops.Ending(one, death("oom", "out of memory"), PLAIN, lost=True)], 2)
    stood, changed = world.changes(op)
    assert stood == [True]
    assert changed == {
        "job:1": queued_again(about, "oom", "out of memory") | {"losses": "1", "settled": one.token},
        "leases": None,
        "lane:default": {"1": 1.0, "2": 2.0},
    }
    assert world.token()
    with world.unchanged():
        assert world.run(op) == [True]


# --- alone or with others


def lose_all(world, *claimed):
    """Their worker died; what a look did."""
    for one in claimed:
        world.lapse(one)
    world.watched()
    return world.reap()


def losses(world, keys):
    """What counts of each job: its own losses, and those with others."""
    jobs = {name[4:]: fields for name, fields in world.look().items() if name.startswith("job:")}
    return {job_id: (int(job.get("losses", 0)), int(job.get("shared", 0))) for job_id, job in jobs.items()}


def test_those_lost_together_are_not_to_blame(world, keys):
    """Each of them may be the one; twice they run again as usual, and say with how many they were lost."""
    world.post(3)
    for worker in ("first", "second"):
        lose_all(world, *world.claim(3, worker))
        assert set(world.look()["lane:default"]) == set("123")
    assert losses(world, keys) == dict.fromkeys("123", (0, 2))
    runs = world.run(job_ops.read(keys, "1"))["attempts"]
    assert {run["error"] for run in runs} == {f"{OFF}, together with 2 other jobs"}
    reaped = lose_all(world, *world.claim(3, "third"))
    assert reaped.taken == 3
    assert "lane:default" not in world.look()
    assert world.reap().apart == 3


def test_one_worker_is_not_blamed_for_what_another_lost(world, keys):
    """Two workers, each with one job."""
    world.post(2)
    lose_all(world, *world.claim(1, "a"), *world.claim(1, "b"))
    assert losses(world, keys) == {"1": (1, 0), "2": (1, 0)}


def test_leases_that_run_out_one_after_the_other_were_lost_together(world, keys):
    """In later looks, and over the limit of one look."""
    world.post(4)
    first, *others = world.claim(4)
    lose_all(world, first)
    assert losses(world, keys)["1"] == (0, 1)
    for one in others:
        world.lapse(one)
    assert [world.reap(most=1).taken for _ in range(4)] == [1, 1, 1, 0]
    assert losses(world, keys) == dict.fromkeys("1234", (0, 1))
    runs = [world.run(job_ops.read(keys, job_id))["attempts"][0]["error"] for job_id in "1234"]
    assert runs == [f"{OFF}, together with 3 other jobs"] * 4


def test_what_was_lost_long_ago_is_no_company(world, keys):
    """A worker that was only cut off may lose a job alone later."""
    world.post(3)
    lose_all(world, *world.claim(2, "cut"))
    world.raw.delete(keys.lost + "cut")  # it lapses
    world.claim(2)
    lose_all(world, *world.claim(1, "cut"))
    assert losses(world, keys)["3"] == (1, 0)


def test_who_waits_for_another_job_is_not_the_cause(world, keys):
    """The other one is, and it alone."""
    world.post(2)
    waiting, killer = world.claim(2)
    assert world.run(job_ops.wait(keys, killer.id, "w", 10, waiting.id)) is None
    lose_all(world, waiting, killer)
    assert losses(world, keys) == {"1": (0, 0), "2": (1, 0)}
    assert set(world.look()["lane:default"]) == set("12")


def test_children_lost_with_others_are_not_charged(world, keys):
    """A child of the gevent pool has many runs."""
    world.post(2)
    for one in world.claim(2):
        assert world.die(one, beside=1)
    assert losses(world, keys) == {"1": (0, 1), "2": (0, 1)}


def test_a_job_that_only_ever_kills_beside_others_ends_all_the_same(world, keys):
    """However it manages not to be alone: after 20 losses with others each counts."""
    world.post()
    for _ in range(23):
        world.come_due()
        world.reap()
        (one,) = world.claim()
        assert world.look()["job:1"]["state"] == "running"
        assert world.die(one, beside=5)
    assert world.look()["job:1"]["state"] == "failed"


def test_one_run_at_most_is_one_run_at_most(world, keys):
    """Where no loss is allowed, one with others counts as well."""
    world.post(2)
    for one in world.claim(2):
        world.lapse(one)
    world.watched()
    world.reap(losses=0)
    assert set(world.look()["dead"]) == {"1", "2"}


# --- running apart


def apart(world, keys, **options):
    """A job that waits to run apart, after two losses of its own."""
    one = world.running(**options)
    world.raw.hset(keys.job + one.id, "losses", 1)
    assert world.die(one)
    return one


def test_after_its_second_loss_a_job_waits_to_run_apart(world, keys):
    """Nobody claims it with others; it is found by those that look."""
    one = apart(world, keys, functions=["f"])
    assert world.claim(9) == []
    assert world.run(work_ops.apart(keys, "w", 0)).jobs == [(one.id, "default:f", 0)]
    (again,) = world.run(work_ops.claim_apart(keys, "w", 1, one.id, 60))
    assert (again.id, again.attempt, again.worker) == (one.id, 2, "w")
    assert again.record == one.record
    assert world.run(work_ops.apart(keys, "w", 0)).jobs == []
    assert world.settle(again)
    assert world.look()["job:1"]["state"] == "succeeded"


def test_the_same_claim_apart_sent_again_gives_the_same_attempt(world, keys):
    """Its reply may have been lost."""
    one = apart(world, keys)
    op = work_ops.claim_apart(keys, "w", 1, one.id, 60)
    first = world.run(op)
    assert [again.lease for again in world.run(op)] == [again.lease for again in first]
    assert world.run(work_ops.claim_apart(keys, "other", 1, one.id, 60)) == []


def test_one_worker_at_a_time_makes_room(world, keys):
    """Until it gives the turn back, or is not heard of."""
    apart(world, keys)
    turns = [world.run(work_ops.apart(keys, worker, seconds)).my_turn
             for worker, seconds in [("a", 5), ("b", 5), ("a", 5), ("b", 0), ("b", 5), ("a", 0), ("b", 5)]]  # fmt: skip
    assert turns == [True, False, True, False, False, False, True]
    assert 0 < world.raw.pttl(keys.apart_turn) <= 5000


def test_there_is_no_turn_where_nothing_waits(world, keys):
    """It would stop a worker for nothing."""
    with world.unchanged():
        assert world.run(work_ops.apart(keys, "a", 5)) == (False, [])


def test_what_waited_an_hour_to_run_apart_runs_beside_others(world, keys):
    """No worker could see to it, and it must not wait for ever."""
    one = apart(world, keys)
    assert world.reap() == (0, 0, pytest.approx(1e11), 1, 0, None, None)
    world.raw.zincrby(keys.scheduled, -3601, one.id)
    world.reap()
    assert [again.id for again in world.claim(9)] == [one.id]


def test_what_waits_to_run_apart_can_be_cancelled_and_deleted(world, keys):
    """As everything that is scheduled."""
    one = apart(world, keys)
    world.run(job_ops.cancel(keys, one.id))
    assert world.run(work_ops.claim_apart(keys, "w", 1, one.id, 60)) == []
    assert world.reap().apart == 0
    two = apart(world, keys)
    world.raw.delete(keys.post + two.id)
    assert world.run(work_ops.apart(keys, "w", 0)).jobs == []


def test_dead_children_and_dead_workers_are_counted_together(world, keys):
    """The third loss makes a dead letter; it says what killed it, and sent again it is still 'ok'."""
    world.post(callback="http://localhost/")
    for attempt in (1, 2):
        (one,) = world.claim()
        if attempt == 1:
            assert world.die(one)
        else:
            world.lapse(one)
            world.watched()
            world.reap()
    world.come_due()
    world.reap()
    (one,) = world.claim(worker="unlucky")
    assert world.die(one)
    job = world.look()["job:1"]
    assert (job["state"], job["reason"], job["error_type"]) == ("failed", "oom", "mlq.errors.LeaseLost")
    assert job["error"] == "out of memory in 3 attempts, the last one on unlucky"
    assert world.look()["delivery:callback:1"]["success"] == "0"
    with world.unchanged():
        assert world.die(one)


def test_dead_child_of_a_job_whose_record_is_damaged(world, keys):
    """There is no lane to go back to."""
    one = world.running()
    world.raw.set(keys.post + "1", b"not a record")
    assert world.run(
        settle_ops.settle(keys, [settle_ops.Ending(one, death("lost", "the child died"), PLAIN, lost=True)], 2)
    ) == [True]
    after = world.look()
    assert (after["job:1"]["state"], after["job:1"]["error"]) == ("failed", "the child died")
    assert list(after["dead"]) == ["1"]
    assert "leases" not in after


def test_dead_child_without_its_lease_is_refused(world, keys):
    """Somebody else decides by now."""
    one = world.running()
    world.lapse(one)
    world.watched()
    world.reap()
    with world.unchanged():
        assert not world.die(one)
