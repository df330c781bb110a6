"""Jobs that become others, and splits: each by one act, with the whole state compared."""

import pytest

from mlq.core import codec
from mlq.core.job import Outcome, Record
from mlq.core.job_options import pack_body
from mlq.core.part import Part
from mlq.core.states import State
from mlq.errors import LeaseLost
from mlq.ops import posting as post_ops
from mlq.ops import settling as settle_ops
from mlq.ops import work as work_ops
from mlq.ops.settling import Ending
from tests.scripts.pipes import LOSSES

# --- forward


def test_forward(pipes, world, root, about):
    """The job rests, its lease is gone, the next one is there: all by one script."""
    reply, changed = world.changes(pipes.forwarding(root))
    assert reply == [True]
    assert changed.keys() == {"job:1", "job:1:steps", "post:2", "blocked", "leases", "lanes", "lane:default", "counter"}
    assert changed["job:1"] == {
        "state": "blocked", "tail": "2", "steps": "1", "settled": root.token, "attempts": "1", "worker": "worker",
        "started": about(), "token": "",
    }  # fmt: skip
    assert changed["job:1:steps"] == {"2-2": 2.0}
    assert changed["blocked"] == {"1": about()}
    assert changed["lane:default"] == {"2": pytest.approx(1.000001, abs=1e-6)}
    assert (changed["leases"], changed["counter"]) == (None, "2")


def test_forward_ends_with_the_result_of_the_next(pipes, world, root):
    """It is stored once, with the job that it was wanted for."""
    second = pipes.forward(root)
    (claimed,) = pipes.take(second)
    _, changed = world.changes(world.ending(claimed))
    assert changed.keys() == {"job:1", "job:2", "blocked", "leases"}
    assert (changed["job:1"]["state"], changed["job:1"]["result"]) == ("succeeded", "\x04")
    assert (changed["job:1"]["done"], "bad" in changed["job:1"]) == ("1", False)
    assert (changed["job:2"]["state"], changed["job:2"]["gave"], "result" in changed["job:2"]) == (
        "succeeded",
        "1",
        False,
    )


def test_forward_of_a_tail(pipes, world, root):
    """A chain: only the first rests, and each of the others has ended when the next one begins."""
    last = pipes.forward(root)
    for _ in range(3):
        (claimed,) = pipes.take(last)
        before, last = last, pipes.forward(claimed)
        assert (pipes.state(before), pipes.field("1", "tail")) == ("succeeded", last)
    pipes.end(last)
    assert (pipes.state("1"), pipes.field("1", "result")) == ("succeeded", "\x04")
    assert pipes.counters("1") == [4, 4, 0]


def test_forward_ends_as_the_next_ends(pipes, root):
    """With its error, and the name of the job that failed."""
    second = pipes.forward(root)
    pipes.end(second, State.FAILED)
    assert pipes.states("1", second) == ["failed", "failed"]
    assert [pipes.field("1", name) for name in ("reason", "cause", "error")] == ["step", second, "boom"]
    assert sorted(pipes.raw.zrange(pipes.keys.dead, 0, -1)) == [b"1", b"2"]


@pytest.mark.parametrize("how", ["forward", "split"])
def test_the_same_settle_again_changes_nothing(pipes, world, root, how):
    """The reply was lost."""
    if how == "split":
        pipes.plan(root, [3])
    op = pipes.forwarding(root) if how == "forward" else pipes.splitting(root)
    assert pipes.run(op) == [True]
    with world.unchanged():
        assert pipes.run(op) == [True]


def test_a_stale_epoch_changes_nothing(pipes, world, root):
    """It is settled again with the new one."""
    with world.unchanged():
        assert pipes.run(pipes.forwarding(root, epoch="old r")) == [None]
    assert pipes.run(pipes.forwarding(root)) == [True]
    assert pipes.states("1", "2") == ["blocked", "queued"]


