"""Shares: who is next, what each is charged, and that nothing of a ring is left behind or lost."""

from collections import Counter

import pytest

from mlq.core.limit import Gate
from mlq.core.states import State
from mlq.errors import ServerError
from mlq.ops import gates as gate_ops
from mlq.ops import jobs as job_ops
from mlq.ops import presence as presence_ops
from mlq.ops import shares as share_ops
from mlq.ops import work as work_ops
from mlq.ops.work import WorkerClass


def taken(world, count=1):
    return [one.id for one in world.claim(count)]


def times(world, lane="default"):
    """The virtual times of the shares that wait."""
    return {
        name.decode(): score for name, score in world.raw.zrange(world.keys.lane + lane + "|", 0, -1, withscores=True)
    }


def kept(world, lane="default"):
    """Those of shares that are away; that of the empty name is the clock."""
    names = world.raw.zrange(world.keys.lane + lane + "||times", 0, -1, withscores=True)
    return {name.decode(): score for name, score in names}


def index(world, kind):
    ready = world.raw.zrange(f"{world.keys.class_}{kind.name}:ready", 0, -1, withscores=True)
    return {lane.decode(): place for lane, place in ready if lane}


def took(world, claimed, seconds, state=State.SUCCEEDED, **verdict):
    assert world.settle(claimed, state, None if state is State.FAILED else "4", used=seconds, **verdict)


def test_keys_of_a_post(world):
    """A lane for the share, and the ring of the lane; other lanes have none."""
    world.post(2, share="a")
    world.post(1)
    looked = world.look()
    assert looked["lane:default|a"] == {"1": 1, "2": 2}
    assert looked["lane:default|"] == {"a": 0}
    assert looked["lane:default"] == {"3": 3}
    assert looked["lanes"] == {"default|a", "default"}
    assert looked["post:1"][0] == "default|a"


def test_one_of_each_in_turn(world):
    """As long as nothing is known of how long they take."""
    world.post(4, share="a")
    world.post(2, share="b")
    world.post(1, share="c")
    assert taken(world, 7) == ["1", "5", "7", "2", "6", "3", "4"]


def test_one_by_one(world):
    """The same order whoever claims how many."""
    world.post(4, share="a")
    world.post(2, share="b")
    world.post(1, share="c")
    assert [taken(world)[0] for _ in range(7)] == ["1", "5", "7", "2", "6", "3", "4"]


def test_by_time(world):
    """After a job of 60 s, the others have 60 s."""
    world.post(3, share="long")
    world.post(200, share="short")
    counts = Counter()
    for _ in range(124):
        (claimed,) = world.claim()
        share = claimed.record.split(b"\n")[0].decode().split("|")[1]
        took(world, claimed, 60.0 if share == "long" else 1.0)
        counts[share] += 1
    assert counts["long"] in (2, 3)
    assert 60 <= counts["short"] <= 122


def test_weights(world):
    """Twice the weight, twice the time."""
    world.run(share_ops.set_weight(world.keys, "big", 2.0))
    world.post(60, share="big")
    world.post(60, share="small")
    counts = Counter()
    for _ in range(60):
        (claimed,) = world.claim()
        counts[claimed.record.split(b"\n")[0].decode()] += 1
        took(world, claimed, 3.0)
    assert abs(counts["default|big"] - 40) <= 2


def test_what_remains_of_a_share_without_jobs(world):
    """Its time, with what its job took in the end; no ring, and no lane."""
    world.post(share="a")
    (claimed,) = world.claim()
    looked = world.look()
    assert "lane:default|" not in looked
    assert "lane:default|a" not in looked
    assert "lanes" not in looked
    assert looked["lane:default||times"] == {"": 0, "a": 1}
    assert looked["job:1"]["charged"] == "1 1"
    took(world, claimed, 7.5)
    assert kept(world) == {"": 0, "a": 7.5}
    assert world.look()["lane:default||means"] == {"a": "7.5", "": "7.5"}
    assert "charged" not in world.look()["job:1"]


def test_who_comes_back_has_its_debt_and_no_credit(world):
    """A share that took much waits; one that was away begins where the others are."""
    world.post(2, share="a")
    (claimed,) = world.claim()
    world.post(30, share="b")
    took(world, claimed, 10.0)
    for _ in range(15):
        (claimed,) = world.claim()
        took(world, claimed, 1.0)
    assert times(world)["b"] >= 9
    world.post(share="c")
    assert times(world)["c"] == pytest.approx(kept(world)[""])


def test_prune(world):
    """Times that no longer matter are forgotten, and so are means."""
    for i in range(30):
        world.post(share=f"gone {i}")
    for claimed in world.claim(30):
        took(world, claimed, 0.5)
    assert len(kept(world)) == 31
    world.post(3, share="a")
    for _ in range(2):
        (claimed,) = world.claim()
        took(world, claimed, 50.0)
    for name in ("b", "c"):
        world.post(share=name)
    assert len(kept(world)) == 1
    assert world.raw.hlen(world.keys.lane + "default||means") == 2


