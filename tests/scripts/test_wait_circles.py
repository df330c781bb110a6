"""A step that waits for what waits for it is refused at once, through all that jobs wait for in pipelines."""

import pytest

from mlq.errors import WaitCircle
from mlq.ops import jobs as job_ops


def wait(pipes, waiting, job_id):
    """What a running job does that waits for another one, which has not ended."""
    assert pipes.run(job_ops.wait(pipes.keys, job_id, "w", 10, waiting.lease)) is None
    assert pipes.field(waiting.id, "waits_for") == job_id


def refused(pipes, world, waiting, job_id):
    with pytest.raises(WaitCircle, match=f"job {waiting.id} can't wait for job {job_id}"):
        pipes.run(job_ops.wait(pipes.keys, job_id, "w", 10, waiting.lease))
    assert pipes.field(waiting.id, "waits_for") is None
    assert not world.raw.exists(pipes.keys.waiters + job_id)


def test_the_next_job_waits_for_the_one_that_became_it(pipes, world, root):
    """The first of a chain of three."""
    (second,) = pipes.take(pipes.forward(root))
    (third,) = pipes.take(pipes.forward(second))
    refused(pipes, world, third, "1")


@pytest.mark.parametrize("what", ["root", "join"])
def test_a_part_waits_for_what_it_runs_for(pipes, world, root, what):
    """Of a split that is larger than what is looked at."""
    join, parts = pipes.split(root, 3000, at_once=2)
    pipes.end(parts[0])
    (part,) = pipes.take(parts[2])
    refused(pipes, world, part, "1" if what == "root" else join)


@pytest.mark.parametrize("what", ["root", "outer join", "outer part", "inner join"])
def test_a_part_of_a_part_waits_for_what_it_runs_for(pipes, world, root, what):
    """At any depth, also if the part became another job first."""
    outer, parts = pipes.split(root, 2)
    (part,) = pipes.take(parts[0])
    (below,) = pipes.take(pipes.forward(part))
    inner, last = pipes.split(below, 2)
    (waiting,) = pipes.take(last[1])
    named = {"root": "1", "outer join": outer, "outer part": parts[0], "inner join": inner}
    refused(pipes, world, waiting, named[what])


@pytest.mark.parametrize("policy", ["fail", "run"])
def test_a_job_waits_for_one_that_comes_after_it(pipes, world, root, policy):
    """Directly, and through another one."""
    other = pipes.post()
    second = pipes.post(f"{policy} {other} 1")
    third = pipes.post(f"{policy} {second}")
    for one in (second, third):
        refused(pipes, world, root, one)


def test_a_step_waits_for_a_job_that_comes_after_its_root(pipes, world, root):
    """Which can't end before the step has."""
    after = pipes.post("fail 1")
    _, parts = pipes.split(root, 3)
    (part,) = pipes.take(parts[0])
    refused(pipes, world, part, after)


def test_a_step_waits_for_a_job_that_waits_for_its_root(pipes, world, root):
    """One that runs."""
    (other,) = pipes.take(pipes.post())
    _, parts = pipes.split(root, 3)
    (part,) = pipes.take(parts[0])
    wait(pipes, other, "1")
    refused(pipes, world, part, other.id)


def test_a_job_waits_for_a_pipeline_whose_part_waits_for_it(pipes, world, root):
    """The parts of a split are looked at, if they are not too many."""
    (other,) = pipes.take(pipes.post())
    _, parts = pipes.split(root, 500)
    (part,) = pipes.take(parts[-1])
    wait(pipes, part, other.id)
    refused(pipes, world, other, "1")


def test_waits_that_are_no_circle(pipes, world, root):
    """A part may wait for another part, for a job of its own and for one that its root came after."""
    (other,) = pipes.take(pipes.post())
    _, parts = pipes.split(root, 3)
    first, second = pipes.take(*parts[:2])
    wait(pipes, first, parts[1])
    wait(pipes, second, parts[2])
    wait(pipes, other, "1")
    (third,) = pipes.take(parts[2])
    wait(pipes, third, pipes.post())


def test_a_part_whose_split_has_ended_makes_no_circle(pipes, world, root):
    """What it ran for does not wait for it any more."""
    join, parts = pipes.split(root, 2, on_failure="run")
    (part,) = pipes.take(parts[0])
    world.raw.hset(pipes.keys.job + join, "state", "cancelled")  # and the rest is about to be done
    wait(pipes, part, "1")


def test_a_job_that_asks_again_costs_no_search(pipes, world, root):
    """It does so every few seconds while it waits: a circle that somebody has made since is not found."""
    (other,) = pipes.take(pipes.post())
    join, _ = pipes.split(root, 3)
    wait(pipes, other, "1")
    pipes.raw.hset(pipes.keys.job + join, "waits_for", other.id)
    wait(pipes, other, "1")


@pytest.mark.parametrize("parts", ["9" * 400 + "-" + "9" * 401, "100-" + "9" * 15, "50-30,60-70-80", "x"])
def test_damaged_parts(pipes, world, root, parts):
    """The search ends."""
    (other,) = pipes.take(pipes.post())
    join, _ = pipes.split(root, 2)
    pipes.raw.hset(pipes.keys.job + join, "parts", parts)
    wait(pipes, other, "1")


@pytest.mark.parametrize("name", ["tail", "waits_for"])
def test_damaged_circles(pipes, world, root, name):
    """Jobs that somebody has made wait for one another."""
    (other,) = pipes.take(pipes.post())
    second = pipes.forward(root)
    pipes.raw.hset(pipes.keys.job + second, mapping={"state": "blocked", name: "1"})
    wait(pipes, other, second)