def test_ids_taken_after_a_loss_are_not_used_again(pipes, world, root):
    """A counter that fell back never has a step overwrite a job."""
    pipes.raw.set(pipes.keys.counter, 0)
    assert pipes.run(pipes.forwarding(root)) == [None]
    assert pipes.states("1") == ["running"]
    assert pipes.raw.get(pipes.keys.counter) is None


def test_a_large_body_is_staged(pipes, world, root):
    """The reply says so if it is not there."""
    body = pack_body(codec.pack("x" * 200_000), {"part": Part("1", 1, "1").packed()})
    op = pipes.becoming(root, {"lane": "default", "body": body}, staged="here")
    with world.unchanged():
        assert pipes.run(op) == [None]
    for stage in post_ops.stage(pipes.keys, "here", "default", [body]):
        pipes.run(stage)
    assert pipes.run(op) == [True]
    assert pipes.raw.get(pipes.keys.post + "2").endswith(body)
    assert pipes.raw.ttl(pipes.keys.post + "2") == -1
    assert not list(pipes.raw.scan_iter("*staged:here*"))


# --- split


def test_split(pipes, world, root, about):
    """The parts are in line right behind their root, and the join waits for them."""
    join, parts = pipes.plan(root, [2, 1])
    assert (join, parts) == ("2", ["3", "4", "5"])
    assert pipes.waiting() == []
    _, changed = world.changes(pipes.splitting(root))
    assert changed["job:1:steps"] == {"2-2": 2.0, "3-4": 3.0, "5-5": 5.0}
    assert changed["blocked"] == {"1": about(), "2": about()}
    assert list(changed["lane:default"]) == ["3", "4", "5"]
    assert 1 < min(changed["lane:default"].values()) < max(changed["lane:default"].values()) < 2
    seen = changed["job:2"]
    assert (seen["state"], seen["needs"], seen["of"], seen["parts"]) == ("blocked", "3", "3", "3-4,5-5")
    assert (changed["job:1"]["tail"], changed["job:1"]["steps"]) == ("2", "4")
    assert changed[f"job:{root.lease}:plan"] is None


@pytest.mark.parametrize("count", [0, 1, 3])
def test_join_runs_when_all_have_succeeded(pipes, root, count):
    """And not before; its result is the root's."""
    join, parts = pipes.split(root, count)
    for part in parts:
        assert pipes.states("1", join) == ["blocked", "blocked"]
        pipes.end(part)
    assert pipes.states("1", join) == ["blocked", "queued"]
    pipes.end(join)
    assert pipes.states("1", join) == ["succeeded", "succeeded"]
    assert pipes.counters("1") == [count + 1, count + 1, 0]


def test_only_so_many_parts_are_open(pipes, root):
    """The end of one opens the next; pages make no difference."""
    join, parts = pipes.plan(root, [2, 2, 1])
    assert pipes.run(pipes.splitting(root, at_once=2)) == [True]
    for i, part in enumerate(parts):
        assert pipes.waiting() == parts[i : i + 2]
        pipes.end(part)
    assert pipes.waiting() == [join]
    assert not pipes.raw.exists(f"{pipes.keys.job}{join}:held")


def test_a_part_that_fails_ends_all(pipes, world, root):
    """Those that run, wait, or were held back are cancelled."""
    join, parts = pipes.split(root, 5, at_once=3)
    first, second = pipes.take(*parts[:2])
    assert world.settle(first, State.FAILED, None)
    assert pipes.states("1", join, *parts) == [
        "failed",
        "failed",
        "failed",
        *["cancelled"] * 4,
    ]
    assert [pipes.field(one, "cause") for one in ("1", join)] == [parts[0]] * 2
    assert not world.settle(second)
    assert pipes.counters("1") == [6, 0, 6]
    assert pipes.waiting() == []


