"""Pipelines, and steps of them, that a person cancels, discards or deletes."""

import pytest

from mlq.core.states import State
from mlq.errors import WrongState
from mlq.ops import jobs as job_ops


def test_cancel_of_the_root(pipes, world, root):
    """Nothing of it runs any more."""
    join, parts = pipes.split(root, 3, at_once=2)
    (claimed,) = pipes.take(parts[0])
    inner, below = pipes.split(claimed, 2)
    (running,) = pipes.take(below[0])
    pipes.cancel("1")
    assert pipes.states("1", join, *parts[:2], inner, *below) == ["cancelled"] * 7
    assert pipes.waiting() == []
    assert not world.settle(running)
    assert not pipes.raw.exists(pipes.keys.blocked, pipes.keys.leases, pipes.keys.chores)
    with world.unchanged():
        pipes.cancel("1")


@pytest.mark.parametrize("policy", [None, "run"])
def test_parts_that_are_held_back_are_cancelled_too(pipes, root, policy):
    """Counted, page by page; and when the split is requeued, they wait for their turn again."""
    join, parts = pipes.split(root, 250, at_once=2, on_failure=policy)
    pipes.end(parts[0])
    for _ in range(2):
        pipes.cancel("1")
        pipes.chores()
        assert set(pipes.states("1", join, *parts[1:])) == {"cancelled"}
        assert pipes.counters("1") == [251, 1, 250]
        pipes.requeue("1")
        pipes.chores()
        assert (set(pipes.states(*parts[1:])), pipes.waiting()) == ({"queued"}, parts[1:3])
        assert pipes.counters("1") == [251, 1, 0]
    while pipes.waiting():
        for one in pipes.world.claim(2):
            assert pipes.world.settle(one)
    assert pipes.states("1", join) == ["succeeded", "succeeded"]
    assert pipes.counters("1") == [251, 251, 0]


@pytest.mark.parametrize("policy", [None, "run"])
@pytest.mark.parametrize("requeued", ["root", "part"])
def test_a_part_that_is_cancelled_before_it_is_open(pipes, root, policy, requeued):
    """It does not run before its turn, and nothing waits for it for ever."""
    join, parts = pipes.split(root, 3, at_once=1, on_failure=policy)
    pipes.cancel(parts[2])
    pipes.requeue(parts[2]) if requeued == "part" else policy or pipes.requeue("1")
    assert parts[2] not in pipes.waiting()
    pipes.cancel("1")
    assert pipes.waiting() == []
    pipes.requeue("1")
    while pipes.waiting():
        pipes.end(pipes.waiting()[0])
    assert pipes.states("1", join) == ["succeeded", "succeeded"]


def test_a_part_that_was_discarded_counts_once(pipes, root):
    """However often its join is cancelled and requeued."""
    join, parts = pipes.split(root, 3, on_failure="run")
    pipes.end(parts[0], State.FAILED)
    pipes.run(job_ops.discard(pipes.keys, parts[0]))
    for _ in range(2):
        pipes.cancel("1")
        pipes.requeue("1")
    pipes.end(parts[1])
    assert pipes.state(join) == "blocked"
    pipes.end(parts[2])
    assert pipes.state(join) == "queued"


def test_a_step_does_not_go_on_when_its_root_was_cancelled(pipes, world, root):
    """It is cancelled instead, and what it has posted is removed."""
    _, parts = pipes.split(root, 2)
    (claimed,) = pipes.take(parts[0])
    pipes.raw.hset(pipes.keys.job + "1", "state", "cancelled")  # and the rest is about to be done
    pipes.plan(claimed, [3])
    before = set(pipes.rest_of())
    assert pipes.run(pipes.splitting(claimed)) == [True]
    assert pipes.state(parts[0]) == "cancelled"
    assert before - set(pipes.rest_of()) == {"post:5", "post:6", "post:7", "post:8", f"job:{claimed.lease}:plan"}


def test_delete(pipes, world, root):
    """A pipeline is deleted as a whole, by its root, and not before it has ended."""
    join, parts = pipes.split(root, 3)
    with pytest.raises(WrongState):
        pipes.delete("1")
    pipes.end(parts[0])
    for one in (join, *parts):
        with world.unchanged(), pytest.raises(WrongState):
            pipes.delete(one)
    for one in (*parts[1:], join):
        pipes.end(one)
    pipes.delete("1")
    assert pipes.rest_of() == []
    assert not pipes.raw.exists(pipes.keys.blocked, pipes.keys.chores, pipes.keys.lane + "default")


def test_delete_of_a_large_pipeline(pipes, root):
    """More than one script does."""
    pipes.split(root, 1200, at_once=1000)
    pipes.cancel("1")
    pipes.delete("1")
    pipes.chores()
    assert pipes.rest_of() == []
    assert pipes.waiting() == []


def test_delete_of_a_pipeline_in_many_pages(pipes, root):
    """Whose ranges of ids have others between them, and of which some are longer than what is read at once."""
    join, parts = pipes.plan(root, [1] * 130 + [150, 1, 1])
    assert pipes.run(pipes.splitting(root)) == [True]
    other = pipes.post()
    second = pipes.forward(pipes.take(parts[0])[0])
    pipes.cancel("1")
    pipes.chores()
    assert set(pipes.states(join, *parts, second)) == {"cancelled"}
    pipes.delete("1")
    pipes.chores()
    assert pipes.rest_of(other) == []


def test_a_part_that_a_person_has_had_run_ends_with_the_plan(pipes, root):
    """It was cancelled and requeued before its split began, which then does not begin."""
    _, (part, *_) = pipes.plan(root, [3])
    pipes.cancel(part)
    pipes.requeue(part)
    (running,) = pipes.take(part)
    pipes.cancel(root.id)
    pipes.chores()
    assert pipes.world.settle(running, State.SUCCEEDED) is False
    assert pipes.rest_of(root.id) == []
