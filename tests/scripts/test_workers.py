"""Workers that say that they live, and the version of the layout."""

import time

import pytest

from mlq.core.keys import FORMAT
from mlq.errors import Unsupported
from mlq.ops import data as data_ops
from mlq.ops import presence as presence_ops


def test_sign_of_life(world, keys, about):
    """The worker is listed with what it says of itself; the first one fixes the layout."""
    _, changed = world.changes(presence_ops.alive(keys, "w", 10.0, {"host": "here", "slots": 2}))
    assert changed == {
        "format": FORMAT,
        "workers": {"w": about(10)},
        "worker:w": {"seen": about(), "host": "here", "slots": "2"},
    }
    (listed,) = world.run(presence_ops.workers(keys))
    assert listed == {"name": "w", "seen": about(), "host": "here", "slots": "2"}
    assert 0 < world.raw.ttl(keys.worker + "w") <= 60
    world.raw.delete(keys.workers)


def test_worker_that_said_nothing_more_is_not_listed(world, keys):
    """A sign of life counts for a while; the next worker that gives one tidies up."""
    world.run(presence_ops.alive(keys, "gone", 10.0, {}))
    world.raw.zadd(keys.workers, {"gone": time.time() - 1})
    assert world.run(presence_ops.workers(keys)) == []
    world.run(presence_ops.alive(keys, "w", 10.0, {}))
    assert list(world.look()["workers"]) == ["w"]
    world.raw.delete(keys.workers)


def test_list_of_workers_lapses(world, keys):
    """Workers that were killed leave nothing for ever."""
    world.run(presence_ops.alive(keys, "w", 10.0, {}))
    assert world.raw.ttl(keys.workers) > 0


def test_worker_that_stopped_is_gone(world, keys):
    """With its inbox."""
    world.run(presence_ops.alive(keys, "w", 10.0, {}))
    for op in (*data_ops.wake_up(keys, "w"), *presence_ops.retire(keys, "w")):
        world.run(op)
    assert world.look() == {"format": FORMAT}


def test_other_layout_is_refused(world, keys):
    """A worker does not touch a namespace that a later version keeps in another way."""
    world.raw.set(keys.format, "999")
    with world.unchanged(), pytest.raises(Unsupported, match="999"):
        world.run(presence_ops.alive(keys, "w", 10.0, {}))


def test_wake_up(world, keys):
    """A word in the worker's inbox, that lapses."""
    for op in data_ops.wake_up(keys, "w"):
        world.run(op)
    assert world.look() == {"inbox:w": ["wake"]}
