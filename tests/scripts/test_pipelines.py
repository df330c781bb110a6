"""Jobs that become others, splits, and jobs that come after others: each by one act, with the whole state compared."""

import pytest

from mlq.core import codec
from mlq.core.job import Outcome, Record
from mlq.core.job_options import pack_body
from mlq.core.part import Part
from mlq.core.states import State
from mlq.errors import InputError, LeaseLost, UnknownJob, WrongState
from mlq.ops import jobs as job_ops
from mlq.ops import posting as post_ops
from mlq.ops import settling as settle_ops
from mlq.ops import work as work_ops
from mlq.ops.settling import Ending
from tests.scripts.pipes import LOSSES, Pipes


@pytest.fixture
def pipes(world):
    """A namespace for pipelines."""
    return Pipes(world)


@pytest.fixture
def root(pipes, world):
    """Job 1, which runs."""
    (claimed,) = pipes.take(pipes.post())
    return claimed


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
    """Those that run or wait are cancelled; those that were not open never are."""
    join, parts = pipes.split(root, 5, at_once=3)
    first, second = pipes.take(*parts[:2])
    assert world.settle(first, State.FAILED, None)
    assert pipes.states("1", join, *parts) == [
        "failed",
        "failed",
        "failed",
        "cancelled",
        "cancelled",
        "queued",
        "queued",
    ]
    assert [pipes.field(one, "cause") for one in ("1", join)] == [parts[0]] * 2
    assert not world.settle(second)
    assert pipes.counters("1") == [6, 0, 4]
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


# --- after


def test_after(pipes, world, about):
    """A blocked job is in no lane; those that it needs know of it."""
    needed = [pipes.post(), pipes.post()]
    body = pack_body(codec.pack(None), {"after": needed})
    op = job_ops.post(pipes.keys, "poster", world.number(), "default", [body], needs="fail 1: 2:")
    _, changed = world.changes(op)
    assert {name for name in changed if not name.startswith("replay:")} == {
        "post:3", "job:3", "blocked", "job:1:next", "job:2:next", "counter"}  # fmt: skip
    assert changed["job:3"] == {"state": "blocked", "needs": "2"}
    assert changed["job:1:next"] == {"3": 3.0}
    pipes.end("1")
    assert pipes.states("3") == ["blocked"]
    pipes.end("2")
    assert pipes.waiting() == ["3"]
    pipes.end("3")
    assert not pipes.raw.exists(pipes.keys.job + "1:next", pipes.keys.job + "2:next")


def test_after_an_unknown_job(pipes, world):
    """Nothing is posted."""
    pipes.post()
    with world.unchanged(), pytest.raises(UnknownJob, match="no job 99; nothing was posted"):
        pipes.post("fail 1 99")


def test_after_a_step(pipes, world, root):
    """Refused: it may never begin, and expires with its root."""
    _, parts = pipes.split(root, 2, at_once=1)
    for policy in ("fail", "run"):
        with world.unchanged(), pytest.raises(InputError, match=f"job {parts[1]} is a step of a pipeline"):
            pipes.post(f"{policy} {parts[1]}")


@pytest.mark.parametrize("state", [State.FAILED, State.CANCELLED])
def test_after_a_job_that_ended_badly(pipes, world, state):
    """Refused, unless the new one runs whatever becomes of it."""
    pipes.post()
    if state is State.FAILED:
        pipes.end("1", State.FAILED)
    else:
        pipes.cancel("1")
    with world.unchanged(), pytest.raises(InputError, match=state):
        pipes.post("fail 1")
    assert pipes.states(pipes.post("run 1")) == ["queued"]


def test_after_jobs_that_succeeded(pipes, world):
    """It is in line at once; they are kept until it has ended, and then they may expire."""
    pipes.end(pipes.post(ttl=100.0))
    assert 0 < pipes.raw.ttl(pipes.keys.job + "1") <= 100
    second = pipes.post("fail 1")
    assert [pipes.raw.ttl(name + "1") for name in (pipes.keys.job, pipes.keys.post)] == [-1, -1]
    assert pipes.waiting() == [second]
    with pytest.raises(WrongState):
        pipes.delete("1")
    pipes.end(second)
    assert [0 < pipes.raw.ttl(name + "1") <= 100 for name in (pipes.keys.job, pipes.keys.post)] == [True, True]
    pipes.delete("1")
    assert pipes.rest_of("2") == []


