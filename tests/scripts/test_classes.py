"""The index of lanes by classes of workers: what a claim costs, how an index is filled, kept, mended and dropped."""

import random
import time

import pytest

from mlq.core.checks import lane_of
from mlq.ops import data as data_ops
from mlq.ops import jobs as job_ops
from mlq.ops import stats as stats_ops
from mlq.ops import work as work_ops
from mlq.ops.jobs import LANES
from mlq.ops.work import WorkerClass
from tests.scripts.counting import commands, raw, server_url

__all__ = ["raw", "server_url"]

pytestmark = pytest.mark.slow

PLAIN = WorkerClass.of(["default"], ["default"], ["f"])
MANY = WorkerClass.of([f"q{i}" for i in range(10_000)], [], [])


def post(world, lane, count=1):
    """Ids of new jobs of a lane."""
    first = world.run(job_ops.post(world.keys, "poster", world.number(), lane, [b"0\nx"] * count)).first
    return [str(first + i) for i in range(count)]


def claim(world, served, count=1):
    """Ids, as a worker of that class claims them."""
    op = work_ops.claim(world.keys, "w", world.number(), served.name, 60, count)
    return [one.id for one in world.run(op)]


def index(world, served):
    """The lanes that a class knows, with the places of their first jobs."""
    found = world.raw.zrange(f"{world.keys.class_}{served.name}:ready", 0, -1, withscores=True)
    return {name.decode(): place for name, place in found if name not in (b"", b":")}


def fill(world, first, last):
    """Lanes q<first> to q<last>, with a job each."""
    keys = world.keys
    with world.raw.pipeline() as pipe:
        for i in range(first, last + 1):
            pipe.sadd(keys.lanes, f"q{i}")
            pipe.zadd(f"{keys.lane}q{i}", {str(i): i})
            pipe.set(f"{keys.post}{i}", f"q{i}\n1.0\n0\nx")
            pipe.delete(f"{keys.job}{i}")
        pipe.set(keys.counter, last)
        pipe.execute()


@pytest.fixture
def many_lanes(world):
    """Ten thousand."""
    fill(world, 0, 9_999)


# --- what it costs


@pytest.mark.parametrize("count", [1, 10, 100])
def test_a_claim_costs_the_same_with_few_lanes_and_with_ten_thousand(world, count):
    """That it serves; however many more there are than are needed."""
    fill(world, 0, count)
    costs = []
    for more in (1000, 9_999):
        world.serving(MANY)
        world.token(MANY, taken=True)
        costs.append(commands(world, lambda: claim(world, MANY, count)))
        world.raw.delete(f"{world.keys.class_}{MANY.name}:ready")  # it is made anew, with more lanes
        fill(world, 0, more)
    assert len(index(world, MANY)) == 0
    world.serving(MANY)
    world.token(MANY, taken=True)
    costs.append(commands(world, lambda: claim(world, MANY, count)))
    assert len(index(world, MANY)) == 10_000 - count
    assert costs[0] == costs[1] == costs[2]
    assert costs[0]["cmdstat_zrange"] == count + 1


def test_a_claim_costs_the_same_with_lanes_that_it_does_not_serve(world):
    """Before there were any others, and with ten thousand."""
    world.serving(PLAIN)
    post(world, "default", 300)
    world.token(PLAIN, taken=True)
    alone = commands(world, lambda: claim(world, PLAIN, 100))
    assert alone["cmdstat_zrange"] == 2
    fill(world, 1000, 10_999)
    world.token(PLAIN, taken=True)
    assert commands(world, lambda: claim(world, PLAIN, 100)) == alone


def test_a_post_with_a_new_queue_name_costs_others_nothing(world, keys, many_lanes):
    """No class hears of it but those that serve it; nobody is woken."""
    world.serving(PLAIN)
    world.serving(MANY)
    world.token(MANY, taken=True)
    before = index(world, MANY)
    first = commands(world, lambda: post(world, "nobody's"))
    assert commands(world, lambda: post(world, "nobody's either")) == first
    assert (index(world, PLAIN), index(world, MANY)) == ({}, before)
    assert not world.token(PLAIN)
    assert not world.token(MANY)


