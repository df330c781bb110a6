"""One job for a key: each by one act, with what changes. All of it mixed: `test_unique_machine.py`."""

import time

import pytest

from mlq.core import codec
from mlq.core.job import LARGE, Record
from mlq.core.job_options import JobOptions
from mlq.core.states import State
from mlq.errors import KeyReused
from mlq.ops import jobs as job_ops
from mlq.ops import posting as post_ops
from mlq.ops import work as work_ops

ENTRY = "unique:\nk"


def posting(world, msg="m", key="k", **given):
    """The op that posts a job with these options."""
    options = JobOptions.of({"key": key, **given})
    return job_ops.post(
        world.keys, "poster", world.number(), options.lane, [options.body(msg)], needs=options.needs,
        when=options.when, keyed=options.keyed,
    )  # fmt: skip


def post(world, *args, **given):
    """The id of the job that a post is answered with, and whether it is new."""
    posted = world.run(posting(world, *args, **given))
    return str(posted.first), posted.new


def state(world, job_id):
    return world.run(job_ops.glance(world.keys, job_id))[0]


def message(world, job_id):
    return codec.unpack(Record.parse(world.raw.get(world.keys.post + job_id)).message)


# --- while a job holds the key


def test_first_post(world, keys):
    """As any other, with an entry for the key."""
    posted, changed = world.changes(posting(world))
    assert changed.keys() == {"counter", "post:1", "lane:default", "lanes", "replay:poster", ENTRY}
    assert changed[ENTRY] == f"1 {posted.stamp} a"
    assert (posted.first, posted.new) == (1, True)
    assert world.run(job_ops.read(keys, "1"))["key"] == "k"


def test_second_post(world):
    """Nothing is posted, not even an id is used; the answer is the job that is there."""
    first = world.run(posting(world))
    second, changed = world.changes(posting(world, "other", priority=9, delay=5))
    assert second == first._replace(new=False)
    assert changed == {"replay:poster": "2 =1 "}


def test_sent_again(world):
    """The reply is the first one, also when the job has ended since."""
    post(world)
    op = posting(world)
    assert world.run(op).new is False
    assert world.settle(world.claim()[0])
    posted, changed = world.changes(op)
    assert (posted.first, posted.new, changed) == (1, False, {})
    assert post(world) == ("2", True)


@pytest.mark.parametrize("functions", [None, ["a"], ["b", "a"]])
def test_a_key_is_one_of_its_functions(world, functions):
    """In whatever queue; jobs of others may have the same."""
    assert post(world, functions=functions) == ("1", True)
    assert post(world, functions=functions and functions[::-1], queue="slow") == ("1", False)
    assert post(world, functions=["c"]) == ("2", True)
    assert post(world, key="other", functions=functions) == ("3", True)


def end(world, how):
    """Let job 1, which may run, come to an end of that kind."""
    keys = world.keys
    if how in ("succeeded", "failed"):
        assert world.settle(world.claim()[0], State(how), None)
    elif how == "cancelled":
        world.run(job_ops.cancel(keys, "1"))
    elif how == "cancelled while it runs":
        world.claim()
        world.run(job_ops.cancel(keys, "1"))
    elif how == "deleted":
        world.run(job_ops.delete(keys, "1"))
    elif how == "expired":
        world.raw.zadd(keys.expiring, {"1": 1}, xx=True)
        world.reap()
    elif how == "claimed too late":
        assert world.run(work_ops.expire(keys, world.claim()[0]))
    elif how == "lost too often":
        for _ in range(3):
            world.watched()
            world.lapse((world.claim() or world.run(work_ops.claim_apart(keys, "w", world.number(), "1", 60)))[0])
            world.reap()
    elif how == "overrun":
        world.overdue(world.claim()[0], 100)
        world.run(work_ops.overrun(keys, 50, 0))


ENDS = ["succeeded", "failed", "cancelled", "cancelled while it runs", "deleted", "expired", "claimed too late",
        "lost too often", "overrun"]  # fmt: skip


