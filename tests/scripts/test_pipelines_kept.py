"""How long jobs of pipelines, and jobs that others come after, are kept."""

import pytest

from mlq.errors import WrongState


def test_steps_expire_with_their_root(pipes, world):
    """None is left behind."""
    (root,) = pipes.take(pipes.post(ttl=100.0))
    join, parts = pipes.split(root, 3)
    for one in (*parts, join):
        pipes.end(one)
    for name in pipes.rest_of():
        assert 0 < pipes.raw.ttl(pipes.keys.root + name) <= 100, name


def test_steps_of_a_requeued_root_are_kept(pipes, world):
    """Or the join would find no results."""
    (root,) = pipes.take(pipes.post(ttl=100.0))
    _join, parts = pipes.split(root, 3)
    pipes.end(parts[0])
    pipes.cancel("1")
    assert 0 < pipes.raw.ttl(pipes.keys.job + parts[0]) <= 100
    pipes.requeue("1")
    for name in pipes.rest_of():
        assert pipes.raw.ttl(pipes.keys.root + name) == -1, name


@pytest.mark.parametrize("end", ["succeeded", "cancelled"])
def test_time_to_live_of_a_needed_job_begins_when_nobody_needs_it(pipes, end):
    """Whatever became of it."""
    pipes.post(ttl=100.0)
    other = pipes.post("run 1")
    if end == "cancelled":
        pipes.cancel("1")
    else:
        pipes.end("1")
    assert pipes.raw.ttl(pipes.keys.job + "1") == -1
    pipes.end(other)
    assert 0 < pipes.raw.ttl(pipes.keys.job + "1") <= 100


@pytest.mark.parametrize("end", ["before", "after", "cancelled"])
def test_a_cancelled_job_that_expires_holds_no_results(pipes, end):
    """The time to live of what it came after begins, before or after its end; not if a person requeues it."""
    first, second = pipes.post(ttl=100.0), pipes.post(ttl=100.0)
    third = pipes.post(f"run {first} {second}", ttl=50.0)
    if end == "before":
        pipes.end(first)
    pipes.cancel(third)
    if end != "before":
        pipes.cancel(first) if end == "cancelled" else pipes.end(first)
    names = [
        pipes.keys.job + first,
        pipes.keys.post + first,
        f"{pipes.keys.job}{first}:next",
        f"{pipes.keys.job}{first}:left",
    ]
    assert [0 < pipes.raw.ttl(name) <= 100 for name in names] == [True] * 4
    assert 0 < pipes.raw.ttl(pipes.keys.job + third) <= 50
    pipes.requeue(third)
    assert [pipes.raw.ttl(name) for name in names] == [-1, -1, -1, -2]
    while pipes.waiting():
        pipes.end(pipes.waiting()[0])
    assert pipes.states(first, second, third) == ["succeeded"] * 3
    assert [0 < pipes.raw.ttl(pipes.keys.job + one) <= 100 for one in (first, second)] == [True, True]


def test_a_needed_job_is_kept_while_one_of_many_needs_it(pipes):
    """Also if that is posted when all others have been cancelled."""
    first = pipes.post(ttl=100.0)
    pipes.end(first)
    others = [pipes.post(f"fail {first}", ttl=50.0) for _ in range(3)]
    ttls = []
    for one in others:
        pipes.cancel(one)
        ttls.append(pipes.raw.ttl(pipes.keys.job + first) > 0)
    assert ttls == [False, False, True]
    last = pipes.post(f"fail {first}")
    keys = [f"{pipes.keys.job}{first}{name}" for name in ("", ":next", ":left")]
    assert [pipes.raw.ttl(name) for name in keys] == [-1] * 3
    pipes.raw.delete(*(stem + one for one in others for stem in (pipes.keys.post, pipes.keys.job)))
    pipes.end(last)
    assert pipes.raw.ttl(pipes.keys.job + first) > 0
    pipes.delete(first)
    assert pipes.rest_of(last) == []


def test_a_cancelled_job_leaves_a_thousand(pipes, world):
    """Page by page, and expires after that."""
    needed = world.post(1000, ttl=100.0)
    last = pipes.post("fail " + " ".join(needed), ttl=50.0)
    for one in world.claim(1000):
        assert world.settle(one)
    pipes.cancel(last)
    pipes.chores()
    assert all(pipes.raw.ttl(pipes.keys.job + one) > 0 for one in (*needed, last))


def test_a_dependent_that_has_expired_holds_nothing(pipes):
    """The job that it came after can be deleted."""
    pipes.end(pipes.post())
    other = pipes.post("fail 1")
    pipes.raw.delete(pipes.keys.post + other, pipes.keys.job + other)
    pipes.delete("1")


def test_a_step_that_outlives_its_root_writes_nothing_of_it(pipes, world, root):
    """Its root has expired or was lost."""
    second = pipes.forward(root)
    (claimed,) = pipes.take(second)
    pipes.raw.delete(pipes.keys.job + "1", pipes.keys.post + "1", pipes.keys.job + "1:steps")
    assert world.settle(claimed)
    assert not pipes.raw.exists(pipes.keys.job + "1")


def test_delete_passes_those_that_have_expired(pipes, world):
    """A page of them in one call."""
    pipes.post()
    pipes.end("1")
    pipes.raw.zadd(pipes.keys.job + "1:next", {str(one): one for one in range(1000, 1150)})
    with pytest.raises(WrongState, match="come after it"):
        pipes.delete("1")
    assert pipes.raw.zcard(pipes.keys.job + "1:next") == 50
    pipes.delete("1")
    assert pipes.rest_of() == []


def test_a_cancelled_pipeline_expires_whole(pipes, world):
    """The steps that never ran, too."""
    (root,) = pipes.take(pipes.post(ttl=100.0))
    pipes.split(root, 20, at_once=2)
    pipes.cancel("1")
    pipes.chores()
    for name in pipes.rest_of():
        assert 0 < pipes.raw.ttl(pipes.keys.root + name) <= 100, name
