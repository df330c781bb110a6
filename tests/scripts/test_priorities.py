"""Priorities: the order of the jobs that wait, and that they keep their places whatever happens to them."""

import itertools

import pytest

from mlq.core import codec
from mlq.core.job_options import pack_body
from mlq.core.part import Part
from mlq.core.states import State
from mlq.ops import jobs as job_ops
from mlq.ops import work as work_ops
from mlq.ops.work import WorkerClass

GIVEN = [0, 5, -100, 0, 100, 5, -1, 99, -100, 1]
IN_TURN = ["5", "8", "2", "6", "10", "1", "4", "7", "3", "9"]


def post_all(world, given=GIVEN, **options):
    for priority in given:
        world.post(priority=priority, **options)


def taken(world, count=1):
    return [one.id for one in world.claim(count)]


@pytest.mark.parametrize("at_once", [1, 3, 10])
def test_order(world, at_once):
    """The larger sooner, and first in, first out within."""
    post_all(world)
    assert list(itertools.chain(*(taken(world, at_once) for _ in range(10)))) == IN_TURN


def test_places(world, keys):
    """Exact, at the ends of the range too; those without a priority have their ids."""
    post_all(world, [0, 100, -100, 1])
    assert world.look()["lane:default"] == {"1": 1, "2": 2 - 100 * 2**43, "3": 3 + 100 * 2**43, "4": 4 - 2**43}
    aheads = [world.run(job_ops.place(keys, str(i))).ahead for i in (1, 2, 3, 4)]
    assert aheads == [2, 0, 3, 1]
    assert world.run(job_ops.read(keys, "2"))["priority"] == 100


def test_in_bulk(world, keys):
    """All of a post have the same, and keep their order."""
    world.post(3)
    world.post(12, priority=7)
    assert taken(world, 20) == [str(i) for i in (*range(4, 16), 1, 2, 3)]


def test_large_ids(world, keys):
    """Places are as exact after 8e12 jobs."""
    world.raw.set(keys.counter, 8_000_000_000_000)
    post_all(world, [-100, -100, 100, 100, 0, 0])
    assert [int(job_id) - 8_000_000_000_000 for job_id in taken(world, 6)] == [3, 4, 5, 6, 1, 2]


def returns(world, claimed, how):
    """Let the attempt end in a way after which the job waits again."""
    if how == "handed back":
        world.run(work_ops.hand_back(world.keys, [(claimed, False)]))
    elif how == "retry":
        assert world.settle(claimed, State.FAILED, None, retry_in=5.0)
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
        assert world.settle(claimed, State.FAILED, None)
        world.run(job_ops.requeue(world.keys, claimed.id))


@pytest.mark.parametrize("how", ["handed back", "retry", "lost", "overrun", "requeued"])
def test_it_keeps_its_place(world, how):
    """Whatever it waits for again."""
    post_all(world, [0, 5, 5, 5, 9])
    first, second, *_ = world.claim(3)
    assert (first.id, second.id) == ("5", "2")
    returns(world, second, how)
    assert taken(world, 5) == ["2", "4", "1"]


def test_a_job_that_comes_due_or_is_unblocked(pipes, world):
    """It has its place, not one behind those that came meanwhile."""
    late = pipes.post(priority=5, delay=600)
    first = pipes.post(priority=9)
    after = pipes.post(f"fail {first}", priority=6)
    plain = pipes.post()
    world.come_due()
    world.reap()
    pipes.end(first)
    assert pipes.waiting() == [after, late, plain]


# --- what workers know of lanes


def index(world, kind):
    ready = world.raw.zrange(f"{world.keys.class_}{kind.name}:ready", 0, -1, withscores=True)
    return {lane.decode(): place for lane, place in ready if lane}


@pytest.mark.parametrize(("before", "then"), [(0, 5), (-5, 0), (-5, -4), (-100, 100)])
def test_a_job_that_comes_before_those_that_wait(world, before, then):
    """The index of lanes has its place, so that a claim finds it among those of other lanes."""
    kind = WorkerClass.of(["default", "slow"], [], [])
    world.serving(kind)
    world.post(priority=before)
    world.post(queue="slow", priority=before)
    assert index(world, kind) == {"default": 1 - before * 2**43, "slow": 2 - before * 2**43}
    world.post(2, queue="slow", priority=then)
    assert index(world, kind)["slow"] == 3 - then * 2**43
    claimed = world.run(work_ops.claim(world.keys, "w", 1, kind.name, 60, 1))
    assert [one.id for one in claimed] == ["3"]
    assert index(world, kind)["slow"] == 4 - then * 2**43


@pytest.mark.parametrize(("before", "then"), [(0, -5), (5, 0), (0, 0), (5, 5)])
def test_a_job_that_comes_behind_those_that_wait(world, before, then):
    """Is no news: it wakes nobody."""
    world.serving()
    world.post(priority=before)
    assert world.token(taken=True)
    world.post(priority=then)
    assert not world.token()


def test_across_lanes(world):
    """Of all that a worker serves, the larger priority is first."""
    for lane, priority in (("a", 0), ("b", -3), ("a", 4), ("b", 4), ("gpu", 50), ("b", 0)):
        world.post(queue=lane, priority=priority)
    assert taken(world, 6) == ["5", "3", "4", "1", "6", "2"]


# --- pipelines


def test_steps_are_as_urgent_as_their_root(pipes, world):
    """A forward is right behind the place of its root."""
    pipes.post()
    root = pipes.post(priority=5)
    pipes.post(priority=5)
    (claimed,) = pipes.take(root)
    part = pipes.next_part(claimed)
    body = pack_body(codec.pack("next"), {"part": part.packed(), "priority": 5})
    assert pipes.run(pipes.becoming(claimed, {"lane": "default", "body": body})) == [True]
    assert pipes.waiting() == ["4", "3", "1"]


@pytest.mark.parametrize("first", [1, 90, 994])
@pytest.mark.parametrize("priority", [1, 100, -100])
def test_parts_keep_their_order(pipes, world, first, priority):
    """Also where their ids become longer: Redis compares ids with the same place as texts."""
    world.raw.set(pipes.keys.counter, first - 1)
    root, other = pipes.post(priority=priority), pipes.post(priority=priority)
    (claimed,) = pipes.take(root)
    part = pipes.next_part(claimed)
    join = pipes.post_page(claimed, [pack_body(codec.pack(None), {"part": part._replace(joins=True).packed()})])[0]
    own = Part(part.root, part.hop, into=join).packed()
    parts = pipes.post_page(claimed, [pack_body(codec.pack("item"), {"part": own, "priority": priority})] * 200)
    assert pipes.run(pipes.splitting(claimed, 150)) == [True]
    assert pipes.waiting() == [*parts[:150], other]
    for one in pipes.take(*parts[:20]):
        assert world.settle(one)
    assert pipes.waiting() == [*parts[20:170], other]


def test_a_damaged_priority_is_none(world, keys):
    """Whoever can write to Redis may have put anything there; a job that comes back is then as those without one."""
    for damaged in ("x", [1], 1e300, -1e300, float("nan"), float("inf"), 101):
        (job_id,) = world.post()
        head = world.raw.get(keys.post + job_id).split(b"\n")[:2]
        world.raw.set(keys.post + job_id, b"%b\n%b\n" % tuple(head) + pack_body(b"\xc0", {"priority": damaged}))
        world.run(work_ops.hand_back(keys, [(world.claim()[0], False)]))
        assert world.raw.zscore(keys.lane + "default", job_id) == float(job_id)
        world.run(job_ops.delete(keys, job_id))
