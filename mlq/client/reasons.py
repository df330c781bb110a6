"""Why a job does not run, or has not ended: a table of reasons, of which the first one that holds is the answer.

Each reason is a function that gets what was `Seen` and returns a `Why`, or None if it does not hold. Another one is a
line in `REASONS`, at its place in the order.
"""

from collections.abc import Callable

from mlq.client.model_states import reported
from mlq.client.reasons_of_gates import limited, paused, rate
from mlq.client.reasons_of_line import (
    all_busy,
    at_limit,
    broken,
    cold,
    free,
    held_back,
    loaded_elsewhere,
    stopping,
    strayed,
    turn,
    unserved,
)
from mlq.client.seen import Seen
from mlq.core.checks import functions_of
from mlq.core.job import APART, is_finished
from mlq.core.spans import span
from mlq.core.states import State
from mlq.core.why import Why

LOOKS = 1.5  # seconds between two looks of a worker at what is due, and at leases
APART_AT_MOST = 3600.0  # seconds that a job waits to run apart

_CANCELLED = {
    "expired": ": no worker had begun it by the time at which it expires",
    "purged": ": its queue, or its function, was purged",
    "step": ", since the pipeline that it is a step of was cancelled or failed",
}


def ended(seen: Seen) -> Why | None:
    """It has ended."""
    facts = seen.facts
    if not is_finished(facts.state):
        return None
    finished = seen.time("finished")
    ago = f" {span(seen.facts.now - finished)} ago" if finished is not None else ""
    more = {"state": str(facts.state), "finished": finished, "attempts": facts.count("attempts")}
    if facts.state is State.SUCCEEDED:
        gave = facts.job.get("gave")
        whose = f"; its result is that of job {gave}" if gave else ""
        return Why("succeeded", f"It succeeded{ago}{whose}.", more | ({"gave": gave} if gave else {}))
    why = facts.job.get("reason", "")
    if facts.state is State.CANCELLED:
        return Why("cancelled", f"It was cancelled{ago}{_CANCELLED.get(why, '')}.", more | {"why": why})
    error = f"{facts.job.get('error_type', '').rpartition('.')[2]}: {facts.job.get('error', '')}"
    cause = facts.job.get("cause")
    whose = f" because of job {cause}" if cause else ""
    text = f"It failed{ago}{whose} ({why}): {error}. mlq job {facts.id} shows more; mlq dead requeue runs it again."
    return Why("failed", text, more | {"why": why, "error": error} | ({"cause": cause} if cause else {}))


def refused(seen: Seen) -> Why | None:
    """The server accepts no writes: nothing begins, and nothing that ends can be recorded."""
    if seen.facts.refusal is None:
        return None
    text = (
        f"The server accepts no writes: {seen.facts.refusal} Until it does, no job begins, and workers keep what "
        "they can't record."
    )
    return Why("refused", text, {"error": seen.facts.refusal})


def lease_expired(seen: Seen) -> Why | None:
    """Its worker no longer renews its lease: it died, or was cut off."""
    facts = seen.facts
    if facts.state is not State.RUNNING or (facts.lease is not None and facts.lease > facts.now):
        return None
    worker = facts.job.get("worker", "")
    late = 0.0 if facts.lease is None else facts.now - facts.lease
    then = (
        "another worker takes it back within seconds" if seen.workers else
        "no worker is alive to take it back: start one"
    )  # fmt: skip
    text = f"Its worker {worker} died or is cut off: its lease expired {span(late)} ago, and {then}."
    return Why("lost", text, {"worker": worker, "late": late})


def waits_for(seen: Seen) -> Why | None:
    """Its listener waits for another job."""
    facts = seen.facts
    other = facts.job.get("waits_for")
    if facts.state is not State.RUNNING or not other:
        return None
    worker = facts.job.get("worker", "")
    text = f"It runs on worker {worker}, and its listener waits for job {other}: see mlq why {other}."
    return Why("waits", text, {"job": other} | _run(seen))


def loading(seen: Seen) -> Why | None:
    """Its worker loads its model."""
    facts = seen.facts
    mine = next((one for one in seen.workers if one["name"] == facts.job.get("worker")), None)
    if facts.state is not State.RUNNING or mine is None:
        return None
    loads = [load for name in functions_of(facts.lane) for load in reported(mine).get(name, ())]
    since = next((load[1] for load in loads if load[0] == "loading"), None)
    if since is None or any(load[0] == "ready" for load in loads):
        return None
    text = f"Worker {mine['name']} took it, and has been loading its model for {span(max(0.0, facts.now - since))}."
    return Why("loading", text, _run(seen))


def running(seen: Seen) -> Why | None:
    """It runs."""
    facts = seen.facts
    if facts.state is not State.RUNNING:
        return None
    run, started = _run(seen), seen.time("started")
    how = "runs" if started is None else "has been running"
    since = "" if started is None else f" for {span(facts.now - started)}"
    attempt = facts.count("attempts")
    which = f", in attempt {attempt}" if attempt > 1 else ""
    return Why("running", f"It {how} on worker {run['worker']}{since}{which}.", run)