def test_join_that_runs_whatever_becomes_of_the_parts(pipes, root):
    """Each end counts, and opens the next."""
    join, parts = pipes.split(root, 3, at_once=1, on_failure="run")
    pipes.end(parts[0], State.FAILED)
    pipes.end(parts[1])
    pipes.cancel(parts[2])
    assert pipes.waiting() == [join]
    pipes.end(join)
    assert pipes.state("1") == "succeeded"
    assert pipes.counters("1") == [4, 2, 2]


def test_a_part_that_splits(pipes, root):
    """It ends with the join of its own split."""
    join, parts = pipes.split(root, 2)
    (claimed,) = pipes.take(parts[0])
    inner, below = pipes.split(claimed, 2)
    pipes.end(parts[1])
    for one in below:
        assert pipes.states(parts[0], inner, join) == ["blocked", "blocked", "blocked"]
        pipes.end(one)
    pipes.end(inner)
    assert pipes.states(parts[0], join) == ["succeeded", "queued"]
    pipes.end(join)
    assert pipes.state("1") == "succeeded"
    assert pipes.counters("1") == [6, 6, 0]


def test_the_last_two_parts_end_together(pipes, world, root):
    """One settle has the outcomes of all of them."""
    join, parts = pipes.split(root, 3)
    endings = [
        Ending(one, Outcome(State.SUCCEEDED, {"result": b"\x01"}, "1"), Record.parse(one.record).options)
        for one in pipes.take(*parts)
    ]
    assert pipes.run(settle_ops.settle(pipes.keys, endings, LOSSES)) == [True] * 3
    assert pipes.waiting() == [join]


# --- attempts that post parts and go away


def lapse(pipes, world, claimed):
    world.lapse(claimed)
    world.watched()
    world.reap()


ENDS = {
    "lost": lapse,
    "dead child": lambda pipes, world, claimed: world.die(claimed),
    "retry": lambda pipes, world, claimed: world.settle(claimed, State.FAILED, None, retry_in=600.0),
    "failure": lambda pipes, world, claimed: world.settle(claimed, State.FAILED, None),
    "handed back": lambda pipes, world, claimed: pipes.run(work_ops.hand_back(pipes.keys, [(claimed, True)])),
    "cancelled": lambda pipes, world, claimed: pipes.cancel("1"),
    "overrun": lambda pipes, world, claimed: (
        world.overdue(claimed, 1000), pipes.run(work_ops.overrun(pipes.keys, 60.0, 1))),
}  # fmt: skip


@pytest.mark.parametrize("how", ENDS)
def test_parts_of_a_split_that_did_not_begin_are_removed(pipes, world, root, how):
    """However the attempt ended; and more of them can't be posted."""
    pipes.plan(root, [3, 250])
    ENDS[how](pipes, world, root)
    assert pipes.rest_of("1") == []
    with pytest.raises(LeaseLost):
        pipes.plan(root, [1])
    with world.unchanged():
        pipes.run(pipes.splitting(root))


def test_the_next_attempt_splits_anew(pipes, world, root):
    """With parts of its own."""
    pipes.plan(root, [3])
    assert world.settle(root, State.FAILED, None, retry_in=0.0)
    world.come_due()
    world.reap()
    (again,) = pipes.take("1")
    join, parts = pipes.split(again, 2)
    for one in (*parts, join):
        pipes.end(one)
    assert pipes.state("1") == "succeeded"
    pipes.delete("1")
    assert pipes.rest_of() == []


@pytest.mark.parametrize("lost", [0, 1, 2])
def test_a_split_that_the_server_has_not_whole(pipes, world, root, lost):
    """As after a restart that lost the last second: the job runs again, and nothing of the split is left."""
    join, _ = pipes.plan(root, [3, 3])
    plan = f"{pipes.keys.job}{root.lease}:plan"
    pipes.raw.lrem(plan, 1, pipes.raw.lindex(plan, lost))
    assert pipes.run(pipes.becoming(root, {"plan": "9", "join": join, "of": "6"})) == [True]
    assert pipes.state("1") == "queued"
    pipes.chores()
    assert pipes.field("1", "tail") is None
