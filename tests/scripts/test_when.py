"""Jobs that may not begin at once, and jobs that must begin by a time: each by one act, with what changes.

A clock that jumps is the same as stored times that move: `come_due`, `run_out` and `clock_jumps` move them.
"""

import time

import pytest

from mlq.core import codec
from mlq.core.job_options import JobOptions, pack_body
from mlq.core.states import State
from mlq.errors import InputError, KeyReused
from mlq.ops import jobs as job_ops
from mlq.ops import work as work_ops


def state(world, job_id):
    return world.run(job_ops.glance(world.keys, job_id))[0]


def run_out(world, *job_ids):
    """Let the time be over by which these must have begun."""
    for job_id in job_ids:
        assert world.raw.zadd(world.keys.expiring, {job_id: time.time() - 1}, xx=True, ch=True)


def clock_jumps(world, seconds):
    """The server's clock is set, and somebody looked just before."""
    for name in (world.keys.scheduled, world.keys.expiring):
        for job_id in world.raw.zrange(name, 0, -1):
            world.raw.zincrby(name, -seconds, job_id)
    world.raw.hset(world.keys.reaping, mapping={"at": time.time() - seconds, "hold": 0})
    world.raw.expire(world.keys.reaping, 60)


def expired(world, job_id):
    """Whether it was cancelled because it had not begun, and nothing is kept of its times."""
    job = world.raw_job(job_id)
    assert world.raw.zscore(world.keys.expiring, job_id) is None
    return (job.get("state"), job.get("reason"), job.get("attempts", b"0")) == (b"cancelled", b"expired", b"0")


# --- not before a time


def test_delayed_post(world, keys, about):
    """It is in no lane, and wakes nobody."""
    world.serving()
    options = JobOptions.of({"delay": 600})
    op = job_ops.post(keys, "me", 7, "default", [options.body(None)], when=options.when)
    posted, changed = world.changes(op)
    assert changed == {
        "counter": "1",
        "post:1": ["default", about(), options.body(None).decode("utf-8", "backslashreplace")],
        "job:1": {"state": "scheduled"},
        "scheduled": {"1": about(600)},
        "replay:me": "7 1",
    }
    assert world.raw.zscore(keys.scheduled, "1") == pytest.approx(float(posted.stamp) + 600, abs=1e-5)
    assert not world.token()
    assert world.changes(op) == (posted, {})  # sent again
    assert world.claim() == []


def test_it_comes_due(world, keys):
    """Then it has its place among the others, and a worker is woken."""
    world.serving()
    delayed, plain = world.post(delay=600) + world.post()
    assert world.reap().retry_in == pytest.approx(600, abs=5)
    assert world.token(taken=True)
    world.come_due()
    assert world.reap().retry_in is None
    assert (state(world, delayed), world.token()) == (State.QUEUED, True)
    assert [one.id for one in world.claim(2)] == [delayed, plain]


def test_many_that_come_due(world):
    """As many as the look may move; the next one is due at once."""
    world.post(5, delay=600)
    world.come_due()
    assert world.reap(most=3).retry_in == 0
    assert len(world.claim(5)) == 3
    world.reap(most=3)
    assert len(world.claim(5)) == 2


@pytest.mark.parametrize(("ago", "then"), [(-600, State.SCHEDULED), (0, State.QUEUED), (50, State.QUEUED)])
def test_time(world, ago, then):
    """What is over for less than a minute is now."""
    (job_id,) = world.post(at=time.time() - ago)
    assert state(world, job_id) is then
    assert world.run(job_ops.read(world.keys, job_id))["due"] == (
        pytest.approx(time.time() + 600, abs=5) if then is State.SCHEDULED else None
    )


def test_time_long_past(world):
    with world.unchanged(), pytest.raises(InputError, match=r"more than a minute, by the server's clock; nothing was"):
        world.post(at=time.time() - 70)