def test_lanes_that_are_emptied_leave_nothing(world, keys):
    """A storm of queue names that are used once."""
    served = WorkerClass.of([f"q{i}" for i in range(300)], [], [])
    world.serving(served)
    for i in range(300):
        post(world, f"q{i}")
    assert len(claim(world, served, 300)) == 300
    assert not index(world, served)
    assert not world.raw.exists(keys.lanes)
    assert not [name for name in world.look() if name.startswith("lane:")]


@pytest.mark.parametrize("seed", range(10))
def test_the_oldest_come_first_over_any_lanes_and_few_are_read(world, keys, seed):
    """In batches of any size, the jobs spread over lanes at random."""
    dice = random.Random(seed)
    lanes = [f"q{i}" for i in range(dice.choice([1, 2, 7, 40]))]
    served = WorkerClass.of(lanes, [], [])
    world.serving(served)
    for _ in range(150):
        post(world, dice.choice(lanes[: dice.randint(1, len(lanes))]), dice.choice([1, 1, 5]))
    waiting = [str(i) for i in range(1, int(world.raw.get(keys.counter)) + 1)]
    while waiting:
        count, found = dice.choice([1, 3, 50, 100]), []
        made = commands(world, lambda count=count, found=found: found.extend(claim(world, served, count)))
        assert found == waiting[:count]
        assert made["cmdstat_zrange"] <= 2 * count + 1  # the index once, then at most two looks a job
        waiting = waiting[count:]


def test_counting_takes_steps(world, keys, many_lanes):
    """No call of those that ask for numbers goes over all lanes."""
    now, calls = None, 0
    while now is None or now.cursor != "0":
        now, calls = world.run(job_ops.counts(keys, now)), calls + 1
    assert (now.waiting, len(now.lanes)) == (10_000, 10_000)
    assert calls >= 10_000 // (2 * LANES)
    found, calls = None, 0
    while found is None or isinstance(found, stats_ops.Begun):
        found, calls = world.run(stats_ops.stats(keys, found)), calls + 1
    assert (found.waiting, len(found.queues)) == (10_000, 10_000)
    assert calls >= 10_000 // (2 * LANES)


# --- registering


def test_registering_takes_steps_and_misses_nothing(world, keys, many_lanes):
    """What changes meanwhile is seen, wherever the steps are; two workers of the class may take turns."""
    steps = 0
    other = WorkerClass.of(["default", *MANY.serves], [], [])
    while not world.run(work_ops.register(keys, MANY, 60)):
        steps += 1
        post(world, f"q{steps}")
        post(world, "default")
        if steps == 3:
            world.serving(other)
        if steps > 3:
            claim(world, other, 20)
    assert steps >= 10_000 // (2 * LANES)
    assert index(world, MANY) == {lane: place for lane, place in index(world, other).items() if lane != "default"}
    assert index(world, MANY) == {
        lane.decode(): world.raw.zrange(keys.lane + lane.decode(), 0, 0, withscores=True)[0][1]
        for lane in world.raw.smembers(keys.lanes)
        if lane != b"default"
    }


def test_a_claim_before_the_last_step_is_told_so(world, keys, many_lanes):
    """It may take what is known, but never says that nothing waits."""
    nobody = WorkerClass.of(["q1"], ["default"], ["f"])
    op = work_ops.claim(keys, "w", 1, nobody.name, 60, 1)
    assert world.run(op) is None
    assert not world.run(work_ops.rests(keys, nobody.name))
    while not world.run(work_ops.register(keys, nobody, 60)):
        world.raw.zrem(f"{keys.class_}{nobody.name}:ready", "q1")
        assert world.run(op) is None
        assert not world.run(work_ops.rests(keys, nobody.name))


