"""Purging a lane, one page at a time."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlq.core.keys import Keys
from mlq.ops import jobs as job_ops
from mlq.ops import purging as purge_ops
from mlq.ops.purging import Purged
from mlq.shell.sync import Shell
from mlq.shell.target import Target


@pytest.fixture
def purge(world, monkeypatch):
    """Purge a lane, by pages of two; how many were cancelled."""
    monkeypatch.setattr(purge_ops, "JOBS", 2)

    def run(last, lane="default"):
        found, cancelled = Purged(), 0
        while not found.is_over:
            found = world.run(purge_ops.purge(world.keys, lane, last, found))
            cancelled += found.cancelled
        return cancelled

    return run


def states(world, count):
    return [world.raw_job(str(one)).get("state", b"queued").decode() for one in range(1, count + 1)]


def test_one_page(world, keys, about, monkeypatch):
    """All that it changes: as a cancel does."""
    monkeypatch.setattr(purge_ops, "JOBS", 1)
    world.post(2, callback="http://localhost/")
    world.run(job_ops.wait(keys, "2", "alice", 10))
    found, changed = world.changes(purge_ops.purge(keys, "default", 2, Purged()))
    assert found == Purged(1, "2", 0, 0)
    assert changed.pop("inbox:alice")[0].startswith("2 ")
    assert changed.pop("delivery:callback:2")["success"] == "0"
    assert changed == {
        "job:2": {"state": "cancelled", "finished": about(), "reason": "purged"},
        "lane:default": {"1": 1.0},
        "deliveries:callback": {"2": about()},
        "waiters:2": None,
    }


def test_all_but_what_was_posted_later(world, purge):
    """Whatever their priorities; the rest of the lane, and other lanes, are as before."""
    for priority in (0, 5, -5, 0, 3):
        world.post(priority=priority)
    world.post(queue="slow")
    last = 6
    for priority in (9, 0, -9):
        world.post(priority=priority)
    assert purge(last) == 5
    assert states(world, 9) == ["cancelled"] * 5 + ["queued"] * 4
    assert set(world.look()["lane:default"]) == {"7", "8", "9"}
    assert purge(last) == 0
    assert [one.id for one in world.claim(9)] == ["7", "6", "8", "9"]


def test_jobs_of_one_place(world, purge, keys):
    """More of them stay than fit into a page: it comes to those behind them."""
    world.post(3)
    world.post(4)
    world.raw.zadd(keys.lane + "default", {str(one): 50 for one in range(4, 8)})
    assert purge(3) == 3
    assert set(world.look()["lane:default"]) == {"4", "5", "6", "7"}


def test_the_class_index_follows(world, purge):
    """A worker is not led to a lane that is empty."""
    world.serving()
    world.post(5)
    assert purge(5) == 5
    assert world.raw.smembers(world.keys.lanes) == set()
    assert world.claim() == []
    world.post()
    assert world.claim()[0].id == "6"


def test_what_does_not_wait_stays(world, purge):
    """Jobs that run, are scheduled, or wait for others."""
    world.scheduled()
    world.running()
    world.post(delay=60)
    world.post()
    assert purge(9) == 1
    assert states(world, 4) == ["scheduled", "running", "scheduled", "cancelled"]


def test_those_that_wait_for_them_fail(pipes, world, purge):
    """And a part that is purged ends its split."""
    first = pipes.post()
    pipes.post(f"fail {first}")
    assert purge(2) == 1
    pipes.chores()
    assert pipes.states("1", "2") == ["cancelled", "failed"]
    (root,) = pipes.take(pipes.post())
    join, parts = pipes.split(root, 5, at_once=2)
    assert purge(int(parts[-1])) >= 1
    pipes.chores()
    assert pipes.states("3", join, *parts) == ["failed", "failed"] + ["cancelled"] * 5


def test_a_requeued_one_waits_again(world, purge, keys):
    world.post()
    purge(1)
    world.run(job_ops.requeue(keys, "1"))
    assert world.claim()[0].id == "1"


def test_garbage(world, keys, purge):
    """Entries without a record stay for the claim that buries them; a hash of another type is replaced."""
    world.post(3)
    world.raw.zadd(keys.lane + "default", {"77": 77, "garbage": 5})
    world.raw.set(keys.job + "2", "text")
    world.raw.hset(keys.job + "3", "state", "running")
    assert purge(100) == 2
    assert set(world.look()["lane:default"]) == {"3", "77", "garbage"}
    world.raw.delete(keys.lane + "default")
    world.raw.set(keys.lane + "default", "text")
    assert purge(100) == 0


@given(st.lists(st.sampled_from(["post", "high", "low", "claim", "page", "again"]), max_size=30))
@settings(max_examples=40, deadline=None)
def test_whatever_happens_meanwhile(server_url, world_type, steps):
    """When it is over, no job waits that was posted before it began, and none is cancelled that was posted later."""
    import uuid

    import redis

    with redis.Redis.from_url(server_url) as raw:
        shell = Shell(Target(server_url, "arguments"))
        world = world_type(Keys(f"test-{uuid.uuid4().hex}"), raw, shell.run)
        world.post(5)
        last, found = 5, Purged()
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(purge_ops, "JOBS", 2)
            for step in [*steps, *["page"] * 30]:
                if step in ("post", "high", "low"):
                    world.post(priority={"post": 0, "high": 9, "low": -9}[step])
                elif step == "claim":
                    world.claim()
                elif step == "again":  # somebody begins anew, as after a kill
                    found = Purged()
                elif not found.is_over:
                    found = shell.run(purge_ops.purge(world.keys, "default", last, found))
        for number in range(1, int(raw.get(world.keys.counter)) + 1):
            state = world.raw_job(str(number)).get("state", b"queued")
            assert state in ((b"cancelled", b"running") if number <= last else (b"queued", b"running")), number
        names = list(raw.scan_iter(f"{world.keys.root}*".replace("-", "\\-"), count=1000))
        raw.delete(*names)
        shell.close()