def test_expiry_before_the_time(world):
    """Only the server can tell."""
    with world.unchanged(), pytest.raises(InputError, match="would expire before it may begin"):
        world.post(at=time.time() + 100, expires=50)
    world.post(at=time.time() + 100, expires=150)


def test_clock_set_back(world):
    """What waits for a time waits for longer, and nothing is lost; set right, it runs."""
    (job_id,) = world.post(delay=10)
    clock_jumps(world, -3600)
    assert world.reap().retry_in == pytest.approx(3610, abs=5)
    clock_jumps(world, 3620)
    world.reap()
    assert state(world, job_id) is State.QUEUED


def test_clock_set_forward(world):
    """By the new time, one is due and the other has expired."""
    (due,), (late,) = world.post(delay=3000), world.post(expires=3000)
    clock_jumps(world, 3600)
    world.reap()
    assert (state(world, due), expired(world, late)) == (State.QUEUED, True)


def test_cancelled_and_deleted_while_it_waits(world, keys):
    first, second = world.post(2, delay=600, expires=900)
    world.run(job_ops.cancel(keys, first))
    world.run(job_ops.delete(keys, second))
    seen = world.look()
    assert seen.keys() & {"scheduled", "expiring", "post:2", "job:2"} == set()
    assert world.reap().expires_in is None


def test_requeue_does_not_wait(world, keys):
    """A person asked for it, now."""
    (job_id,) = world.post(delay=600, expires=900)
    world.run(job_ops.cancel(keys, job_id))
    world.run(job_ops.requeue(keys, job_id))
    assert [one.id for one in world.claim()] == [job_id]


def test_retry_does_not_wait_for_the_delay(world):
    """Only for its pause."""
    world.post(delay=600)
    world.come_due()
    world.reap()
    assert world.settle(world.claim()[0], State.FAILED, None, retry_in=5.0)
    assert world.reap().retry_in == pytest.approx(5, abs=3)


def test_idempotency_key(world, keys):
    """The same post is the same job, even when its time is over; with another delay, it is another post."""
    due = JobOptions.of({"at": time.time() + 1})
    posted = world.run(job_ops.post_once(keys, "k", "default", due.body(1), when=due.when))
    over = due.when.replace(str(due.at), str(due.at - 1000))
    assert world.changes(job_ops.post_once(keys, "k", "default", due.body(1), when=over)) == (posted, {})
    other = JobOptions.of({"delay": 60})
    with world.unchanged(), pytest.raises(KeyReused):
        world.run(job_ops.post_once(keys, "k", "default", other.body(1), when=other.when))


def alive(world, count):
    """So many workers, of which the last ones were heard of last."""
    names = [f"w{i}" for i in range(count)]
    world.raw.zadd(world.keys.workers, {name: time.time() + i for i, name in enumerate(names)})
    world.raw.expire(world.keys.workers, 60)
    return names


def told(world, name):
    return [float(item.split()[1]) for item in world.raw.lrange(world.keys.inbox + name, 0, -1)]


@pytest.mark.parametrize("option", ["delay", "expires"])
def test_workers_are_told_of_what_is_soon(world, option):
    """Three of them: their own looks would be too late. Of what is later, all learn by themselves."""
    names = alive(world, 5)
    world.post(**{option: 60})
    assert not any(told(world, name) for name in names)
    world.post(2, **{option: 1.5})
    assert [told(world, name) for name in names] == [[], [], *[[pytest.approx(1.5, abs=0.1)]] * 3]


def test_inboxes_that_nobody_reads(world):
    """Get no more than a hundred messages."""
    alive(world, 1)
    world.raw.rpush(world.keys.inbox + "w0", *["x"] * 100)
    world.raw.expire(world.keys.inbox + "w0", 60)
    world.post(delay=1)
    assert world.raw.llen(world.keys.inbox + "w0") == 100


# --- only until a time