@pytest.mark.parametrize(
    ("lane", "serves"),
    [
        ("default", True), ("default:f", True), ("default:f,g", False), ("default:g", False), ("slow", False),
        ("slow:f", True), ("slow:f,f", True), ("gpu:f", False), ("default:", True), (":f", False), ("d", False),
    ],
)  # fmt: skip
@pytest.mark.parametrize("before", [True, False])
def test_what_a_class_serves(world, lane, serves, before):
    """Of queue `slow` only jobs that name its function; the same whether the job or the worker came first."""
    served = WorkerClass.of(["default"], ["default", "slow"], ["f"])
    if before:
        post(world, lane)
    world.serving(served)
    if not before:
        post(world, lane)
        assert world.token(served) == serves
    assert index(world, served) == ({lane: 1.0} if serves else {})
    assert claim(world, served) == (["1"] if serves else [])


def test_a_class_that_nobody_registers_lapses(world, keys):
    """The next worker of another one tidies up; without any, the keys lapse by themselves."""
    world.serving(PLAIN)
    post(world, "default:f")
    names = [name.decode() for name in world.raw.scan_iter(f"{keys.root.replace('-', '?')}*", count=1000)]
    registered = [name for name in names if name.startswith((keys.classes, keys.class_, keys.serves))]
    assert len(registered) == 7
    assert all(0 < world.raw.ttl(name) <= 60 for name in registered)
    world.raw.zadd(keys.classes, {PLAIN.name: time.time() - 1})
    other = WorkerClass.of(["slow"], [], [])
    world.serving(other)
    assert world.raw.zrange(keys.classes, 0, -1) == [other.name.encode()]
    assert not world.raw.exists(*(set(registered) - {keys.classes}))
    world.serving(PLAIN)
    assert claim(world, PLAIN) == ["1"]


def test_a_class_that_lapses_leaves_nothing_that_a_post_would_grow(world, keys):
    """Though another one goes on serving the same queue; time passes for real, in two seconds."""
    lapsing, living = WorkerClass.of(["default"], [], []), WorkerClass.of(["default", "slow"], [], [])
    assert world.run(work_ops.register(keys, lapsing, 2))
    give_up = time.monotonic() + 20
    while world.raw.exists(keys.classes) and world.raw.zscore(keys.classes, lapsing.name):
        assert time.monotonic() < give_up
        assert world.run(work_ops.register(keys, living, 2))
        time.sleep(0.1)  # as a worker that registers time and again
    post(world, "default")
    assert world.raw.smembers(f"{keys.serves}default") == {living.name.encode()}
    assert not world.raw.exists(*(f"{keys.class_}{lapsing.name}:{what}" for what in ("ready", "serves", "wake")))


def test_registering_again_costs_little_and_changes_nothing(world, keys, many_lanes):
    """That is how a worker says that its class lives."""
    world.serving(MANY)
    before = index(world, MANY)
    made = commands(world, lambda: world.run(work_ops.register(keys, PLAIN, 60)))
    again = commands(world, lambda: world.run(work_ops.register(keys, MANY, 60)))
    assert "cmdstat_sscan" not in again
    assert "cmdstat_sscan" in made
    assert index(world, MANY) == before


# --- what went wrong mends itself


@pytest.mark.parametrize("what", ["serves:default", "class:{}:ready", "class:{}:serves", "classes"])
def test_what_was_lost_is_made_again(world, keys, what):
    """By the next sign that the class lives."""
    world.serving(PLAIN)
    world.raw.delete(keys.root + what.format(PLAIN.name))
    post(world, "default")
    world.serving(PLAIN)
    assert index(world, PLAIN) == {"default": 1.0}
    post(world, "default:f")
    assert claim(world, PLAIN, 5) == ["1", "2"]


