"""The table of states, cell by cell: an event does what the table says, and is refused in every other state."""

import contextlib
import time

import pytest

from mlq.core import codec
from mlq.core.job import Claimed, Outcome
from mlq.core.job_options import PLAIN, pack_body
from mlq.core.states import TRANSITIONS, Event, State, after
from mlq.errors import JobError
from mlq.ops import jobs as job_ops
from mlq.ops import settling as settle_ops
from mlq.ops import work as work_ops
from mlq.ops.settling import Ending

LOSSES, RETRIES = 2, 1  # allowed in the acts below
HELD = "w.1"


def put(world, state, **fields):
    """Job 1 in that state, written key by key; its lease, where it has one, is that of `attempt`."""
    if state is State.GONE:
        return
    world.post()
    world.raw.delete(world.keys.lane + "default")
    if state is State.QUEUED:
        world.raw.zadd(world.keys.lane + "default", {"1": 1})
        return
    job = {"state": state, "token": HELD, "attempts": 1, "started": time.time(), "worker": "w"} | fields
    if state is State.SCHEDULED:
        job = {"state": state, "attempts": 1, "reason": "error", "settled": HELD} | fields
        world.raw.zadd(world.keys.scheduled, {"1": time.time() + 600})
    elif state is State.RUNNING:
        world.raw.zadd(world.keys.leases, {f"1:{HELD}": time.time() + 60})
    elif state is State.BLOCKED:
        world.raw.zadd(world.keys.blocked, {"1": time.time()})
        job["tail"] = "2"  # which runs; else it would wait for what was lost
        world.raw.hset(world.keys.job + "2", "state", "running")
    else:
        job["finished"] = time.time()
    if state is State.FAILED:
        world.raw.zadd(world.keys.dead, {"1": time.time()})
    world.raw.hset(world.keys.job + "1", mapping=job)


def attempt(world):
    """What the worker believes to hold."""
    return Claimed("1", 1, HELD, "w", 0.0, world.raw.get(world.keys.post + "1") or b"default\n1\n0\n\xc0")


def lose_lease(world, losses):
    """The lease runs out after the job lost others, and somebody looks."""
    if world.raw.exists(world.keys.job + "1"):
        world.raw.hset(world.keys.job + "1", "losses", losses)
    if world.raw.zscore(world.keys.leases, f"1:{HELD}"):
        world.lapse(attempt(world))
    world.watched()
    world.reap(losses=LOSSES)


def overrun(world, times):
    """The attempt has begun long ago, and somebody looks."""
    if world.raw.exists(world.keys.job + "1"):
        world.raw.hset(world.keys.job + "1", mapping={"overruns": times - 1, "started": time.time() - 1000})
    world.run(work_ops.overrun(world.keys, 60.0, RETRIES))


def post(world):
    """One job."""
    world.post()


def settle(world, state, **verdict):
    """The worker's outcome; refused when the lease is not its own."""
    if not world.settle(attempt(world), state, **verdict):
        raise JobError


def come_due(world):
    """The time of the retry is over, and somebody looks."""
    world.come_due()
    world.reap()


def claim_apart(world):
    """A worker takes what waits to run apart; that is where a scheduled job is put."""
    world.raw.zadd(world.keys.scheduled, {"1": 1e11 + time.time()}, xx=True)
    world.run(work_ops.claim_apart(world.keys, "w", 2, "1", 60))


def hand_back(world):
    """The worker gives the job back; refused when the lease is not its own."""
    if world.run(work_ops.hand_back(world.keys, [(attempt(world), True)])) != [True]:
        raise JobError


NEEDED = Claimed("998", 1, "w.9", "w", 0.0, b"default\n1.000000\n0\n\xc0")


def needed(world, part=None):
    """A running job 998, for the sake of which job 1 may wait."""
    record = b"default\n1.000000\n" + pack_body(codec.pack(None), {"part": part} if part else {})
    world.raw.set(world.keys.post + "998", record)
    world.raw.hset(world.keys.job + "998", mapping={"state": "running", "token": "w.9", "worker": "w"})
    world.raw.zadd(world.keys.leases, {"998:w.9": time.time() + 60})
    return NEEDED._replace(record=record)