@pytest.mark.parametrize("how", ENDS)
@pytest.mark.parametrize("unique", ["active", "waiting"])
def test_the_end_of_a_job_frees_its_key(world, how, unique):
    """However it ends; nothing is left of the entry."""
    post(world, unique=unique, expires=600)
    end(world, how)
    assert ENTRY not in world.look()
    assert post(world) == ("2", True)


@pytest.mark.parametrize("how", ENDS)
def test_for_a_time(world, keys, how):
    """Whatever became of it, unless it was deleted; the entry expires."""
    post(world, unique=600, expires=600)
    assert 590 < world.raw.ttl(keys.root + ENTRY) <= 600
    end(world, how)
    assert world.raw.exists(keys.root + ENTRY) == (how != "deleted")
    assert post(world) == (("2", True) if how == "deleted" else ("1", False))
    if how != "deleted":
        world.raw.delete(keys.root + ENTRY)  # its time is over
        assert post(world) == ("2", True)


def test_for_less_than_a_job_takes(world, keys):
    """The time alone counts."""
    post(world, unique=0.5)
    assert 0 < world.raw.pttl(keys.root + ENTRY) <= 500
    world.raw.delete(keys.root + ENTRY)
    assert post(world, unique=600) == ("2", True)
    assert world.settle(world.claim()[0])
    assert post(world) == ("2", False)


@pytest.mark.parametrize("unique", ["active", "waiting"])
def test_while_it_runs(world, unique):
    post(world, unique=unique)
    (claimed,) = world.claim()
    assert post(world, unique=unique) == (("1", False) if unique == "active" else ("2", True))
    assert world.settle(claimed)
    assert post(world, unique=unique) == (("2", unique == "active"))


def returned(world, how):
    """Let job 1 run, and wait again."""
    (claimed,) = world.claim()
    if how == "retry":
        assert world.settle(claimed, State.FAILED, None, retry_in=600.0)
    elif how == "handed back":
        world.run(work_ops.hand_back(world.keys, [(claimed, False)]))
    else:
        world.watched()
        world.lapse(claimed)
        world.reap()


@pytest.mark.parametrize("unique", ["active", "waiting"])
@pytest.mark.parametrize("how", ["retry", "handed back", "lost"])
def test_while_it_waits_again(world, how, unique):
    """It holds its key as before."""
    post(world, unique=unique)
    returned(world, how)
    assert post(world, unique=unique) == ("1", False)


@pytest.mark.parametrize("given", [{"delay": 600}, {"at": time.time() + 10_000}])
def test_while_it_waits_for_its_time(world, given):
    post(world, unique="waiting", **given)
    assert post(world, unique="waiting") == ("1", False)
    world.come_due()
    world.reap()
    assert post(world, unique="waiting") == ("1", False)


def test_after_others(pipes, world):
    """It waits for them, so it holds its key."""
    other = pipes.post()
    assert post(world, unique="waiting", after=[other]) == ("2", True)
    assert post(world, unique="waiting") == ("2", False)
    pipes.end(other)
    assert post(world, unique="waiting") == ("2", False)


@pytest.mark.parametrize("unique", ["active", "waiting"])
def test_a_pipeline(pipes, world, unique):
    """Its root holds the key until the whole has ended, or until it was taken; its steps never have it."""
    root, _ = post(world, unique=unique)
    step = pipes.forward(pipes.take(root)[0])
    assert pipes.states(root) == ["blocked"]
    again = post(world, unique=unique)
    assert again == ((root, False) if unique == "active" else ("3", True))
    pipes.end(step)
    assert pipes.states(root) == ["succeeded"]
    assert post(world, unique=unique) == ("3", unique == "active")


def test_a_pipeline_that_fails(pipes, world):
    """Its end frees the key, too."""
    root, _ = post(world)
    pipes.end(pipes.forward(pipes.take(root)[0]), State.FAILED)
    pipes.chores()
    assert ENTRY not in world.look()


# --- beside other options


