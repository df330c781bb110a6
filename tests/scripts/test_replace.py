"""A post that replaces the job that waits with its key: message, options and times are new, the id is not."""

import time

import pytest

from mlq.core.job import LARGE, Record, announced
from mlq.core.job_options import JobOptions
from mlq.core.limit import Gate, Limit
from mlq.core.states import State
from mlq.errors import InputError
from mlq.ops import gates as gate_ops
from mlq.ops import jobs as job_ops
from mlq.ops import posting as post_ops
from mlq.ops import work as work_ops
from mlq.ops.work import WorkerClass
from tests.scripts.test_unique import ENTRY, message, post, posting, returned, state


def replace(world, msg="new", **given):
    return post(world, msg, replace=True, **given)


def entry(world):
    return world.raw.get(world.keys.root + ENTRY).decode().split()


def info(world, job_id="1"):
    return world.run(job_ops.read(world.keys, job_id))


# --- what is replaced


def test_one_that_waits(world, keys):
    """Its record is another one, with the stamp and the place that it had; nothing is left of the first message."""
    first = world.run(posting(world))
    world.post()
    op = posting(world, "new", replace=True, ttl=5)
    posted, changed = world.changes(op)
    assert posted == first._replace(new=False)
    assert changed.keys() == {"post:1", "job:1", "replay:poster"}
    assert changed["job:1"] == {"state": "queued"}
    assert (changed["post:1"][:2], message(world, "1")) == (["default", first.stamp], "new")
    assert world.changes(op) == (posted, {})  # sent again
    assert entry(world) == ["1", first.stamp, "a"]
    assert [one.id for one in world.claim(5)] == ["1", "2"]


def test_the_first_one(world):
    """There is nothing to replace: it is as any other."""
    assert replace(world) == ("1", True)
    assert info(world)["due"] is None
    assert (message(world, "1"), Record.parse(world.raw.get(world.keys.post + "1")).options.since) == ("new", 0.0)


@pytest.mark.parametrize("delay", [None, 600])
def test_the_time_begins_anew(world, keys, delay, about):
    """As the time of its expiry does."""
    world.serving()
    replace(world, delay=300, expires=400)
    seen = world.raw.get(keys.post + "1")
    world.raw.set(keys.post + "1", seen.replace(seen.split(b"\n")[1], b"%.6f" % (time.time() - 200)))
    world.raw.set(keys.root + ENTRY, f"1 {world.raw.get(keys.post + '1').split()[1].decode()} a")
    assert replace(world, delay=delay, expires=900) == ("1", False)
    record = Record.parse(world.raw.get(keys.post + "1"))
    assert (record.posted, record.due, record.last) == (about(-200), about(delay or 0), about(900))
    assert (info(world)["due"], info(world)["expires"]) == (about(600) if delay else None, about(900))
    assert world.look()["expiring"] == {"1": about(900)}
    assert world.look().get("scheduled") == ({"1": about(600)} if delay else None)
    assert world.token() == (delay is None)
    assert [one.id for one in world.claim()] == ([] if delay else ["1"])


def test_it_no_longer_expires(world):
    replace(world, expires=600)
    replace(world)
    assert world.look().keys() & {"expiring"} == set()
    assert info(world)["expires"] is None


def test_another_queue_and_priority(world, keys):
    """The index of each class of workers has the change."""
    kind = WorkerClass.of(["default", "slow"], [], [])
    world.serving(kind)
    replace(world)
    world.post()
    replace(world, queue="slow", priority=5)
    assert (world.look()["lanes"], world.look()["lane:default"]) == ({"default", "slow"}, {"2": 2})
    replace(world, queue="slow")
    assert world.look()["lane:slow"] == {"1": 1}
    index = dict(world.raw.zrange(f"{keys.class_}{kind.name}:ready", 0, -1, withscores=True))
    assert (index[b"slow"], index[b"default"]) == (1, 2)
    replace(world, queue="default", priority=-5)
    assert world.look()["lanes"] == {"default"}
    assert [one.id for one in world.claim(5)] == ["2", "1"]


