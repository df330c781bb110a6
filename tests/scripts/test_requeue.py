"""Requeue of jobs in pipelines: it goes on where it broke, and nothing runs again that nobody asked for."""

import pytest

from mlq.core import codec
from mlq.core.states import State


def failed_join(pipes, root):
    """The join of a split that runs whatever becomes of its parts, and failed itself; the second part succeeded."""
    join, parts = pipes.split(root, 3, on_failure="run")
    for part, state in zip(parts, (State.FAILED, State.SUCCEEDED, State.FAILED), strict=True):
        pipes.end(part, state)
    pipes.end(join, State.FAILED)
    assert pipes.states("1", join, *parts) == ["failed", "failed", "failed", "succeeded", "failed"]
    return join, parts


@pytest.mark.parametrize("what", ["root", "join"])
def test_a_join_that_had_run_runs_again_alone(pipes, root, what):
    """With what its parts gave, whichever of the two a person requeues."""
    join, parts = failed_join(pipes, root)
    pipes.requeue("1" if what == "root" else join)
    assert pipes.states("1", join, *parts) == ["blocked", "queued", "failed", "succeeded", "failed"]
    assert pipes.waiting() == [join]
    pipes.end(join)
    assert pipes.state("1") == "succeeded"
    assert pipes.counters("1") == [4, 2, 2]


@pytest.mark.parametrize("again", [State.SUCCEEDED, State.FAILED])
def test_a_join_that_had_run_waits_for_a_part_that_is_requeued(pipes, root, again):
    """For this one, and no other; then it runs, whatever becomes of that."""
    join, parts = failed_join(pipes, root)
    pipes.requeue(parts[0])
    assert pipes.states("1", join, *parts) == ["blocked", "blocked", "queued", "succeeded", "failed"]
    pipes.end(parts[0], again)
    assert pipes.states("1", join) == ["blocked", "queued"]
    pipes.end(join)
    assert pipes.state("1") == "succeeded"
    assert not pipes.raw.exists(pipes.keys.blocked, pipes.keys.chores)


def test_a_join_that_had_run_waits_for_all_parts_that_are_requeued(pipes, root):
    """In whatever order they end."""
    join, parts = failed_join(pipes, root)
    pipes.requeue(parts[2])
    pipes.requeue(parts[0])
    pipes.end(parts[0])
    assert pipes.state(join) == "blocked"
    pipes.end(parts[2])
    assert pipes.waiting() == [join]


def test_a_join_never_waits_for_a_part_that_has_failed_again(pipes, root):
    """Before the chores of its requeue were done."""
    join, parts = failed_join(pipes, root)
    pipes.raw.rpush(pipes.keys.chores, codec.pack(["revive", join, parts[0], True]))
    pipes.chores()
    assert pipes.states("1", join, *parts) == ["blocked", "blocked", "queued", "succeeded", "failed"]
    pipes.end(parts[0], State.FAILED)
    assert pipes.waiting() == [join]


def test_a_part_of_a_part_brings_back_a_join_that_had_run(pipes, root):
    """Through the part that became another job."""
    join, parts = pipes.split(root, 1, on_failure="run")
    (claimed,) = pipes.take(parts[0])
    below = pipes.forward(claimed)
    pipes.end(below, State.FAILED)
    pipes.end(join, State.FAILED)
    pipes.requeue(below)
    assert pipes.states("1", join, parts[0], below) == ["blocked", "blocked", "blocked", "queued"]
    for one in (below, join):
        pipes.end(one)
    assert pipes.states("1", parts[0]) == ["succeeded", "succeeded"]


def test_requeue_of_a_cancelled_root(pipes, root):
    """What has succeeded does not run again; all else does."""
    join, parts = pipes.split(root, 4, at_once=2)
    pipes.end(parts[0])
    pipes.cancel("1")
    pipes.requeue("1")
    assert pipes.states("1", join, *parts) == ["blocked", "blocked", "succeeded", "queued", "queued", "queued"]
    assert pipes.waiting() == parts[1:3]
    for one in (*parts[1:], join):
        pipes.end(one)
    assert pipes.states("1", join) == ["succeeded", "succeeded"]
    assert pipes.counters("1") == [5, 5, 0]


