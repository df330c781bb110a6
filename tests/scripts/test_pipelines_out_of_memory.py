"""Pipelines on a server that has reached its `maxmemory`: each script does all or nothing."""

import pytest
import redis

from mlq import server
from mlq.core.keys import Keys
from mlq.errors import OutOfMemory
from mlq.ops import jobs as job_ops
from tests.scripts.pipes import Pipes


@pytest.fixture(scope="module")
def small_url():
    """A server that may be filled."""
    with server.scratch(appendfsync=None, port=0) as running:
        yield running.url


@pytest.fixture
def full(small_url, on_server, world_type):
    """Pipelines on a server that is about to be full."""
    with on_server("sync", small_url) as run, redis.Redis.from_url(small_url) as raw:
        raw.config_set("maxmemory", 0)
        raw.flushall()
        yield Pipes(world_type(Keys("full"), raw, run))
        raw.config_set("maxmemory", 0)


def acts(pipes):
    """One op of each kind, on jobs that are seeded for it."""
    forwarded, split, after, failed = pipes.take(pipes.post(), pipes.post(), pipes.post(), pipes.post())
    _, parts = pipes.split(after, 2, at_once=1)
    (part,) = pipes.take(parts[0])
    pipes.plan(split, [3])
    (lost,) = pipes.take(pipes.forward(failed))
    pipes.world.settle(lost, "failed", None)
    body = [b"0\n\xc0"]
    return {
        "forward": pipes.forwarding(forwarded),
        "split": pipes.splitting(split),
        "end of a part": pipes.world.ending(part),
        "post after": job_ops.post(pipes.keys, "p", 99, "default", body, needs=f"fail {after.id}:"),
        "requeue": job_ops.requeue(pipes.keys, failed.id),
        "cancel": job_ops.cancel(pipes.keys, after.id),
    }


@pytest.mark.parametrize("act", ["forward", "split", "end of a part", "post after", "requeue", "cancel"])
def test_all_or_nothing(full, act):
    """Refused as a whole, and done as a whole once there is room."""
    op = acts(full)[act]
    full.raw.config_set("maxmemory", 1)
    with full.world.unchanged(), pytest.raises(OutOfMemory):
        full.run(op)
    full.raw.config_set("maxmemory", 0)
    _, changed = full.world.changes(op)
    assert changed


def test_deleting_a_pipeline_makes_room(full):
    """All of it goes."""
    (root,) = full.take(full.post())
    join, parts = full.split(root, 3)
    for one in (*parts, join):
        full.end(one)
    full.raw.config_set("maxmemory", 1)
    full.delete("1")
    assert full.rest_of() == []
