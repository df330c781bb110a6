"""Claiming batches: a batch takes one slot, and has jobs of one lane alone."""

from collections import defaultdict

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mlq.core.checks import lane_of
from mlq.ops import work as work_ops
from mlq.ops.work import WorkerClass
from mlq.worker.batch import slots_of

SIZES = {":embed": 3, ":tag": 1, "default": 4}
MOST = {"default:embed": 3, "default:tag": 1, "default": 4, "default:plain": 0}


@pytest.fixture
def claim(world, keys):
    """Claims as a worker with batched listeners does."""
    served = world.serving(WorkerClass.of(["default"], ["default"], ["embed", "tag", "plain"]))
    numbers = iter(range(1, 1000))

    def call(slots, number=None):
        number = number or next(numbers)
        return world.run(work_ops.claim(keys, "w", number, served, 60, slots, work_ops.batches(SIZES)))

    return call


def in_batches(claimed):
    """The ids of each batch, and those of jobs that run by themselves."""
    found = defaultdict(list)
    for one in claimed:
        found[one.batch].append(int(one.id))
    alone = found.pop(0, [])
    return sorted(found.values()), alone


def test_a_batch_takes_one_slot_and_skips_other_jobs(world, claim):
    for functions in (["embed"], ["plain"], ["embed"], ["plain"], ["tag"], ["embed"], ["embed"]):
        world.post(functions=functions)
    assert in_batches(claim(2)) == ([[1, 3, 6]], [2])
    assert in_batches(claim(1)) == ([], [4])
    assert in_batches(claim(5)) == ([[5], [7]], [])


def test_jobs_without_functions_go_by_their_queue(world, claim):
    world.post(6)
    assert in_batches(claim(1)) == ([[1, 2, 3, 4]], [])


def test_what_was_lost_together_is_told(world, claim, keys):
    world.post(2, functions=["embed"])
    world.raw.hset(keys.job + "2", mapping={"attempts": 3, "shared": 2, "errors": 1})
    one, two = claim(1)
    assert (one.attempt, one.errors, one.together) == (1, 0, 0)
    assert (two.attempt, two.errors, two.together) == (4, 1, 2)


def test_large_messages_of_one_batch_are_worked_on_together(world, claim):
    """But no second batch is claimed beside it: a worker would hold more than it works on."""
    world.post(6, functions=["embed"], message=b"x" * 1_000_000)
    claimed = claim(2)
    assert in_batches(claimed) == ([[1, 2, 3]], [])
    assert [one.record for one in claimed] == [b""] * 3


@settings(deadline=None, max_examples=60, database=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    lanes=st.lists(st.sampled_from(["embed", "tag", "plain", None]), max_size=25),
    slots=st.lists(st.integers(1, 4), min_size=1, max_size=8),
)
def test_claims_are_as_those_of_a_model(world, claim, keys, lanes, slots):
    """Oldest first; where no slot is free, jobs only join batches that have room. A repeated claim is the same."""
    if names := world.raw.keys(f"{{{keys.namespace}}}*"):
        world.raw.delete(*names)
    world.serving(WorkerClass.of(["default"], ["default"], ["embed", "tag", "plain"]))
    waiting = []
    for function in lanes:
        names = None if function is None else [function]
        (job_id,) = world.post(functions=names)
        waiting.append((int(job_id), lane_of("default", names)))
    for number, free in enumerate(slots, 1000):
        taken, room, expected, batches = 0, defaultdict(int), [], {}
        for job_id, lane in list(waiting):
            most = MOST[lane]
            if room[lane]:
                room[lane] -= 1
            elif taken < free:
                taken += 1
                room[lane] = max(0, most - 1)
                batches[lane] = max((batch for _, batch in expected), default=0) + 1
            else:
                continue
            expected.append((job_id, batches[lane] if most else 0))
            waiting.remove((job_id, lane))
        got = claim(free, number)
        assert [(int(one.id), one.batch) for one in got] == expected
        assert slots_of(got) == taken
        assert in_batches(claim(free, number)) == in_batches(got)


def test_no_more_units_of_a_listener_than_there_is_room(world, claim, keys):
    """Its lanes share the room, and a job counts for each of its listeners; what is left wakes another worker."""
    served = WorkerClass.of(["default"], ["default"], ["embed", "tag", "plain"])
    for functions in (["embed"], ["embed"], ["embed"], ["embed"], ["embed", "tag"], ["plain"], None, ["tag"]):
        world.post(functions=functions)
    world.token(served, taken=True)
    sizes = work_ops.batches(SIZES, {"embed": 1, "tag": 1, "other": 1}, {"default": ["other"]})
    claimed = world.run(work_ops.claim(keys, "w", 1, world.serving(served), 60, 8, sizes))
    assert in_batches(claimed) == ([[1, 2, 3], [7], [8]], [6])
    assert world.token(served, taken=True)
    sizes = work_ops.batches(SIZES, {"embed": 2, "tag": 0, "other": 0}, {"default": ["other"]})
    assert in_batches(world.run(work_ops.claim(keys, "w", 2, world.serving(served), 60, 8, sizes))) == ([[4]], [])
    sizes = work_ops.batches(SIZES, {"embed": 1, "tag": 1, "other": 0})
    assert in_batches(world.run(work_ops.claim(keys, "w", 3, world.serving(served), 60, 8, sizes))) == ([], [5])
    assert not world.raw.exists(keys.inbox + "w")


def test_a_worker_that_runs_out_of_room_is_told_of_lanes_that_the_claim_did_not_read(world, keys):
    """It sleeps as another class then, and would not hear the wake-up for them."""
    served = WorkerClass.of([], ["a", "b", "c", "d"], ["embed", "plain"])
    for queue, function in (("a", "embed"), ("b", "embed"), ("c", "embed"), ("d", "plain")):
        world.post(queue=queue, functions=[function])
    sizes = work_ops.batches({}, {"embed": 1})
    claimed = world.run(work_ops.claim(keys, "w", 1, world.serving(served), 60, 2, sizes))
    assert in_batches(claimed) == ([], [1])
    assert world.raw.lrange(keys.inbox + "w", 0, -1) == [b"wake"]
