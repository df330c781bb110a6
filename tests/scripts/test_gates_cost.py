"""What limits cost, in commands of the server: the same with any number of lanes."""

import pytest

from mlq.core.limit import Gate, Limit
from mlq.ops import gates as gate_ops
from mlq.ops import work as work_ops
from mlq.ops.work import WorkerClass
from tests.scripts.counting import commands, raw, server_url  # noqa: F401 - fixtures

EMBED = Gate("function", "embed")


@pytest.mark.parametrize("lanes", [1, 500])
def test_the_cost_does_not_grow_with_the_lanes_of_a_gate(world, lanes):
    queues = [f"q{number}" for number in range(lanes)]
    kind = WorkerClass.of(queues, queues, ("embed",))
    world.run(gate_ops.limit(world.keys, EMBED, Limit(1)))
    for queue in queues:
        world.post(500 // lanes, ["embed"], queue)
    name = world.serving(kind)

    def claim():
        return world.run(work_ops.claim(world.keys, "worker", world.number(), name, 60, 1))

    (first,) = claim()
    ended = commands(world, lambda: world.settle(first))
    assert sum(ended.values()) <= 40
    found = commands(world, lambda: claim()[0])
    assert sum(found.values()) <= 45
    assert sum(commands(world, claim).values()) <= 8  # nothing may begin, and nothing is looked at


def test_a_limit_of_others_costs_one_command(world):
    """Beside the names of the index's gates."""
    world.post(4, ["embed"])
    world.settle(world.claim()[0])

    def one():
        (claimed,) = world.claim()
        world.settle(claimed)

    before = commands(world, one)
    world.run(gate_ops.limit(world.keys, Gate("function", "train"), Limit(1)))
    one()
    after = commands(world, one)
    assert sum(after.values()) - sum(before.values()) <= 6