def _run(seen: Seen) -> dict[str, object]:
    facts = seen.facts
    return {"worker": facts.job.get("worker", ""), "started": seen.time("started"), "attempt": facts.count("attempts"),
            "lease": facts.lease}  # fmt: skip


def apart(seen: Seen) -> Why | None:
    """It was lost too often, and waits for a worker that runs it by itself."""
    facts = seen.facts
    if facts.state is not State.SCHEDULED or facts.due is None or facts.due < APART:
        return None
    for closed in (paused, limited, rate):  # then no worker takes it
        if (why := closed(seen)) is not None:
            return why
    losses = facts.count("losses") + facts.count("shared")
    since = facts.due - APART
    text = (
        f"It was lost with its process {losses} times, and waits for a worker that can run it apart from others: one "
        f"that holds no other job, or has child processes. After {span(APART_AT_MOST)} it runs beside others again."
    )
    return Why("apart", text, {"losses": losses, "since": since, "due": since + APART_AT_MOST})


def retry(seen: Seen) -> Why | None:
    """It failed, and is tried again later."""
    facts = seen.facts
    tries = facts.count("errors")
    if facts.state is not State.SCHEDULED or facts.due is None or facts.due <= facts.now or not tries:
        return None
    most = facts.record.options.retries
    of = "" if most is None else f" of {most}"
    what = "a timeout" if facts.job.get("reason") == "timeout" else "an error"
    text = (
        f"It is retried in {span(facts.due - facts.now)}: retry {tries}{of}, after an attempt that ended with {what} "
        f"(mlq job {facts.id} shows it)."
    )
    return Why("retry", text, {"due": facts.due, "retry": tries, "of": most})


def early(seen: Seen) -> Why | None:
    """Its time has not come."""
    facts = seen.facts
    if facts.state is not State.SCHEDULED or facts.due is None or facts.due <= facts.now:
        return None
    text = f"It may begin in {span(facts.due - facts.now)}, since it was posted with a delay or a time."
    return Why("early", text, {"due": facts.due})


def due(seen: Seen) -> Why | None:
    """Its time has come, and no worker has put it into its lane yet."""
    facts = seen.facts
    if facts.state is not State.SCHEDULED:
        return None
    if facts.due is None:
        text = "The server has lost when it is due: cancel it and requeue it."
    elif seen.workers:
        text = f"It was due {span(facts.now - facts.due)} ago: a worker puts it into its queue within {LOOKS:g} s."
    else:
        text = f"It was due {span(facts.now - facts.due)} ago, and no worker is running in this namespace: start one."
    return Why("due", text, {"due": facts.due})


def blocked(seen: Seen) -> Why | None:
    """It waits for other jobs: for the one whose outcome it gets, for those that it comes after, or for its parts."""
    facts = seen.facts
    if facts.state is not State.BLOCKED:
        return None
    more: dict[str, object] = {"jobs": list(facts.needed)}
    then, below = "", seen.beneath
    if below is not None:
        because = answer(Seen(below, seen.workers, seen.namespace))
        more["because"] = {"job": below.id} | because.data()
        then = f" Job {below.id}: {because.text}"
    if tail := facts.job.get("tail"):
        text = f"It has become job {tail}, and ends with that.{then}"
        return Why("becomes", text, more | {"job": tail})
    needs, of = facts.count("needs"), facts.count("of")
    if of:
        return _split(seen, more | {"needs": needs, "of": of}, then)
    of = len(facts.record.options.after or ())
    first = f" ({', '.join(facts.needed)}{', ...' if needs > len(facts.needed) else ''})" if facts.needed else ""
    which = "the job" if of == 1 else f"{needs:,} of the {of:,} jobs"
    text = f"It waits for {which} that it comes after{first}.{then}"
    return Why("after", text, more | {"needs": needs, "of": of})


def _split(seen: Seen, more: dict[str, object], then: str) -> Why:
    facts = seen.facts
    held, at_once = facts.count("held"), facts.count("at_once")
    if held:
        more |= {"held": held, "at_once": at_once}
        then = f" At most {at_once:,} of them are open at a time (at_once); {held:,} are held back.{then}"
    text = f"It joins the results of {more['of']:,} parts, of which {more['needs']:,} have not ended.{then}"
    return Why("parts", text, more)


def unknown(seen: Seen) -> Why | None:
    """Nothing else holds: something in Redis is damaged."""
    text = f"It is {seen.facts.state}, and the server does not know more: its data may be damaged."
    return Why("unknown", text, {"state": str(seen.facts.state)})


Reason = Callable[[Seen], Why | None]

# In this order.
REASONS: tuple[Reason, ...] = (
    ended, refused,
    lease_expired, waits_for, loading, running,
    apart, retry, early, due,
    blocked,
    held_back, strayed, paused, broken, unserved, limited, rate, stopping, at_limit, turn, all_busy, loaded_elsewhere,
    cold, free,
    unknown,
)  # fmt: skip


def answer(seen: Seen) -> Why:
    """The first reason that holds."""
    return next(why for reason in REASONS if (why := reason(seen)) is not None)
