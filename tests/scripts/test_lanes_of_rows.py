"""Lanes of chunks of files: served by their own names, and never in batches."""

import pytest

from mlq.core.checks import lane_of
from mlq.core.chunk import ROWS_QUEUE
from mlq.ops import work as work_ops
from mlq.ops.work import WorkerClass
from mlq.running.listeners import Listener, Listeners

LANE = lane_of(ROWS_QUEUE, ["embed"])
SERVES = WorkerClass.of(["default"], ["default"], ["embed", "tag"], [LANE])
OTHERS = WorkerClass.of(["default"], ["default"], ["embed", "tag"])
EVEN_THAT_QUEUE = WorkerClass.of(["default"], ["default", ROWS_QUEUE], ["embed", "tag"])


def claim(world, kind, count=5):
    """The ids that a worker of that class claims, and their batches."""
    sizes = work_ops.batches({":embed": 3})
    op = work_ops.claim(world.keys, "w", world.number(), kind.name, 60, count, sizes)
    return [(one.id, one.batch) for one in world.run(op)]


@pytest.mark.parametrize("first", ["post", "register"])
def test_only_classes_that_serve_a_lane_get_its_jobs(world, first):
    """Whether it had jobs when they were registered, or not."""
    if first == "register":
        world.serving(SERVES)
        world.serving(OTHERS)
        world.serving(EVEN_THAT_QUEUE)
    world.post(2, queue=ROWS_QUEUE, functions=["embed"])
    world.post(queue=ROWS_QUEUE, functions=["tag"])
    for kind in (OTHERS, EVEN_THAT_QUEUE):
        world.serving(kind)
        assert claim(world, kind) == []
        assert not world.token(kind)
    world.serving(SERVES)
    assert world.token(SERVES) is (first == "register")  # a class that registers looks by itself
    assert claim(world, SERVES) == [("1", 0), ("2", 0)]


def test_they_are_never_a_batch(world):
    """Nor with other jobs of their function; each takes a slot."""
    world.serving(SERVES)
    world.post(2, queue=ROWS_QUEUE, functions=["embed"])
    world.post(2, functions=["embed"])
    assert claim(world, SERVES, 3) == [("1", 0), ("2", 0), ("3", 1), ("4", 1)]


def test_a_claim_that_is_sent_again_is_the_same(world):
    world.serving(SERVES)
    world.post(2, queue=ROWS_QUEUE, functions=["embed"])
    number = world.number()
    op = work_ops.claim(world.keys, "w", number, SERVES.name, 60, 2, work_ops.batches({":embed": 3}))
    once, again = world.run(op), world.run(op)
    assert [(one.id, one.batch) for one in once] == [(one.id, one.batch) for one in again] == [("1", 0), ("2", 0)]


def test_a_worker_serves_those_of_its_listeners():
    """But not of listeners that are for queues that it does not serve."""
    listeners = Listeners([Listener.of(print, name, queue) for name, queue in (("a", None), ("b", "gpu"), ("c", "x"))])
    assert listeners.own_lanes(("gpu", "default")) == ["#rows:a", "#rows:b"]
