"""Jobs that come after others: each by one act, with the whole state compared."""

import pytest

from mlq.core import codec
from mlq.core.job import Outcome, Record
from mlq.core.job_options import pack_body
from mlq.core.states import State
from mlq.errors import InputError, UnknownJob, WrongState
from mlq.ops import jobs as job_ops
from mlq.ops import settling as settle_ops
from mlq.ops.settling import Ending


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