@pytest.mark.parametrize("how", ["retry", "handed back", "lost"])
def test_one_that_waits_again(world, keys, how):
    """Its errors and losses begin at zero; the numbers of its attempts go on."""
    post(world)
    returned(world, how)
    assert replace(world, delay=5) == ("1", False)
    fields = world.raw_job("1")
    assert fields.keys() & {"errors", "losses", "shared", "reason"} == set()
    assert info(world)["due"] == pytest.approx(time.time() + 5, abs=5)
    world.come_due()
    world.reap()
    (claimed,) = world.claim()
    assert (claimed.attempt, claimed.errors) == (1 if how == "handed back" else 2, 0)


def test_one_that_is_to_run_apart(world, keys):
    """What killed its worker may have been the message that is gone."""
    post(world)
    returned(world, "lost")
    returned(world, "lost")
    assert world.raw.zscore(keys.scheduled, "1") > 1e10
    replace(world)
    assert [one.id for one in world.claim()] == ["1"]


def test_one_that_waits_for_others(pipes, world, keys):
    """It waits for them no more, and they may expire."""
    other, more = pipes.post(ttl=50.0), pipes.post()
    post(world, after=[other, more])
    pipes.end(other)
    assert world.raw.ttl(keys.post + other) == -1
    assert replace(world) == ("3", False)
    assert state(world, "3") is State.QUEUED
    assert world.look().keys() & {"blocked", "job:1:next", "job:2:next"} == set()
    pipes.chores()
    assert 0 < world.raw.ttl(keys.post + other) <= 50
    pipes.end(more)
    assert state(world, "3") is State.QUEUED


def test_one_that_others_wait_for(pipes, world):
    """They wait for it still, and get the new outcome."""
    post(world)
    other = pipes.post("fail 1")
    replace(world)
    assert pipes.states("1", other) == ["queued", "blocked"]
    pipes.end("1")
    assert pipes.states(other) == ["queued"]


def test_a_pipeline_that_has_not_begun(pipes, world):
    """Its root is replaced; once it has begun, it is not."""
    post(world)
    replace(world, then=["f"])
    assert Record.parse(pipes.take("1")[0].record).options.then == ("f",)


def test_waiters(world, keys):
    """Whoever waits for the job gets the outcome of the new message."""
    post(world)
    assert world.run(job_ops.wait(keys, "1", "me", 10)) is None
    replace(world, callback="http://localhost/new")
    assert world.raw.llen(keys.inbox + "me") == 0
    assert world.settle(world.claim()[0])
    job_id, fields = announced(world.raw.lindex(keys.inbox + "me", 0))
    assert (job_id, fields["state"]) == ("1", b"succeeded")
    assert world.look()["delivery:callback:1"]["url"] == "http://localhost/new"


def test_large_messages(world, keys):
    """One that is staged takes the place of a small one, and a small one its."""
    post(world)
    options = JobOptions.of({"key": "k", "replace": True, "delay": 600})
    bodies = [options.body("x" * LARGE)]
    for op in post_ops.stage(keys, "call", "default", bodies):
        world.run(op)
    op = job_ops.post(
        keys, "poster", world.number(), "default", bodies, staged="call", when=options.when, keyed=options.keyed
    )
    assert world.run(op).new is False
    assert (len(message(world, "1")), info(world)["due"]) == (LARGE, pytest.approx(time.time() + 600, abs=9))
    assert world.raw.ttl(keys.post + "1") == -1
    assert not [name for name in world.look() if name.startswith("staged:")]
    replace(world)
    assert message(world, "1") == "new"


def test_ten_thousand(world, keys):
    """Leave no more behind than one."""
    for i in range(200):
        assert replace(world, i, delay=5)[0] == "1"
    assert world.look().keys() == {"counter", "post:1", "job:1", "scheduled", "replay:poster", ENTRY}
    assert (world.raw.get(keys.counter), message(world, "1")) == (b"1", 199)