@pytest.mark.parametrize("what", ["root", "join", "part"])
def test_requeue_after_a_part_failed(pipes, root, what):
    """Whichever of them a person requeues, it goes on to the same end."""
    join, parts = pipes.split(root, 3)
    pipes.end(parts[0])
    pipes.end(parts[1], State.FAILED)
    pipes.requeue({"root": "1", "join": join, "part": parts[1]}[what])
    assert pipes.states("1", join, *parts) == ["blocked", "blocked", "succeeded", "queued", "queued"]
    for one in (parts[1], parts[2], join):
        pipes.end(one)
    assert pipes.state("1") == "succeeded"
    assert pipes.counters("1") == [4, 4, 0]
    assert not pipes.raw.exists(pipes.keys.blocked, pipes.keys.dead)


def test_a_part_of_a_split_that_runs_anyway_is_requeued(pipes, root):
    """While the join waits, it waits for that one again; each part counts once."""
    join, parts = pipes.split(root, 3, on_failure="run")
    pipes.end(parts[0], State.FAILED)
    pipes.cancel(join)
    pipes.requeue("1")
    assert pipes.states("1", join) == ["blocked", "blocked"]
    for one in parts:
        assert pipes.state(join) == "blocked"
        pipes.end(one)
    assert pipes.state(join) == "queued"


@pytest.mark.parametrize("depth", [0, 1])
def test_requeue_of_a_step_brings_back_all_that_it_runs_for(pipes, root, depth):
    """Also what a person has cancelled: no step runs for nobody."""
    join, parts = pipes.split(root, 2)
    (claimed,) = pipes.take(parts[0])
    inner, below = pipes.split(claimed, 1)
    pipes.cancel(inner if depth else "1")
    pipes.requeue(below[0])
    assert pipes.states("1", join, parts[0], inner, *below) == [*["blocked"] * 4, "queued"]
    for one in (*below, inner, parts[1], join):
        pipes.end(one)
    assert pipes.state("1") == "succeeded"


def test_result_of_a_step_whose_root_was_cancelled_is_not_lost(pipes, root):
    """The rest of the cancellation was still to be done when the step succeeded; then a person requeues the root."""
    second = pipes.forward(root)
    (claimed,) = pipes.take(second)
    pipes.raw.hset(pipes.keys.job + "1", "state", "cancelled")
    pipes.raw.zrem(pipes.keys.blocked, "1")
    assert pipes.world.settle(claimed)
    assert pipes.states("1", second) == ["cancelled", "succeeded"]
    pipes.requeue("1")
    assert (pipes.state("1"), pipes.field("1", "result")) == ("succeeded", "\x04")


def test_a_requeued_split_opens_as_many_as_may_be_open(pipes, world, root):
    """Not only one for each that ends."""
    _, parts = pipes.split(root, 40, at_once=10)
    first, *_ = pipes.take(*parts[:10])
    assert world.settle(first, State.FAILED)
    pipes.requeue("1")
    pipes.chores()
    assert sum(state == "queued" for state in pipes.states(*parts[:10])) == 10


# --- jobs that come after others


def two_failed(pipes):
    """Two jobs that failed, and one that came after both and failed because of the first of them."""
    first, second = pipes.post(), pipes.post()
    third = pipes.post(f"fail {first} {second}")
    pipes.end(first, State.FAILED)
    pipes.end(second, State.FAILED)
    assert (pipes.state(third), pipes.field(third, "cause")) == ("failed", first)
    return first, second, third


def test_what_failed_because_of_another_stays(pipes):
    """Although it came after the one that is requeued."""
    first, second, third = two_failed(pipes)
    pipes.requeue(second)
    assert pipes.states(first, second, third) == ["failed", "queued", "failed"]
    pipes.end(second)
    pipes.requeue(first)
    assert pipes.states(first, third) == ["queued", "blocked"]
    pipes.end(first)
    assert pipes.waiting() == [third]


def test_what_failed_because_of_two_fails_again_because_of_the_other(pipes):
    """Nobody has asked that the other one runs again; whoever does so brings it back."""
    first, second, third = two_failed(pipes)
    pipes.requeue(first)
    assert pipes.states(first, second, third) == ["queued", "failed", "failed"]
    assert pipes.field(third, "cause") == second
    pipes.requeue(second)
    assert pipes.states(first, second, third) == ["queued", "queued", "blocked"]
    for one in (first, second, third):
        pipes.end(one)
    assert not pipes.raw.exists(pipes.keys.blocked, pipes.keys.dead)


def test_a_person_who_requeues_the_last_asks_for_all(pipes):
    """That it needs."""
    first, second, third = two_failed(pipes)
    pipes.requeue(third)
    assert pipes.states(first, second, third) == ["queued", "queued", "blocked"]