def test_expiring_post(world, keys, about):
    """It waits as others do, and its last moment is kept."""
    options = JobOptions.of({"expires": 600})
    _, changed = world.changes(job_ops.post(keys, "me", 7, "default", [options.body(None)], when=options.when))
    assert changed.keys() == {"counter", "post:1", "lane:default", "lanes", "expiring", "replay:me"}
    assert changed["expiring"] == {"1": about(600)}
    assert world.reap().expires_in == pytest.approx(600, abs=5)
    assert world.run(job_ops.read(keys, "1"))["expires"] == about(600)


@pytest.mark.parametrize("delay", [0, 300])
def test_it_expires(world, keys, delay):
    """Those who wait learn it at once; callback and webhook are as for other cancelled jobs. It is no dead letter."""
    (job_id,) = world.post(expires=600, delay=delay, callback="http://localhost/", webhook="http://localhost/")
    assert world.run(job_ops.wait(keys, job_id, "me", 10)) is None
    run_out(world, job_id)
    world.reap()
    assert expired(world, job_id)
    assert world.raw.lindex(keys.inbox + "me", 0).startswith(job_id.encode())
    seen = world.look()
    assert seen.keys() & {"lane:default", "lanes", "dead", "scheduled"} == set()
    assert (seen["delivery:callback:1"]["success"], seen["delivery:webhook:1"]["reason"]) == ("0", "expired")
    told = world.run(job_ops.read(keys, job_id))
    assert (told["state"], told["reason"], told["expires"], told["due"]) == ("cancelled", "expired", None, None)


def test_one_that_runs_does_not_expire(world, keys):
    """Nor does it afterwards; nothing is kept of its time when it has ended."""
    claimed = world.running(expires=600)
    run_out(world, "1")
    assert world.reap().expires_in == pytest.approx(60, abs=5)
    assert state(world, "1") is State.RUNNING
    assert world.settle(claimed)
    assert "expiring" not in world.look()


def test_a_retry_does_not_expire(world):
    """It has begun in time."""
    assert world.settle(world.running(expires=600), State.FAILED, None, retry_in=100.0)
    run_out(world, "1")
    world.reap()
    assert (state(world, "1"), world.look().get("expiring")) == (State.SCHEDULED, None)


@pytest.mark.parametrize("begun", [True, False])
def test_handed_back(world, begun):
    """If its listener had not begun, it expires, also when that was found out while a worker had it."""
    claimed = world.running(expires=600)
    run_out(world, "1")
    world.reap()
    world.run(work_ops.hand_back(world.keys, [(claimed, begun)]))
    if world.raw.zscore(world.keys.expiring, "1"):
        run_out(world, "1")
    world.reap()
    assert (state(world, "1") is State.QUEUED) == begun
    assert expired(world, "1") == (not begun)


def test_claimed_too_late(world, keys):
    """Nobody looked before: the worker tells it, and the attempt is as if it had never been."""
    (job_id,) = world.post(expires=600)
    (claimed,) = world.claim()
    assert world.run(work_ops.expire(keys, claimed)) is True
    assert expired(world, job_id)
    assert world.look()["job:1"].keys() == {"state", "reason", "attempts", "finished"}
    assert "leases" not in world.look()
    with world.unchanged():
        assert world.run(work_ops.expire(keys, claimed)) is True  # sent again


def test_a_requeued_one_does_not_expire(world, keys):
    """A person asked for it: neither by the look nor by the worker that claims it."""
    (job_id,) = world.post(expires=600)
    run_out(world, job_id)
    world.reap()
    world.run(job_ops.requeue(keys, job_id))
    world.reap()
    assert world.run(job_ops.read(keys, job_id))["expires"] is None
    (claimed,) = world.claim()
    assert claimed.attempt == 1
    with world.unchanged():
        assert world.run(work_ops.expire(keys, claimed)) is False
    assert world.settle(claimed)


def test_more_than_one_look_cancels(world):
    ids = world.post(5, expires=600)
    run_out(world, *ids)
    assert world.reap(most=2).expires_in == 0
    world.reap(most=3)
    assert all(expired(world, job_id) for job_id in ids)