def post_after(world):
    """A job that comes after one that runs."""
    needed(world)
    world.run(job_ops.post(world.keys, "poster", world.number(), "default", [b"0\n\xc0"], needs="fail 998:"))


def post_early(world):
    """A job that may begin in ten minutes."""
    world.run(job_ops.post(world.keys, "poster", world.number(), "default", [b"0\n\xc0"], when="- 600.0 - -"))


def replace(world, when=""):
    """A post with the key that the job holds; a blocked one waits for others, and not for its tail."""
    stamp = (world.raw.get(world.keys.post + "1") or b"\n0.0\n").split(b"\n")[1].decode()
    world.raw.set(world.keys.unique + "\nk", f"1 {stamp} a")
    world.raw.hdel(world.keys.job + "1", "tail")
    op = job_ops.post(world.keys, "poster", world.number(), "default", [b"0\n\xc0"], when=when, keyed="r k")
    world.run(op)


def unblock_early(world):
    """As `unblock`, but the job may begin in ten minutes."""
    if world.raw.hget(world.keys.job + "1", "state") == b"blocked":
        lane, posted, _ = world.raw.get(world.keys.post + "1").split(b"\n", 2)
        world.raw.set(world.keys.post + "1", b"%b\n%b\n" % (lane, posted) + pack_body(b"\xc0", {"delay": 600.0}))
    unblock(world)


def expire(world):
    """Its time is over; somebody looks, or if it runs, the worker that has not begun it tells that."""
    if world.raw.hget(world.keys.job + "1", "state") in (b"blocked", b"scheduled"):
        world.raw.hset(world.keys.job + "1", "attempts", 0)
    world.raw.zadd(world.keys.expiring, {"1": time.time() - 1})
    world.reap()
    world.run(work_ops.expire(world.keys, attempt(world)))


def unblock(world):
    """The job that it comes after succeeds."""
    world.raw.zadd(world.keys.job + "998:next", {"1": 1})
    if world.raw.exists(world.keys.job + "1"):
        world.raw.hset(world.keys.job + "1", "needs", 1)
        world.raw.hdel(world.keys.job + "1", "tail")
    assert world.settle(needed(world))


def become(world):
    """Its listener forwards; refused when the lease is not the worker's own."""
    world.raw.mset({world.keys.epoch: "e r", world.keys.counter: "1000"})
    outcome = Outcome(State.BLOCKED, {"lane": "default:next", "body": b"0\n\xc0"})
    op = settle_ops.settle(world.keys, [Ending(attempt(world), outcome, PLAIN)], LOSSES, "e r")
    if world.run(op) != [True]:
        raise JobError


def end_step(world, state):
    """The job that runs for it ends."""
    if world.raw.exists(world.keys.job + "1"):
        world.raw.hset(world.keys.job + "1", "tail", "998")
    assert world.settle(needed(world, {"root": "1", "tail": "1"}), state)


def requeue_step(world):
    """A person requeues it, while the job that it comes after has to run first."""
    if world.raw.exists(world.keys.job + "1"):
        world.raw.hset(world.keys.job + "1", mapping={"needs": 1})
    world.run(job_ops.requeue(world.keys, "1"))


ACTS = {
    Event.POST: post,
    Event.POST_AFTER: post_after,
    Event.POST_EARLY: post_early,
    Event.REPLACE: replace,
    Event.REPLACE_EARLY: lambda world: replace(world, "- 600.0 - -"),
    Event.UNBLOCK: unblock,
    Event.UNBLOCK_EARLY: unblock_early,
    Event.EXPIRE: expire,
    Event.BECOME: become,
    Event.STEP_SUCCEEDED: lambda world: end_step(world, State.SUCCEEDED),
    Event.STEP_FAILED: lambda world: end_step(world, State.FAILED),
    Event.REQUEUE_STEP: requeue_step,
    Event.CLAIM: lambda world: world.claim(),
    Event.CLAIM_APART: claim_apart,
    Event.SUCCEED: lambda world: settle(world, State.SUCCEEDED),
    Event.FAIL: lambda world: settle(world, State.FAILED),
    Event.RETRY: lambda world: settle(world, State.FAILED, retry_in=600.0),
    Event.COME_DUE: come_due,
    Event.HAND_BACK: hand_back,
    Event.LOSE_LEASE: lambda world: lose_lease(world, 0),
    Event.LOSE_LEASE_AGAIN: lambda world: lose_lease(world, LOSSES - 1),
    Event.LOSE_LEASE_TOO_OFTEN: lambda world: lose_lease(world, LOSSES),
    Event.OVERRUN: lambda world: overrun(world, RETRIES),
    Event.OVERRUN_TOO_OFTEN: lambda world: overrun(world, RETRIES + 1),
    Event.CANCEL: lambda world: world.run(job_ops.cancel(world.keys, "1")),
    Event.REQUEUE: lambda world: world.run(job_ops.requeue(world.keys, "1")),
    Event.DELETE: lambda world: world.run(job_ops.delete(world.keys, "1")),
}