@pytest.mark.parametrize("count", [1, 10])
def test_priorities_hold_within_a_share(world, count):
    """And not between shares."""
    world.post(2, share="a")
    world.post(2, share="a", priority=5)
    world.post(2, share="b")
    got = []
    while claimed := world.claim(count):
        got += [one.id for one in claimed]
    assert got == ["3", "5", "4", "6", "1", "2"]


def test_beside_jobs_without_shares(world):
    """They are a lane of their own; the older goes first."""
    world.post(1)
    world.post(2, share="a")
    world.post(1)
    world.post(1, share="b")
    assert taken(world, 5) == ["1", "2", "4", "5", "3"]


def returns(world, claimed, how):
    if how == "handed back":
        world.run(work_ops.hand_back(world.keys, [(claimed, False)]))
    elif how == "retry":
        took(world, claimed, 3.0, State.FAILED, retry_in=5.0)
        world.come_due()
        world.reap()
    elif how == "lost":
        world.watched()
        world.lapse(claimed)
        world.reap()
    elif how == "overrun":
        world.overdue(claimed, 100)
        world.run(work_ops.overrun(world.keys, 50, 3))
    elif how == "requeued":
        took(world, claimed, 3.0, State.FAILED)
        world.run(job_ops.requeue(world.keys, claimed.id))
    elif how == "expired":
        world.run(work_ops.expire(world.keys, claimed))
    elif how == "cancelled":
        world.run(job_ops.cancel(world.keys, claimed.id))


@pytest.mark.parametrize(
    ("how", "used"),
    list(
        {"handed back": 0, "retry": 3, "lost": 40, "overrun": 100, "requeued": 3, "expired": 0, "cancelled": 40}.items()
    ),
)
def test_whatever_ends_an_attempt(world, how, used):
    """The share is charged for the time that it took."""
    world.post(3, share="a")
    (claimed,) = world.claim()
    assert times(world) == {"a": 1}
    world.overdue(claimed, 40)
    returns(world, claimed, how)
    assert times(world)["a"] == pytest.approx(used, abs=1)
    assert "charged" not in world.raw_job(claimed.id)
    again = taken(world, 3)
    assert again == (["2", "3"] if how in ("expired", "cancelled") else ["1", "2", "3"])


def test_the_last_one_leaves(world):
    """By cancelling or deleting: the ring is gone, and the index has nothing of it."""
    kind = WorkerClass.of(["default"], [], [])
    world.serving(kind)
    world.post(share="a")
    world.post(share="b")
    assert index(world, kind) == {"default|": 1}
    world.run(job_ops.cancel(world.keys, "1"))
    assert index(world, kind) == {"default|": 2}
    world.run(job_ops.delete(world.keys, "2"))
    assert index(world, kind) == {}
    assert "lanes" not in world.look()
    assert "lane:default|" not in world.look()


def test_a_class_that_comes_later(world):
    """It finds the group, and repairs a ring that was lost."""
    world.post(2, share="a")
    world.post(2, share="b")
    world.raw.delete(world.keys.lane + "default|")
    assert sorted(taken(world, 4)) == ["1", "2", "3", "4"]


def test_counts(world):
    """Shares of a lane together."""
    world.post(2, share="a")
    world.post(3, share="b")
    world.post(3)
    world.post(1, ["f"], share="b")
    now = world.run(job_ops.counts(world.keys))
    assert now.lanes == {"default": 8, "default:f": 1}


GARBAGE = {
    "string": lambda raw, key: raw.set(key, "x"),
    "list": lambda raw, key: raw.rpush(key, "x"),
    "zset": lambda raw, key: raw.zadd(key, {"no share": -1e9, "": 3}),
}


@pytest.mark.parametrize("kind", GARBAGE)
@pytest.mark.parametrize("what", ["|", "||times", "||means", "|a", "||weights"])
def test_what_people_do_beside_garbage(world, kind, what):
    """Cancel, requeue, delete, look, and set weights: an error about that key at most."""
    world.post(3, share="a")
    world.post(2, share="b")
    (claimed,) = world.claim()
    key = world.keys.weights if what == "||weights" else world.keys.lane + "default" + what
    world.raw.delete(key)
    GARBAGE[kind](world.raw, key)
    took(world, claimed, 1.0)
    world.run(job_ops.cancel(world.keys, "2"))
    world.run(job_ops.requeue(world.keys, "2"))
    world.run(job_ops.delete(world.keys, "3"))
    world.run(job_ops.place(world.keys, "4"))
    world.run(job_ops.counts(world.keys))
    for claimed in world.claim(20):
        took(world, claimed, 1.0)
    if what == "||weights":
        with pytest.raises(ServerError, match="WRONGTYPE"):
            world.run(share_ops.set_weight(world.keys, "a", 2))