def test_two_ways_to_one_cause(pipes):
    """A job that came after one that failed because of another, and after that other, waits for both."""
    first = pipes.post()
    second = pipes.post(f"fail {first}")
    third = pipes.post(f"fail {second}")
    fourth = pipes.post(f"fail {first} {third}")
    pipes.end(first, State.FAILED)
    pipes.requeue(first)
    assert pipes.states(first, second, third, fourth) == ["queued", "blocked", "blocked", "blocked"]
    for one in (first, second, third, fourth):
        pipes.end(one)
    assert not pipes.raw.exists(pipes.keys.blocked, pipes.keys.dead)


def test_requeue_in_the_middle_brings_back_what_failed_because_of_it(pipes):
    """All of them name the first as their cause; it runs again too, since the one in the middle needs it."""
    first = pipes.post()
    second = pipes.post(f"fail {first}")
    third = pipes.post(f"fail {second}")
    pipes.end(first, State.FAILED)
    assert pipes.field(third, "cause") == first
    pipes.requeue(second)
    assert pipes.states(first, second, third) == ["queued", "blocked", "blocked"]


def test_a_requeued_root_leaves_others_as_they_are(pipes, root):
    """A job came after two pipelines; both failed."""
    below = pipes.forward(root)
    other = pipes.post()
    last = pipes.post(f"fail 1 {other}")
    pipes.end(other, State.FAILED)
    pipes.end(below, State.FAILED)
    pipes.requeue(below)
    assert pipes.states("1", below, other, last) == ["blocked", "queued", "failed", "failed"]


def test_those_after_a_job_that_succeeded_meanwhile_come_back(pipes):
    """It was requeued and had succeeded before the chores for all of them were done."""
    first = pipes.post()
    after = [pipes.post(f"fail {first}") for _ in range(300)]
    pipes.end(first, State.FAILED)
    pipes.chores()
    pipes.requeue(first)
    assert "failed" in pipes.states(*after)
    pipes.end(first)
    pipes.chores()
    assert pipes.waiting() == after


def test_a_failed_neighbour_among_a_thousand(pipes, world):
    """More than one page of jobs that it came after."""
    needed = world.post(250)
    last = pipes.post("fail " + " ".join(needed))
    for one in world.claim(250):
        assert world.settle(one, State.FAILED if one.id in (needed[0], needed[-1]) else State.SUCCEEDED)
    pipes.requeue(needed[0])
    pipes.chores()
    assert pipes.states(needed[0], needed[-1], last) == ["queued", "failed", "failed"]
    pipes.requeue(needed[-1])
    pipes.chores()
    assert pipes.states(needed[0], needed[-1], last) == ["queued", "queued", "blocked"]


def test_requeue_brings_back_what_failed_only_because_of_it(pipes, world):
    """All the way down."""
    pipes.post()
    pipes.post("fail 1")
    pipes.post("fail 2")
    pipes.end("1", State.FAILED)
    assert pipes.states("1", "2", "3") == ["failed"] * 3
    pipes.requeue("1")
    assert pipes.states("1", "2", "3") == ["queued", "blocked", "blocked"]
    for one in "123":
        pipes.end(one)
    assert not pipes.raw.exists(pipes.keys.dead, pipes.keys.blocked)


def test_requeue_of_the_last_runs_the_first(pipes):
    """What it needs and has failed runs again first."""
    pipes.post()
    pipes.post("fail 1")
    pipes.post("fail 2")
    pipes.end("1", State.FAILED)
    pipes.requeue("3")
    assert pipes.states("1", "2", "3") == ["queued", "blocked", "blocked"]


def test_a_job_that_was_cancelled_counts_what_failed_meanwhile(pipes):
    """Requeued, it waits for both, each once."""
    first, second = pipes.post(), pipes.post()
    third = pipes.post(f"run {first} {second}")
    pipes.cancel(third)
    pipes.end(first, State.FAILED)
    pipes.requeue(third)
    assert pipes.states(first, second, third) == ["queued", "queued", "blocked"]
    pipes.end(first)
    assert pipes.state(third) == "blocked"
    pipes.end(second)
    assert pipes.state(third) == "queued"


def test_a_job_that_has_become_another_does_not_run_again(pipes):
    """Although one that it came after is requeued, and ends a second time."""
    first = pipes.post()
    second = pipes.post(f"run {first}")
    pipes.end(first, State.FAILED)
    (claimed,) = pipes.take(second)
    third = pipes.forward(claimed)
    pipes.requeue(first)
    pipes.end(first)
    assert pipes.states(second, third) == ["blocked", "queued"]
    assert pipes.waiting() == [third]
    pipes.end(third)
    assert pipes.state(second) == "succeeded"
