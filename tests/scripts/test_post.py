"""Posting: ids, lanes, repeated calls, and posts from listeners."""

import pytest

from mlq.errors import KeyReused, LeaseLost
from mlq.ops import jobs as job_ops
from mlq.ops import posting as post_ops
from mlq.ops import work as work_ops


def test_first_post(world, keys, about):
    """One job of a new lane: its record, its place, the lane's name, the caller's reply."""
    posted, changed = world.changes(job_ops.post(keys, "me", 7, "default", [b"0\nhello"]))
    assert (posted.first, posted.size, posted.stamp) == (1, 1, changed["post:1"][1])
    assert changed == {
        "counter": "1",
        "post:1": ["default", about(), "0\nhello"],
        "lane:default": {"1": 1.0},
        "lanes": {"default"},
        "replay:me": "7 1",
    }


LARGE = b"0\n" + bytes(70_000)


def test_a_large_record_is_staged_and_moved(world, keys):
    """No script handles its bytes. The place of the time gets the time, and it does not expire any more."""
    bodies = [b"0\nsmall", LARGE]
    (stage,) = post_ops.stage(keys, "name", "default", bodies)
    world.run(stage)
    assert 0 < world.raw.ttl(f"{keys.staged}name:2") <= post_ops.STAGED_FOR
    op = job_ops.post(keys, "me", 1, "default", bodies, staged="name")
    posted, changed = world.changes(op)
    assert (posted.first, posted.size) == (1, 2)
    assert changed["staged:name:2"] is None
    record = world.raw.get(keys.post + "2")
    assert record == b"default\n%b\n%b" % (posted.stamp.encode(), LARGE)
    assert world.raw.ttl(keys.post + "2") == -1
    assert world.changes(op) == (posted, {})  # sent again
    assert world.claim(2)[1].record == b""  # the worker reads it by itself
    assert world.run(work_ops.record(keys, "2")) == record


def test_nothing_is_posted_while_a_large_record_is_not_staged(world, keys):
    """It expired, or the server lost it; the caller stages it again. What else has its name is not taken for it."""
    op = job_ops.post(keys, "me", 1, "default", [b"0\nsmall", LARGE], staged="name")
    assert world.changes(op) == (None, {})
    for make in (lambda name: world.raw.set(name, "short"), lambda name: world.raw.rpush(name, "list")):
        world.raw.delete(f"{keys.staged}name:2")
        make(f"{keys.staged}name:2")
        assert world.changes(op) == (None, {})
    world.raw.delete(f"{keys.staged}name:2")


def test_ids_rise_over_calls_callers_and_lanes(world, keys):
    """Ids come from one counter of the namespace."""
    ops = [
        job_ops.post(keys, "me", 1, "default", [b"a", b"b"]),
        job_ops.post(keys, "you", 1, "default:f", [b"c"]),
        job_ops.post(keys, "me", 2, "default", [b"d", b"e", b"f"]),
    ]
    assert [world.run(op).first for op in ops] == [1, 3, 4]
    assert world.look()["lane:default"] == {str(i): float(i) for i in (1, 2, 4, 5, 6)}
    assert world.look()["lane:default:f"] == {"3": 3.0}


def test_known_lane_is_no_news(world, keys):
    """Only a job that comes to an empty lane wakes a worker, whoever took the token meanwhile passes it on."""
    world.serving()
    world.post()
    assert world.token(taken=True)
    _, changed = world.changes(job_ops.post(keys, "poster", 99, "default", [b"0\nx"]))
    assert changed.keys() == {"counter", "post:2", "lane:default", "replay:poster"}
    assert not world.token()


def test_same_call_again_makes_no_second_job(world, keys):
    """A call whose reply was lost is sent again: it gives the same ids and changes nothing."""
    op = job_ops.post(keys, "me", 1, "default", [b"a", b"b"])
    posted = world.run(op)
    assert posted.first == 1
    assert world.changes(op) == (posted, {})


