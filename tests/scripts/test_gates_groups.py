"""Claims from many lanes with many combinations of limits: oldest first, as without any."""

import itertools
import random

import pytest

from mlq.core.limit import Gate, Limit
from mlq.ops import gates as gate_ops
from mlq.ops import work as work_ops
from mlq.ops.work import WorkerClass

GATED, OTHERS = [f"g{i}" for i in range(5)], [f"h{i}" for i in range(4)]
KIND = WorkerClass.of(["default"], ["default"], [*GATED, *OTHERS])


def combinations(names):
    return [chosen for size in range(len(names) + 1) for chosen in itertools.combinations(names, size)]


def claimed_ids(world, count):
    world.serving(KIND)
    found = work_ops.claim(world.keys, "worker", world.number(), KIND.name, 60, count)
    return [int(one.id) for one in world.run(found)]


@pytest.mark.parametrize("order", ["mixed", "by group", "one group first"])
@pytest.mark.parametrize("count", [3, 40])
def test_the_oldest_come_first(world, order, count):
    """However the lanes of the 31 groups stand in line; they have up to 16 each, and 15 are of no group."""
    for name in GATED:
        world.run(gate_ops.limit(world.keys, Gate("function", name), Limit(running=1000)))
    lanes = [(*gated, *others) for gated in combinations(GATED) for others in combinations(OTHERS) if gated or others]
    if order == "mixed":
        random.Random(1).shuffle(lanes)
    elif order == "one group first":
        lanes.sort(key=lambda names: "g0" not in names)
    for functions in lanes:
        world.post(functions=functions)
    ids = []
    while more := claimed_ids(world, count):
        assert len(more) == count or sum(map(len, [ids, more])) == len(lanes)
        ids += more
    assert ids == list(range(1, len(lanes) + 1))


def test_groups_that_share_a_full_limit_keep_no_others_back(world):
    """Each group that is open has a job taken."""
    for name in GATED:
        world.run(gate_ops.limit(world.keys, Gate("function", name), Limit(running=2 if name == "g0" else 1000)))
    lanes = [(*gated, *others) for gated in combinations(GATED) for others in combinations(OTHERS) if gated]
    lanes.sort(key=lambda names: "g0" not in names)
    for functions in lanes:
        world.post(functions=functions)
    ids, full = [], sum("g0" in names for names in lanes)
    while more := claimed_ids(world, 20):
        ids += more
    assert sorted(ids) == [1, 2, *range(full + 1, len(lanes) + 1)]
