"""Limits of the lengths of queues: who posts to a full one is refused, and workers are not."""

import pytest

from mlq.core.job_options import JobOptions
from mlq.core.limit import Gate, Limit
from mlq.core.states import State
from mlq.errors import QueueFull
from mlq.ops import gates as gate_ops
from mlq.ops import jobs as job_ops
from mlq.ops import lengths as length_ops
from mlq.ops.posting import Uncounted

DEFAULT = Gate("queue", "default")


def limited(world, length, gate=DEFAULT, **more):
    assert world.run(gate_ops.limit(world.keys, gate, Limit.of(gate, length=length, **more)))


def count(world, queue="default"):
    """Count as clients do, when they are told to."""
    found = world.run(length_ops.length(world.keys, queue))
    while found.cursor != "0":
        found = world.run(length_ops.length(world.keys, queue, found))
    return found.jobs


def post(world, *args, **given):
    """Post, and count before if that is asked."""
    while True:
        try:
            return world.post(*args, **given)
        except Uncounted as asked:
            found = world.run(length_ops.length(world.keys, asked.queue))
            while found.cursor != "0":
                found = world.run(length_ops.length(world.keys, asked.queue, found))
            found.check(asked)


def stale(world, queue="default"):
    """The last count was a second ago."""
    name = world.keys.room + queue
    limit, left, posted, at = world.raw.get(name).decode().split()
    world.raw.set(name, f"{limit} {left} {posted} {float(at) - 1:.6f}", ex=60)


def full(world, *args, **given):
    """What a refused post says of the queue; nothing is posted."""
    post_counted = [*world.look()]
    with pytest.raises(QueueFull) as refused:
        post(world, *args, **given)
    assert [name for name in world.look() if name.startswith(("post:", "staged:"))] == [
        name for name in post_counted if name.startswith(("post:", "staged:"))
    ]
    return refused.value.length, refused.value.limit


def test_first_post(world, keys):
    """It has the jobs counted; nothing else is changed before."""
    limited(world, 3)
    with world.unchanged(), pytest.raises(Uncounted, match="default"):
        world.post()
    assert count(world) == 0
    posted, changed = world.changes(job_ops.post(keys, "me", 7, "default", [b"0\n\xc0"] * 2))
    assert posted.size == 2
    assert changed.keys() == {
        "counter", "post:1", "post:2", "lane:default", "lanes", "replay:me", "room:default"
    }  # fmt: skip
    assert changed["room:default"].split()[:3] == ["3", "1", "2"]


def test_full(world):
    """With the numbers; a post of several goes in whole or not at all."""
    limited(world, 3)
    post(world, 2)
    assert full(world, 2) == (2, 3)
    post(world)
    assert full(world) == (3, 3)
    assert full(world, 4) == (3, 3)
    world.claim()
    stale(world)
    post(world)
    stale(world)
    assert full(world) == (3, 3)


def test_more_than_ever_fit(world):
    limited(world, 3)
    assert full(world, 4) == (0, 3)


@pytest.mark.parametrize("queue", ["slow", "gpu"])
def test_other_queues(world, queue):
    """Are not limited, whether or not they have a limit of another kind; nor are those of other namespaces."""
    limited(world, 1)
    limited(world, None, Gate("queue", "gpu"), running=1)
    assert len(world.post(5, queue=queue)) == 5
    assert not world.raw.exists(world.keys.room + queue)


def test_all_lanes_of_a_queue_count(world):
    limited(world, 5, Gate("queue", "slow"))
    for functions in (["a"], ["b"], ["a", "b"], None):
        post(world, queue="slow", functions=functions)
    post(world, 3)
    assert count(world, "slow") == 4
    post(world, queue="slow", functions=["f"])
    assert full(world, queue="slow", functions=["g"]) == (5, 5)


def test_many_lanes(world, keys):
    """Are counted page by page."""
    limited(world, 3000)
    with world.raw.pipeline(transaction=False) as seeding:
        for i in range(2500):
            seeding.sadd(keys.lanes, f"default:f{i}", f"slow:f{i}")
            seeding.zadd(f"{keys.lane}default:f{i}", {"1": 1})
        seeding.execute()
    assert world.run(length_ops.length(keys, "default")).cursor != "0"
    assert count(world) == 2500
    assert len(world.post(500)) == 500
    assert full(world) == (3000, 3000)


def test_jobs_that_do_not_wait_in_line(pipes, world):
    """Those that wait for a time or for others are not counted, and always go in."""
    limited(world, 1)
    first = post(world)[0]
    world.post(3, delay=600)
    waits = pipes.post(f"fail {first}")
    assert count(world) == 1
    assert full(world) == (1, 1)
    world.come_due()
    world.reap()
    pipes.end(first)
    assert pipes.states(waits) == ["queued"]
    assert count(world) == 4