def where(world):
    """The state of job 1 by every place that tells of it, which must agree."""
    seen = world.look()
    state = State(seen.get("job:1", {}).get("state", "queued" if "post:1" in seen else "gone"))
    places = {
        State.QUEUED: "1" in seen.get("lane:default", {}),
        State.SCHEDULED: "1" in seen.get("scheduled", {}),
        State.BLOCKED: "1" in seen.get("blocked", {}),
        State.RUNNING: any(lease.startswith("1:") for lease in seen.get("leases", {})),
        State.FAILED: "1" in seen.get("dead", {}),
    }
    assert places == {each: each is state for each in places}
    assert ("finished" in seen.get("job:1", {})) == (state in {State.SUCCEEDED, State.FAILED, State.CANCELLED})
    return state


def test_every_event_has_an_act():
    """A new event needs one here."""
    assert ACTS.keys() == set(Event)


@pytest.mark.parametrize(("state", "event"), TRANSITIONS, ids=lambda part: part.replace(" ", "-"))
def test_transition(world, state, event):
    """The table's cell."""
    put(world, state)
    assert where(world) is state
    ACTS[event](world)
    assert where(world) is after(state, event)


def _of_job_1(found):
    """Without what the acts put in for the job that this one waits for."""
    return {k: v for k, v in found.items() if not k.startswith("998")} or None if isinstance(found, dict) else found


# A post makes another job, also if there is none to replace, and a worker that settles again what it has settled is
# answered, so neither is refused.
REFUSED = [
    (state, event)
    for state in State
    for event in Event
    if after(state, event) is None
    and event not in {Event.POST, Event.POST_AFTER, Event.POST_EARLY, Event.REPLACE, Event.REPLACE_EARLY}
    and (state, event)
    not in {
        (done, settled)
        for done in (State.SUCCEEDED, State.FAILED, State.CANCELLED)
        for settled in (Event.SUCCEED, Event.FAIL, Event.RETRY, Event.BECOME)
    }
]


@pytest.mark.parametrize(("state", "event"), REFUSED, ids=lambda part: part.replace(" ", "-"))
def test_no_transition(world, state, event):
    """What the table does not list changes nothing of the job."""
    put(world, state)
    before = world.look()
    with contextlib.suppress(JobError):
        ACTS[event](world)
    assert where(world) is state
    now = world.look()
    for name in ("post:1", "lane:default", "leases", "scheduled", "blocked", "dead"):
        assert _of_job_1(now.get(name)) == _of_job_1(before.get(name))
    if "job:1" in before:
        moved = {
            "losses",
            "overruns",
            "started",
            "needs",
            "tail",
            "steps",
            "done",
            "bad",
        }  # seeded by the act, or counts
        assert {k: v for k, v in now["job:1"].items() if k not in moved} == {
            k: v for k, v in before["job:1"].items() if k not in moved
        }


DEATHS = [(0, State.QUEUED), (1, State.SCHEDULED), (2, State.FAILED), (3, State.FAILED)]


@pytest.mark.parametrize(("losses", "then"), DEATHS)
def test_death_of_a_child_is_a_lost_lease(world, losses, then):
    """The same three cells of the table: again, then apart, until it has happened too often."""
    put(world, State.RUNNING, losses=losses)
    assert world.die(attempt(world))
    assert where(world) is then


@pytest.mark.parametrize("state", [state for state in State if state is not State.RUNNING])
def test_death_of_a_child_changes_nothing_elsewhere(world, state):
    """The attempt was settled or taken before."""
    put(world, state)
    with world.unchanged():
        world.die(attempt(world))
    assert where(world) is state