@pytest.mark.parametrize("what", ["serves:default", "class:{}:ready", "class:{}:serves", "class:{}:wake"])
def test_what_is_of_another_type_is_made_again(world, keys, what):
    """No post, and no claim, fails of it; at the latest it is mended by the next sign that the class lives."""
    world.serving(PLAIN)
    post(world, "default")
    world.raw.delete(keys.root + what.format(PLAIN.name))
    world.raw.set(keys.root + what.format(PLAIN.name), "text")
    post(world, "default")
    post(world, "default:f")
    world.run(work_ops.reap(keys, 3.0, 2.0, 2))
    claimed = world.run(work_ops.claim(keys, "w", world.number(), PLAIN.name, 60, 1)) or []
    world.serving(PLAIN)
    assert [*(one.id for one in claimed), *claim(world, PLAIN, 5)] == ["1", "2", "3"]
    assert world.run(work_ops.rests(keys, PLAIN.name))


def test_a_wrong_index_stops_nobody(world, keys):
    """Lanes that are gone, that begin elsewhere, or are no lanes, are noticed and put right."""
    world.serving(PLAIN)
    for lane in ("default", "default:f", "default", "default:f"):
        post(world, lane)
    ready = f"{keys.class_}{PLAIN.name}:ready"
    world.raw.set(keys.lane + "no lane", "x")
    world.raw.zadd(
        ready, {"gone": 0, "default": 3.5, "default:f": 0.5, "no lane": 0.1} | {f"g{i}": 0 for i in range(9)}
    )
    found = []
    for _ in range(20):
        world.token(PLAIN, taken=True)
        found += claim(world, PLAIN)
        if not world.token(PLAIN):  # nothing is left, or else a worker is woken
            break
    assert sorted(found) == ["1", "2", "3", "4"]
    assert not index(world, PLAIN)
    world.raw.delete(keys.lane + "no lane")


def test_a_post_after_clear_is_found(world, keys):
    """Workers that live go on: what they registered stays, and that its lanes are gone is noticed."""
    world.serving(PLAIN)
    post(world, "default", 3)
    cursor = ""
    while cursor != "0":
        cursor, names = world.run(data_ops.scan(keys, cursor or "0"))
        if names:
            world.run(data_ops.unlink(names))
    post(world, "default:f")
    assert claim(world, PLAIN, 5) == ["4"]
    (job_id,) = post(world, "default")
    assert claim(world, PLAIN, 5) == [job_id]


def test_a_lane_that_was_removed_by_force_is_found_again(world, keys):
    """By the first worker that would serve it."""
    post(world, "default")
    world.raw.delete(keys.lane + "default")
    world.serving(PLAIN)
    (job_id,) = post(world, "default")
    assert claim(world, PLAIN) == [job_id]


def test_jobs_that_leave_their_lane_otherwise(world, keys):
    """Cancelled, or deleted: the index knows the next one."""
    world.serving(PLAIN)
    post(world, "default", 3)
    world.run(job_ops.cancel(keys, "1"))
    assert index(world, PLAIN) == {"default": 2.0}
    world.run(job_ops.delete(keys, "3"))
    assert index(world, PLAIN) == {"default": 2.0}
    world.run(job_ops.requeue(keys, "1"))
    assert index(world, PLAIN) == {"default": 1.0}
    world.run(job_ops.delete(keys, "1"))
    world.run(job_ops.delete(keys, "2"))
    assert index(world, PLAIN) == {}
    assert not world.raw.exists(keys.lanes)


def test_the_same_things_are_one_class():
    """However they were said."""
    assert WorkerClass.of(["a", "b"], ["b", "a"], ["g", "f"]) == WorkerClass.of(["b", "a", "a"], ["a", "b"], ["f", "g"])
    assert WorkerClass.of(["a"], ["a"], []) != WorkerClass.of(["a"], [], [])
    assert lane_of("q", ["g", "f"]) == "q:f,g"