@pytest.mark.parametrize("policy", ["fail", "run"])
@pytest.mark.parametrize("how", ["succeeded", "failed", "cancelled"])
def test_end_of_a_needed_job(pipes, world, policy, how):
    """By its policy the one after it runs or fails; then nothing waits for it any more."""
    pipes.post()
    second, third = pipes.post(f"{policy} 1"), pipes.post("fail 2")
    if how == "cancelled":
        pipes.cancel("1")
    else:
        pipes.end("1", State(how))
    runs = how == "succeeded" or policy == "run"
    assert pipes.states(second, third) == (["queued", "blocked"] if runs else ["failed", "failed"])
    if not runs:
        assert [pipes.field(third, name) for name in ("reason", "cause")] == ["step", "1"]


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


def test_a_thousand_needed_jobs(pipes, world):
    """As many as are allowed."""
    needed = world.post(1000)
    last = pipes.post("fail " + " ".join(needed))
    assert pipes.field(last, "needs") == "1000"
    for one in world.claim(1000):
        assert world.settle(one)
    assert pipes.state(last) == "queued"
    pipes.end(last)
    pipes.delete(needed[0])
    assert not list(pipes.raw.scan_iter("*:next"))


@pytest.mark.parametrize("how", ["succeeded", "failed", "cancelled", "requeued", "gone"])
def test_a_thousand_jobs_after_one(pipes, world, how):
    """More than one script does: the rest is done by the next ones."""
    first = pipes.post()
    after = [pipes.post(f"fail {first}") for _ in range(1100)]
    if how == "succeeded":
        pipes.end(first)
    elif how == "cancelled":
        pipes.cancel(first)
    else:
        pipes.end(first, State.FAILED)
    assert pipes.raw.llen(pipes.keys.chores) > 0
    pipes.chores()
    assert set(pipes.states(*after)) == {"queued" if how == "succeeded" else "failed"}
    if how == "requeued":
        pipes.requeue(first)
        pipes.chores()
        assert set(pipes.states(first, *after)) == {"queued", "blocked"}
        pipes.end(first)
        pipes.chores()
        assert pipes.waiting() == after
    if how == "gone":
        for one in after:
            pipes.run(job_ops.discard(pipes.keys, one))
        pipes.run(job_ops.discard(pipes.keys, first))
        assert pipes.rest_of() == []


# --- cancel, requeue and delete of pipelines


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


def test_delete_of_a_job_that_others_need(pipes, world):
    """Not before they have succeeded or are gone."""
    pipes.post()
    pipes.post("fail 1")
    with world.unchanged(), pytest.raises(WrongState):
        pipes.delete("1")
    pipes.cancel("2")
    pipes.delete("2")
    pipes.delete("1")
    assert pipes.rest_of() == []


def test_delete_of_a_large_pipeline(pipes, root):
    """More than one script does."""
    pipes.split(root, 1200, at_once=1000)
    pipes.cancel("1")
    pipes.delete("1")
    pipes.chores()
    assert pipes.rest_of() == []
    assert pipes.waiting() == []


# --- time to live


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


def test_a_copied_error_is_short(pipes, world):
    """Any number of jobs may get it; the whole is with the job that failed."""
    (first,) = pipes.take(pipes.post())
    other = pipes.post("fail 1")
    fields = {
        "reason": "error",
        "error": "e" * 60_000,
        "error_type": "t",
        "traceback": "x" * 60_000,
        "error_args": "a" * 60_000,
    }
    ending = Ending(first, Outcome(State.FAILED, fields), Record.parse(first.record).options)
    assert pipes.run(settle_ops.settle(pipes.keys, [ending], 2)) == [True]
    assert pipes.state(other) == "failed"
    assert (len(pipes.field(other, "error")), len(pipes.field(other, "traceback"))) == (1000, 2000)
    assert pipes.field(other, "error_args") is None
    assert len(pipes.field("1", "error")) == 60_000


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


def test_a_cancelled_pipeline_expires_whole(pipes, world):
    """The steps that never ran, too."""
    (root,) = pipes.take(pipes.post(ttl=100.0))
    pipes.split(root, 20, at_once=2)
    pipes.cancel("1")
    pipes.chores()
    for name in pipes.rest_of():
        assert 0 < pipes.raw.ttl(pipes.keys.root + name) <= 100, name


def test_a_requeued_split_opens_as_many_as_may_be_open(pipes, world, root):
    """Not only one for each that ends."""
    _, parts = pipes.split(root, 40, at_once=10)
    first, *_ = pipes.take(*parts[:10])
    assert world.settle(first, State.FAILED)
    pipes.requeue("1")
    pipes.chores()
    assert sum(state == "queued" for state in pipes.states(*parts[:10])) == 10
