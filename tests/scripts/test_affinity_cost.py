"""What a claim of a model's job costs: as many commands with one worker and model as with 200 and 1,000."""

import itertools

import pytest

from mlq.ops import presence as presence_ops
from mlq.ops import work as work_ops
from mlq.ops.work import WorkerClass
from tests.scripts.counting import commands, raw, server_url

__all__ = ["raw", "server_url"]

pytestmark = pytest.mark.slow

WAIT = 1000.0  # seconds, so that no job waits for so long
MODELS = [f"m{number}@1" for number in range(1000)]


def cost(world, workers, models, holder, waiting=1):
    """Of the claim by `me`, where so many models have a job each, and so many workers live and hold some models."""
    names = MODELS[:models]
    served = WorkerClass.of(["default"], ["default"], names)
    turns = itertools.cycle(names)
    for number in range(workers):
        world.run(presence_ops.alive(world.keys, f"w{number}", 60.0, {}))
        world.run(presence_ops.hold(world.keys, f"w{number}", {next(turns) for _ in range(5)}, []))
    world.run(presence_ops.alive(world.keys, "me", 60.0, {}))
    if holder:
        world.run(presence_ops.hold(world.keys, holder, names, []))
    for name in names[:waiting]:
        world.post(functions=[name])
    name = world.serving(served)
    world.token(served, taken=True)
    op = work_ops.claim(world.keys, "me", world.number(), name, 60, 1, b"", WAIT)
    counted = commands(world, lambda: world.run(op))
    world.raw.flushall()
    return counted


def test_a_claim_of_a_model_that_the_worker_holds(world):
    """One command more than for a plain job: whether it holds the model."""
    few, many = cost(world, 1, 1, "me"), cost(world, 200, 1000, "me")
    assert few == many
    assert few["cmdstat_zscore"] == 1


def test_a_claim_of_a_model_that_nobody_holds(world):
    """Those who hold others don't matter."""
    assert cost(world, 0, 1, "") == cost(world, 0, 1000, "")


def test_a_claim_that_passes_lanes_over(world):
    """Up to 32 of them, however many there are; each takes a few commands, however many hold its model."""
    few, many = cost(world, 1, 50, "w0", 50), cost(world, 1, 1000, "w0", 1000)
    assert few == many
    assert few["cmdstat_lindex"] == 32
    crowd = cost(world, 200, 1000, "w0", 1000)
    assert sum(crowd.values()) <= 1.5 * sum(few.values())