def test_what_is_left_of_a_job_that_is_gone(world, keys):
    """The server lost its record, or somebody else wrote there: nothing is cancelled, and the entry goes."""
    world.raw.zadd(keys.expiring, {"7": 1, "x": 2, "": 3})
    world.reap()
    assert world.look().keys() == {"reaping"}


def test_a_hash_that_is_none(world, keys):
    """Somebody else wrote there: it is replaced, and the others of the look expire, too."""
    ids = world.post(2, expires=600)
    world.raw.set(keys.job + ids[0], "text")
    run_out(world, *ids)
    world.reap()
    assert all(expired(world, job_id) for job_id in ids)


def test_time_to_live(world, keys):
    """Of a cancelled job it begins, as ever."""
    (job_id,) = world.post(expires=600, ttl=50.0)
    run_out(world, job_id)
    world.reap()
    assert 0 < world.raw.ttl(keys.post + job_id) <= 50


# --- after others, and in pipelines


def test_after_others_and_a_time(pipes, world):
    """The delay counts from the post: what is over when the others have ended is no reason to wait."""
    pipes.post()
    waits, goes = pipes.post("fail 1", delay=600), pipes.post("fail 1")
    assert pipes.states(waits, goes) == ["blocked", "blocked"]
    assert world.run(job_ops.read(world.keys, waits))["due"] == pytest.approx(time.time() + 600, abs=5)
    names = alive(world, 1)
    pipes.end("1")
    assert pipes.states(waits, goes) == ["scheduled", "queued"]
    assert told(world, names[0]) == []
    world.come_due()
    world.reap()
    assert pipes.states(waits) == ["queued"]


def test_after_others_when_the_time_is_near(pipes, world):
    """Workers are told, as by a post."""
    pipes.post()
    waits = pipes.post("fail 1", delay=2)
    names = alive(world, 1)
    pipes.end("1")
    assert pipes.states(waits) == ["scheduled"]
    assert len(told(world, names[0])) == 1


def test_after_others_when_the_time_is_over(pipes, world):
    pipes.post()
    waits = pipes.post("fail 1", delay=1)
    posted = b"default\n%.6f\n" % (time.time() - 10)
    world.raw.set(world.keys.post + waits, posted + pack_body(codec.pack(None), {"after": ["1"], "delay": 1.0}))
    pipes.end("1")
    assert pipes.states(waits) == ["queued"]


def test_after_others_that_have_ended(pipes):
    """Only the time is left to wait for."""
    pipes.end(pipes.post())
    assert pipes.states(pipes.post("fail 1", delay=600)) == ["scheduled"]


def test_a_blocked_job_expires(pipes, world):
    """What comes after it fails with it, and what it waited for goes on."""
    pipes.post()
    waits = pipes.post("fail 1", expires=600)
    last = pipes.post(f"fail {waits}")
    run_out(world, waits)
    world.reap()
    pipes.chores()
    assert expired(world, waits)
    assert pipes.states("1", last) == ["queued", "failed"]
    pipes.end("1")
    assert expired(world, waits)


def test_requeued_after_others_it_keeps_its_time(pipes, world):
    """Somebody requeued the job before it, so that nobody has asked for this one to be sooner."""
    pipes.post()
    waits = pipes.post("fail 1", delay=600)
    pipes.end("1", State.FAILED)
    assert pipes.states(waits) == ["failed"]
    pipes.requeue("1")
    pipes.end("1")
    assert pipes.states(waits) == ["scheduled"]


@pytest.mark.parametrize("looked", [True, False])
def test_a_pipeline_that_has_begun_does_not_expire(pipes, world, looked):
    """Its root waits for its steps, and has begun. When it has ended, nothing is kept of its time."""
    job_id = pipes.post(expires=600)
    (claimed,) = pipes.take(job_id)
    step = pipes.forward(claimed)
    if looked:
        run_out(world, job_id)
        world.reap()
    assert pipes.states(job_id, step) == ["blocked", "queued"]
    pipes.end(step)
    assert pipes.states(job_id, step) == ["succeeded", "succeeded"]
    assert "expiring" not in world.look()