def test_workers_are_not_refused(pipes, world, keys):
    """What they give back, retry or post as steps goes in, whatever the limit."""
    limited(world, 3)
    post(world, 3)
    one, two, three = world.claim(3)
    stale(world)
    post(world, 3)
    assert full(world) == (3, 3)
    world.watched()
    world.lapse(one)
    world.reap()
    assert world.settle(two, State.FAILED, None, retry_in=5.0)
    world.come_due()
    world.reap()
    pipes.raw.set(keys.epoch, "e r")
    pipes.split(three, 5)
    assert count(world) == 3 + 2 + 5
    stale(world)
    assert full(world) == (10, 3)
    requeued = world.claim()[0]
    assert world.settle(requeued, State.FAILED, None)
    world.run(job_ops.requeue(keys, requeued.id))
    assert pipes.states(requeued.id) == ["queued"]


def test_one_post_of_several_calls(world, keys):
    """The first one sees whether there is room for all, and takes it."""
    limited(world, 10)
    count(world)

    def page(size, of):
        return job_ops.post(keys, "me", world.number(), "default", [b"0\n\xc0"] * size, of=of)

    stale(world)
    with world.unchanged(), pytest.raises(Uncounted) as asked:
        world.run(page(5, 11))
    assert asked.value.wanted == 11
    first = page(5, 10)
    posted = world.run(first)
    assert world.changes(first) == (posted, {})
    assert world.raw.get(keys.room + "default").split()[:3] == [b"10", b"0", b"10"]
    world.run(page(5, 0))
    assert full(world) == (10, 10)


def test_another_limit(world):
    """Counts from the next post on; without one, all go in."""
    limited(world, 2)
    post(world, 2)
    limited(world, 4)
    post(world, 2)
    limited(world, 1)
    assert full(world) == (4, 1)
    assert world.run(gate_ops.limit(world.keys, DEFAULT, None))
    assert len(world.post(5)) == 5


@pytest.mark.parametrize("garbage", [b"", b"x", b"5 5", b"3 -1 0 1.5", b"3 x 0 1.5", b"\xff", None])
def test_garbage(world, keys, garbage):
    """What is noted is counted anew; a limit that is damaged limits nothing."""
    limited(world, 3)
    if garbage is None:
        world.raw.rpush(keys.room + "default", "x")
    else:
        world.raw.set(keys.room + "default", garbage)
    post(world, 3)
    assert full(world) == (3, 3)
    world.raw.hset(keys.limits, "queue:default", garbage or b"x")
    assert len(world.post(5)) == 5


def test_while_others_post(world, keys):
    """What is posted while somebody counts is never forgotten: rather counted twice."""
    limited(world, 100)
    with world.raw.pipeline(transaction=False) as seeding:
        for i in range(1200):
            seeding.sadd(keys.lanes, f"slow:f{i}")
        seeding.execute()
    count(world)
    began = world.run(length_ops.length(keys, "default"))
    assert began.cursor != "0"
    world.post(60)
    while began.cursor != "0":
        began = world.run(length_ops.length(keys, "default", began))
    left = int(world.raw.get(keys.room + "default").split()[1])
    assert left <= 40
    stale(world)
    post(world, 40)
    assert full(world) == (100, 100)


def test_beside_keys(world, keys):
    """The job that is there is the answer, and one that waits is replaced, also if the queue is full."""
    limited(world, 1)
    count(world)

    def posting(**given):
        options = JobOptions.of({"key": "k", **given})
        return world.run(
            job_ops.post(keys, "me", world.number(), "default", [options.body(1)], keyed=options.keyed)
        ).new

    assert posting()
    assert not posting()
    assert not posting(replace=True)
    world.claim()
    post(world, delay=600)
    world.post(delay=600)
    stale(world)
    post(world)
    with pytest.raises((QueueFull, Uncounted)):
        posting(replace=True)


def test_shares_count(world, keys):
    """Each job of each share, as those without one."""
    limited(world, 5)
    for share, number in (("a", 2), ("b", 1)):
        options = JobOptions.of({"share": share, "functions": ["f"]})
        op = job_ops.post(keys, "me", world.number(), options.lane, [options.body(1)] * number)
        while True:
            try:
                world.run(op)
                break
            except Uncounted:
                count(world)
    post(world)
    assert count(world) == 4
    post(world)
    assert full(world) == (5, 5)
