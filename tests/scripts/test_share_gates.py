"""Limits and pauses of shares: one whose gate is closed leaves the rings of its lanes, until the gate opens."""

import pytest

from mlq.core.limit import Gate, Limit
from mlq.core.states import State
from mlq.ops import gates as gate_ops
from mlq.ops import jobs as job_ops
from mlq.ops import work as work_ops

A = Gate("share", "a")


def limit(world, running=None, rate=None, gate=A):
    given = Limit.of(gate, running, rate) if running is not None or rate else None
    assert world.run(gate_ops.limit(world.keys, gate, given))


def pause(world, gate=A):
    assert world.run(gate_ops.pause(world.keys, gate, "me"))


def resume(world, gate=A):
    assert world.run(gate_ops.pause(world.keys, gate, ""))


def taken(world, count=20):
    return [one.id for one in world.claim(count)]


def rests(world):
    return world.run(work_ops.rests(world.keys, world.serving()))


def test_a_pause(world):
    """Of the others everything runs; then workers sleep; then it goes on at its place."""
    world.post(3, share="a")
    world.post(2, share="b")
    pause(world)
    assert taken(world) == ["4", "5"]
    assert rests(world)
    world.post(1, share="a")
    assert rests(world)
    world.token(taken=True)
    resume(world)
    assert not rests(world)
    assert taken(world) == ["1", "2", "3", "6"]


@pytest.mark.parametrize("count", [1, 20])
def test_at_most_two_at_a_time(world, count):
    """In all lanes together; the end of one lets the next one begin, and wakes a worker."""
    limit(world, running=2)
    world.post(4, share="a")
    world.post(4, ["f"], share="a")
    world.post(2, share="b")
    got = []
    while claimed := world.claim(count):
        got += claimed
    of_a = [one for one in got if int(one.id) <= 8]
    assert (len(of_a), len(got)) == (2, 4)
    assert rests(world)
    for _ in range(6):
        world.token(taken=True)
        assert world.settle(of_a.pop(0), used=1.0)
        assert world.token()
        (more,) = world.claim(count)
        of_a.append(more)
        assert not world.claim(count)
    for one in of_a:
        assert world.settle(one, used=1.0)
    assert not world.claim(count)
    assert rests(world)
    assert world.raw.scard(f"{world.keys.root}running:share:a") == 0


@pytest.mark.parametrize("how", ["handed back", "lost", "cancelled", "retry"])
def test_whatever_ends_an_attempt_frees_its_place(world, how):
    limit(world, running=1)
    world.post(3, share="a")
    (claimed,) = world.claim(5)
    if how == "handed back":
        world.run(work_ops.hand_back(world.keys, [(claimed, False)]))
    elif how == "lost":
        world.watched()
        world.lapse(claimed)
        world.reap()
    elif how == "cancelled":
        world.run(job_ops.cancel(world.keys, claimed.id))
    else:
        assert world.settle(claimed, State.FAILED, None, retry_in=50.0)
    assert taken(world) == (["2"] if how in ("cancelled", "retry") else ["1"])


def test_a_rate(world):
    """So many begin, and the claim says when the next one may."""
    limit(world, rate="2/m")
    world.post(5, share="a")
    claim = world.claim(20)
    assert len(claim) == 2
    assert 50 < claim.again <= 60


def test_a_limit_of_zero_and_a_lower_one(world):
    limit(world, running=3)
    world.post(5, share="a")
    running = world.claim(20)
    assert len(running) == 3
    limit(world, running=1)
    for one in running[:2]:
        world.settle(one)
        assert not world.claim(20)
    world.settle(running[2])
    assert len(world.claim(20)) == 1
    limit(world)
    assert len(world.claim(20)) == 1


def test_those_that_run_before_there_is_a_limit_count(world):
    world.post(5, share="a")
    running = world.claim(2)
    limit(world, running=2)
    assert not world.claim(20)
    world.settle(running[0])
    assert len(world.claim(20)) == 1


def test_a_parked_share_without_jobs(world):
    """Its jobs are cancelled: it does not come back."""
    pause(world)
    world.post(2, share="a")
    assert not world.claim()
    for job_id in ("1", "2"):
        world.run(job_ops.cancel(world.keys, job_id))
    resume(world)
    looked = world.look()
    assert not any(name.startswith("lane:default|") and not name.endswith("||times") for name in looked)
    assert "lanes" not in looked
    assert not world.claim()
    world.post(1, share="a")
    assert taken(world) == ["3"]


def test_the_queue_of_shares_is_paused(world):
    """As any lane."""
    queue = Gate("queue", "default")
    world.post(2, share="a")
    pause(world, queue)
    assert not world.claim()
    world.post(2, share="b")
    assert rests(world)
    resume(world, queue)
    assert taken(world) == ["1", "3", "2", "4"]


def test_both(world):
    """A limit of the function, and one of the share."""
    limit(world, running=3, gate=Gate("function", "f"))
    limit(world, running=1)
    world.post(3, ["f"], share="a")
    world.post(5, ["f"], share="b")
    got = world.claim(20)
    assert sorted(one.id for one in got) == ["1", "4", "5"]
    assert world.raw_job("1")["gates"] == b"function:f,share:a"
    assert world.settle(got[0])
    (more,) = world.claim(20)
    assert more.id in ("2", "6")


def test_counts(world):
    """Those that are kept back wait, too."""
    pause(world)
    world.post(2, share="a")
    assert not world.claim()
    assert world.run(job_ops.counts(world.keys)).lanes == {"default": 2}