def test_next_call_is_not_the_same(world, keys):
    """The number tells calls apart, not the message."""
    assert world.run(job_ops.post(keys, "me", 1, "default", [b"a"])).first == 1
    assert world.run(job_ops.post(keys, "me", 2, "default", [b"a"])).first == 2


def test_post_under_a_lease(world, keys):
    """A listener posts while its lease stands."""
    claimed = world.running()
    assert world.run(job_ops.post(keys, "me", 1, "default", [b"0\nx"], claimed.lease)).first == 2


def test_post_without_its_lease_is_refused(world, keys):
    """An attempt that lost its job posts nothing."""
    claimed = world.running()
    world.raw.zrem(keys.leases, claimed.lease)
    with world.unchanged(), pytest.raises(LeaseLost):
        world.run(job_ops.post(keys, "me", 1, "default", [b"0\nx"], claimed.lease))


def test_resent_post_is_answered_even_when_the_lease_is_lost_meanwhile(world, keys):
    """What was posted under the lease stays posted; the poster learns its id."""
    claimed = world.running()
    op = job_ops.post(keys, "me", 1, "default", [b"0\nx"], claimed.lease)
    posted = world.run(op)
    assert posted.first == 2
    world.raw.zrem(keys.leases, claimed.lease)
    assert world.changes(op) == (posted, {})


def test_cleared_namespace_counts_on(world, keys):
    """Ids are not used twice."""
    world.post(3)
    world.raw.delete(*(keys.root + name for name in world.look() if name != "counter"))
    assert world.post() == ["4"]


# --- with an idempotency key


def test_post_once(world, keys, about):
    """The key stands where a caller's name does, is hashed, and is kept for a day with what tells the post apart."""
    posted, changed = world.changes(job_ops.post_once(keys, "order 7", "default", b"0\nhello"))
    assert (posted.first, posted.size, posted.stamp) == (1, 1, changed["post:1"][1])
    (replay,) = (name for name in changed if name.startswith("replay:"))
    number, job_id, print_ = changed.pop(replay).split()
    assert (number, job_id, len(print_)) == ("1", "1", 64)
    assert "order" not in replay
    assert 86_000 < world.raw.ttl(keys.root + replay) <= 86_400
    assert changed == {
        "counter": "1",
        "post:1": ["default", about(), "0\nhello"],
        "lane:default": {"1": 1.0},
        "lanes": {"default"},
    }


def test_post_once_again_gives_the_first_id(world, keys):
    """Also when other jobs were posted meanwhile, and when the job has gone."""
    op = job_ops.post_once(keys, "k", "default", b"0\nhello")
    posted = world.run(op)
    assert posted.first == 1
    world.post()
    assert world.changes(op) == (posted, {})
    world.run(job_ops.cancel(keys, "1"))
    world.run(job_ops.delete(keys, "1"))
    again, changed = world.changes(op)
    assert (again.first, changed) == (1, {})


@pytest.mark.parametrize(
    ("lane", "body"), [("default", b"0\nhullo"), ("slow", b"0\nhello"), ("default:f", b"0\nhello")]
)
def test_post_once_of_something_else_is_refused(world, keys, lane, body):
    """Another message, queue or listener."""
    world.run(job_ops.post_once(keys, "k", "default", b"0\nhello"))
    with world.unchanged(), pytest.raises(KeyReused, match="'k'"):
        world.run(job_ops.post_once(keys, "k", lane, body))


def test_keys_are_no_callers(world, keys):
    """A caller may have the name of a key, or of its hash."""
    world.run(job_ops.post_once(keys, "k", "default", b"0\nhello"))
    (replay,) = (name for name in world.look() if name.startswith("replay:"))
    assert world.run(job_ops.post(keys, "k", 1, "default", [b"0\nx"])).first == 2
    assert replay.startswith("replay:key:")
    assert world.run(job_ops.post_once(keys, "K", "default", b"0\nhello")).first == 3