@pytest.mark.parametrize("kind", GARBAGE)
@pytest.mark.parametrize("what", ["|", "||times", "||means", "|a"])
def test_garbage(world, kind, what):
    """Of one key: the others are served, and all is as before with the next jobs."""
    world.post(2, share="a")
    world.post(2, share="b")
    key = world.keys.lane + "default" + what
    world.raw.delete(key)
    GARBAGE[kind](world.raw, key)
    found = taken(world, 10)
    world.post(1, share="a")
    world.post(1, share="b")
    claims = world.claim(20)
    for claimed in claims:
        took(world, claimed, 1.0)
    assert {"5", "6"} <= set(found) | {one.id for one in claims}


def place(world, job_id):
    found = world.run(job_ops.place(world.keys, str(job_id)))
    return found.ahead, found.seconds


def test_about_where_a_job_stands(world):
    """As if no more were posted; and how long those before it take."""
    world.post(5, share="a")
    world.post(5, share="b")
    assert [place(world, job_id) for job_id in (1, 5, 6, 10)] == [(0, 0), (8, 8), (0, 0), (8, 8)]
    for claimed in world.claim(2):
        took(world, claimed, 60.0 if claimed.id == "1" else 2.0)
    assert times(world) == {"a": 60, "b": 2}
    assert place(world, 7) == (0, 0)
    assert place(world, 10) == (3, 6)
    assert place(world, 2) == (4, 8)  # all of b
    world.post(100, share="b")
    ahead, seconds = place(world, 2)
    assert (ahead, seconds) == (29, 58)
    assert place(world, 3)[0] == pytest.approx(1 + 59, abs=1)


def test_where_a_job_of_a_paused_share_stands(world):
    """In its own line."""
    world.post(3, share="a")
    world.post(3, share="b")
    world.run(gate_ops.pause(world.keys, Gate("share", "a"), "me"))
    assert len(world.claim(1)) == 1
    assert place(world, 3) == (2, None)


def test_a_place_among_very_many_shares(world):
    """Looks at 500 of them."""
    for i in range(600):
        world.post(1, share=f"s{i}")
    world.post(2, share="x")
    assert place(world, 602)[0] == pytest.approx(601, abs=1)


def test_lanes_of_rows(world):
    """Chunks of files may have a share: their lanes are served one by one."""
    kind = WorkerClass.of(["default"], ["default"], ["f"], ["#rows:f"])
    name = world.serving(kind)
    world.post(2, ["f"], "#rows", share="a")
    world.post(2, ["f"], "#rows", share="b")
    assert index(world, kind) == {"#rows:f|": 1}
    claimed = world.run(work_ops.claim(world.keys, "worker", world.number(), name, 60, 10))
    assert [one.id for one in claimed] == ["1", "3", "2", "4"]


def test_models(world):
    """A worker that does not hold the model leaves the jobs of its ring to one that does, for a while."""
    kind = WorkerClass.of(["default"], ["default"], ["m@1"])
    name = world.serving(kind)
    world.run(presence_ops.alive(world.keys, "hot", 100, {"host": "here"}))
    world.run(presence_ops.hold(world.keys, "hot", ["m@1"], []))
    world.post(2, ["m@1"], share="a@b")
    world.post(2, ["m@1"], share="c")

    def claim(worker, wait):
        return world.run(work_ops.claim(world.keys, worker, world.number(), name, 60, 10, b"", wait))

    passed = claim("cold", 60.0)
    assert (list(passed), 50 < passed.again <= 60) == ([], True)
    assert [one.id for one in claim("hot", 60.0)] == ["1", "3", "2", "4"]


def test_batches_of_several_shares(world):
    """Are one batch, and the same claim sent again says so, too."""
    world.serving()
    world.post(3, ["f"], share="a")
    world.post(3, ["f"], share="b")
    sizes = work_ops.batches({":f": 4})
    op = work_ops.claim(world.keys, "worker", world.number(), world.serving(), 60, 1, sizes)
    first = world.run(op)
    assert [(one.id, one.batch) for one in first] == [("1", 1), ("4", 1), ("2", 1), ("5", 1)]
    assert [(one.id, one.batch) for one in world.run(op)] == [(one.id, one.batch) for one in first]


@pytest.mark.parametrize("weight", [0.001, 1000])
def test_extreme_weights(world, weight):
    """Are exact, too, and the mean is in seconds."""
    world.run(share_ops.set_weight(world.keys, "a", weight))
    world.post(4, share="a")
    for seconds in (1e6, 1e6, 0.5):
        (claimed,) = world.claim()
        took(world, claimed, seconds)
    assert times(world)["a"] == pytest.approx(2_000_000.5 / weight)
    assert float(world.raw.hget(world.keys.lane + "default||means", "a")) == pytest.approx(1e6 * 7 / 8, rel=1e-3)