def test_idempotency_key(world, keys):
    """The same post with it gets the same answer for a day, whatever became of the job since."""
    post(world)
    options = JobOptions.of({"key": "k"})
    op = post_ops.post_once(keys, "i", "default", options.body("m"), keyed=options.keyed)
    assert world.run(op).new is False
    assert world.settle(world.claim()[0])
    again = world.run(op)
    assert (again.first, again.new) == (1, False)
    with pytest.raises(KeyReused):
        world.run(post_ops.post_once(keys, "i", "default", options.body("other"), keyed=options.keyed))
    assert 86_000 < world.raw.ttl(next(world.raw.scan_iter(f"{keys.replay}key:*".replace("-", "\\-")))) <= 86_400


def test_large_message(world, keys):
    """What was staged for a job that is not posted is removed."""
    post(world)
    options = JobOptions.of({"key": "k"})
    bodies = [options.body("x" * LARGE)]
    for op in post_ops.stage(keys, "call", "default", bodies):
        world.run(op)
    op = job_ops.post(keys, "poster", world.number(), "default", bodies, staged="call", keyed=options.keyed)
    assert world.run(op).new is False
    assert not [name for name in world.look() if name.startswith("staged:")]


def test_requeued(world, keys):
    """A person has it run: it takes its key again, unless another job has that."""
    post(world)
    end(world, "failed")
    world.run(job_ops.requeue(keys, "1"))
    assert post(world) == ("1", False)
    end(world, "cancelled")
    assert post(world) == ("2", True)
    world.run(job_ops.requeue(keys, "1"))
    assert (state(world, "1"), post(world)) == (State.QUEUED, ("2", False))
    world.run(job_ops.cancel(keys, "1"))
    assert post(world) == ("2", False)


def test_requeued_waiting(world, keys):
    """It holds it as it did before."""
    post(world, unique="waiting")
    end(world, "failed")
    world.run(job_ops.requeue(keys, "1"))
    assert post(world) == ("1", False)
    world.claim()
    assert post(world) == ("2", True)


# --- what others have left or written


GARBAGE = [
    b"",
    b"1",
    b"x y z",
    b"1 2.0 a",
    b"99 1795888888.123456 a",
    b"1 1795888888.123456 q",
    b"\xff\x00",
    b"9" * 999,
]


@pytest.mark.parametrize("garbage", GARBAGE)
def test_an_entry_that_is_none(world, keys, garbage):
    """It stands in nobody's way."""
    world.post()
    world.raw.set(keys.root + ENTRY, garbage)
    assert post(world) == ("2", True)
    assert post(world) == ("2", False)


@pytest.mark.parametrize("replace", [True, False])
def test_an_entry_of_another_type(world, keys, replace):
    world.raw.rpush(keys.root + ENTRY, "1")
    assert post(world, replace=replace) == ("1", True)
    assert post(world) == ("1", False)


def test_an_id_that_was_given_again(world, keys):
    """The server has lost data, and another job has the id of the one that held the key."""
    post(world)
    kept = world.raw.get(keys.root + ENTRY)
    world.run(job_ops.delete(keys, "1"))
    world.raw.set(keys.counter, 0)
    world.post()
    world.raw.set(keys.root + ENTRY, kept)
    assert post(world) == ("2", True)


@pytest.mark.parametrize("damage", ["record", "hash", "state"])
def test_a_job_that_is_damaged(world, keys, damage):
    """A lost record frees the key; a hash of another type is as none, so that the job waits."""
    post(world, delay=600)
    if damage == "record":
        world.raw.set(keys.post + "1", "x")
    elif damage == "hash":
        world.raw.delete(keys.job + "1")
        world.raw.set(keys.job + "1", "x")
    else:
        world.raw.hset(keys.job + "1", "state", "lost in thought")
    assert post(world) == (("1", False) if damage == "hash" else ("2", True))


def test_many_keys(world, keys):
    """Each job has its own; nothing is left of them."""
    for i in range(50):
        assert post(world, key=f"k{i}") == (str(i + 1), True)
    for one in world.claim(50):
        assert world.settle(one)
    assert not [name for name in world.look() if name.startswith("unique:")]