# --- what is not


def test_one_that_runs(world):
    """What it works on may be out of date, so the change must not be lost: there is a new job, which takes the key."""
    post(world)
    (claimed,) = world.claim()
    assert replace(world, delay=5) == ("2", True)
    assert replace(world, "newer", delay=5) == ("2", False)
    assert world.settle(claimed)
    assert replace(world, "newest", delay=5) == ("2", False)
    assert (message(world, "1"), message(world, "2")) == ("m", "newest")


def test_a_pipeline_that_has_begun(pipes, world):
    """As one that runs."""
    root, _ = post(world)
    step = pipes.forward(pipes.take(root)[0])
    assert replace(world) == ("3", True)
    pipes.end(step)
    assert replace(world) == ("3", False)


@pytest.mark.parametrize("unique", [None, 600])
def test_one_that_has_ended(world, unique):
    """Also if it holds its key for a time."""
    post(world, unique=unique)
    assert world.settle(world.claim()[0])
    assert replace(world) == ("2", True)
    assert world.raw.ttl(world.keys.root + ENTRY) == -1


def test_a_post_that_is_refused(world):
    """Replaces nothing."""
    post(world, delay=600)
    with world.unchanged(), pytest.raises(InputError, match="would expire"):
        replace(world, at=time.time() + 100, expires=50)


def test_an_attempt_that_lost_its_lease(world, keys):
    """It can't replace anything any more."""
    post(world)
    world.claim()
    post(world, key="other")
    options = JobOptions.of({"key": "other", "replace": True})
    op = job_ops.post(keys, "p", 9, "default", [options.body("x")], lease="1:gone", keyed=options.keyed)
    with world.unchanged(), pytest.raises(Exception, match="no longer holds"):
        world.run(op)


@pytest.mark.parametrize("damage", ["hash", "lane", "scheduled"])
def test_a_job_that_is_damaged(world, keys, damage):
    """It is put right by what replaces it."""
    post(world)
    name = {"hash": keys.job + "1", "lane": keys.lane + "default", "scheduled": keys.scheduled}[damage]
    if damage != "scheduled":
        world.raw.delete(name)
        world.raw.set(name, "x")
    assert replace(world) == ("1", False)
    assert [one.id for one in world.claim()] == ["1"]


def test_claimed_too_late(world, keys):
    """By the new time."""
    replace(world, expires=100)
    replace(world, expires=900)
    (claimed,) = world.claim()
    assert Record.parse(claimed.record).last == pytest.approx(time.time() + 900, abs=20)
    assert world.run(work_ops.expire(keys, claimed)) is True
    assert ENTRY not in world.look()


def test_in_a_namespace_with_limits(world, keys):
    """What replaces a job is for workers that may begin it, as any post."""
    gate = Gate("queue", "slow")
    assert world.run(gate_ops.limit(keys, gate, Limit.of(gate, 1, None, None)))
    world.serving()
    for queue in ("default", "slow", "slow", "default", "slow"):
        replace(world, queue=queue)
    assert [one.id for one in world.claim(2)] == ["1"]
    assert replace(world, queue="slow") == ("2", True)
    assert replace(world, "newer", queue="slow") == ("2", False)
    assert world.claim(2) == []
    assert replace(world) == ("2", False)
    assert [one.id for one in world.claim(2)] == ["2"]


def test_another_share(world, keys):
    """A key is of all shares; the job moves to the line of the new one."""
    world.serving()
    assert replace(world, functions=["f"], share="a") == ("1", True)
    assert post(world, functions=["f"], share="b") == ("1", False)
    assert replace(world, functions=["f"], share="b") == ("1", False)
    assert replace(world, functions=["f"]) == ("1", False)
    assert replace(world, functions=["f"], share="c") == ("1", False)
    assert world.look()["lanes"] == {"default:f|c"}
    assert [one.id for one in world.claim(3)] == ["1"]
    assert ENTRY.replace("\n", "f\n") in world.look()
