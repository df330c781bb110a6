"""Why a queued job does not begin: where it stands, and what the workers do that could run it."""

from collections.abc import Iterable, Sequence

from mlq.client.model_states import reported
from mlq.client.seen import Seen
from mlq.client.slots import claims, number_in, slots_for
from mlq.client.unserved import Worker, can_serve, missing
from mlq.core.checks import functions_of, share_of
from mlq.core.job import or_none
from mlq.core.policy import AFFINITY_WAIT
from mlq.core.spans import span
from mlq.core.states import State
from mlq.core.why import Why


def held_back(seen: Seen) -> Why | None:
    """It is a part of a split of which only so many are open at a time, or that has not begun."""
    facts, join = seen.facts, seen.facts.join
    if facts.state is not State.QUEUED or join is None or join.ended:
        return None
    if not join.begun:
        text = f"It is a part of a split that has not begun: the job that posts its parts still runs (join {join.id})."
        return Why("planned", text, {"join": join.id})
    text = (
        f"It is a part of a split of which {join.at_once:,} are open at a time (at_once), and it is held back until "
        f"enough others have ended. Join {join.id} waits for {join.needs:,} of {join.of:,} parts."
    )
    return Why("held", text, {"join": join.id, "at_once": join.at_once, "needs": join.needs, "of": join.of})


def strayed(seen: Seen) -> Why | None:
    """It is queued, but in no lane: somebody removed it, or it is being put there."""
    if seen.facts.state is not State.QUEUED or seen.facts.waits:
        return None
    text = (
        f"It is queued, but not in its lane {seen.facts.lane!r}: a script is about to put it there, or somebody has "
        "changed the keys. Cancel and requeue it, if this stays so."
    )
    return Why("strayed", text, {"lane": seen.facts.lane})


def broken(seen: Seen) -> Why | None:
    """No process could load its model."""
    if not _waits(seen):
        return None
    loads = _loads(seen)
    if not loads or any(load[0] != "broken" for _, load in loads):
        return None
    worker, (_, since, _, why, *_) = loads[0]
    text = f"Its model could not be loaded on worker {worker}: {why}. mlq models shows where it is hosted."
    return Why("broken", text, {"worker": worker, "since": since, "error": why})


def unserved(seen: Seen) -> Why | None:
    """No living worker serves its queue and has its functions."""
    if not _waits(seen) or (lacking := missing(seen.facts.lane, seen.workers, seen.namespace)) is None:
        return None
    return Why("unserved", f"{lacking[:1].upper()}{lacking[1:]}.", {"lane": seen.facts.lane})


def stopping(seen: Seen) -> Why | None:
    """All workers that could run it claim nothing: they stop, or make room for a job that is to run apart."""
    if not _waits(seen) or any(claims(one) for one in _able(seen)):
        return None
    names = [one["name"] for one in _able(seen)]
    stop = all(one.get("claims") == "stopping" for one in _able(seen))
    why = (
        "stop: start another one" if stop else
        "claim nothing at the moment, to run a job apart from others, or because they stop"
    )  # fmt: skip
    return Why("stopping", f"All workers that could run it {why} ({_some(names)}).", {"workers": names})


def at_limit(seen: Seen) -> Why | None:
    """Those that have a free slot run as many jobs of its listener as they may."""
    if not _waits(seen) or _takers(seen):
        return None
    full = [(one["name"], names) for one in _able(seen) if _has_slot(one) and (names := _full(seen, one))]
    if not full:
        return None
    names = sorted({name for _, each in full for name in each})
    text = (
        f"The workers that have a free slot run as many jobs of {', '.join(map(repr, names))} as they may at a time "
        f"(per_worker): {_some([name for name, _ in full])}.{_in_line(seen)}"
    )
    return Why("per_worker", text, {"functions": names, "workers": [name for name, _ in full]} | _place(seen))


def turn(seen: Seen) -> Why | None:
    """All slots are busy, and other shares come first: its own has used more of the workers' time."""
    facts = seen.facts
    if not _waits(seen) or _takers(seen) or not facts.turn:
        return None
    share, slots = share_of(facts.lane) or "", slots_for(seen.workers, facts.lane)
    others = "another share comes" if facts.turn == 1 else f"{facts.turn:,} other shares come"
    names = ", ".join(facts.shares[:3]) + (", ..." if facts.turn > 3 else "")
    text = (
        f"All slots of workers that can run it are busy, and {others} first ({names}): they have used less of "
        f"the workers' time for their weights than share {share!r}, whose weight is {facts.weight:g}."
        f"{_in_line(seen, slots)}"
    )
    more = {"share": share, "weight": facts.weight, "before": facts.turn, "shares": list(facts.shares), "slots": slots}
    return Why("share", text, more | _place(seen, slots))


def all_busy(seen: Seen) -> Why | None:
    """All slots of the workers that could run it are busy."""
    if not _waits(seen) or _takers(seen):
        return None
    able = [one for one in _able(seen) if claims(one)]
    slots = slots_for(able, seen.facts.lane)
    which = "the worker" if len(able) == 1 else f"the {len(able)} workers"
    many = "The only slot" if slots == 1 else f"All {slots:,} slots"
    text = f"{many} of {which} that can run it {'is' if slots == 1 else 'are'} busy.{_in_line(seen, slots)}"
    return Why("busy", text, {"slots": slots, "busy": slots, "workers": [one["name"] for one in able]}
               | _place(seen, slots))  # fmt: skip


def loaded_elsewhere(seen: Seen) -> Why | None:
    """It waits for a worker that has its model loaded."""
    facts, takers = seen.facts, _takers(seen)
    if not takers or not facts.holders or any(one["name"] in facts.holders for one in takers):
        return None
    wait = min(_seconds(one.get("affinity_wait"), AFFINITY_WAIT) for one in takers)
    until = max(facts.record.posted, facts.since or 0.0) + wait
    if until <= facts.now:
        return None
    text = (
        f"It waits for a worker that has its model loaded ({_some(facts.holders)}); if none of them is free in about "
        f"{span(until - facts.now)}, any other worker takes it."
    )
    return Why("affinity", text, {"workers": list(facts.holders), "until": until})


def cold(seen: Seen) -> Why | None:
    """No process has loaded its model: the worker that takes it does."""
    takers = _takers(seen)
    if not takers or not any("@" in name for name in functions_of(seen.facts.lane)) or _loads(seen):
        return None
    text = f"No process has loaded its model yet: a worker with a free slot takes it and loads that.{_in_line(seen)}"
    return Why("cold", text, {"workers": [one["name"] for one in takers]} | _place(seen))


def free(seen: Seen) -> Why | None:
    """A worker has a free slot for it: it is about to begin."""
    takers = _takers(seen)
    if not takers:
        return None
    slots, busy = sum(number_in(one, "slots") for one in takers), sum(_busy(one) for one in takers)
    soon = ": it is about to begin" if (seen.facts.line or 0) < slots - busy else ""
    text = (
        f"{slots - busy:,} of {slots:,} slots that can run it are free, as their workers said in the last seconds"
        f"{soon}.{_in_line(seen)}"
    )
    return Why("free", text, {"slots": slots, "busy": busy, "workers": [one["name"] for one in takers]} | _place(seen))


def _waits(seen: Seen) -> bool:
    return seen.facts.state is State.QUEUED and seen.facts.waits


def _able(seen: Seen) -> list[Worker]:
    """The living workers that serve its queue and have its functions."""
    return [one for one in seen.workers if can_serve(one, seen.facts.lane)]


def _takers(seen: Seen) -> list[Worker]:
    """Those that have a free slot for it, if it waits in its lane."""
    if not _waits(seen):
        return []
    return [one for one in _able(seen) if claims(one) and _has_slot(one) and not _full(seen, one)]


def _full(seen: Seen, worker: Worker) -> list[str]:
    """Its listeners of which a worker runs all that it may; for a job that names none, any such listener."""
    names, wanted = frozenset(filter(None, worker.get("full", "").split(","))), functions_of(seen.facts.lane)
    return sorted(names & wanted if wanted else names)


def _has_slot(worker: Worker) -> bool:
    return _busy(worker) < number_in(worker, "slots")


def _busy(worker: Worker) -> int:
    """Busy slots: the jobs of a batch share one, and a worker counts each of them."""
    return min(number_in(worker, "busy"), number_in(worker, "slots"))


def _seconds(told: str | None, usual: float) -> float:
    return usual if told is None else or_none(float, told) or 0.0


def _loads(seen: Seen) -> list[tuple[str, Sequence[object]]]:
    """What processes of living workers say of its model, each with the name of its worker."""
    models = [name for name in functions_of(seen.facts.lane) if "@" in name]
    return [(one["name"], load) for one in seen.workers for name in models for load in reported(one).get(name, ())]


def _place(seen: Seen, slots: int = 0) -> dict[str, object]:
    """How many jobs come before it, and for about how long it waits if all of `slots` are busy."""
    about = _about(seen, slots)
    return {"ahead": seen.facts.line} | ({"about": about} if about else {})


def _in_line(seen: Seen, slots: int = 0) -> str:
    ahead, about = seen.facts.line or 0, _about(seen, slots)
    before = f" {ahead:,} {'job comes' if ahead == 1 else 'jobs come'} before it." if ahead else ""
    order = next((words for one in _able(seen) if (words := one.get("order"))), "")
    if order:  # then those ahead are of its own queue alone
        before += f" Workers take the queues in an order: {order}."
    if not about:
        return before
    mean = "" if seen.facts.seconds else f" (jobs of its queue ran for {span(seen.facts.run_time)} on average)"
    return f"{before} It begins in about {span(about)}{mean}."


def _about(seen: Seen, slots: int) -> float:
    """Seconds until all before it have begun, and a slot is free for it; 0 if that is not known."""
    facts = seen.facts
    if not slots:
        return 0.0
    if facts.seconds is not None:  # its lane has shares, of which more is known
        return facts.seconds / slots
    return facts.run_time * ((facts.line or 0) + 1) / facts.batch / slots


def _some(names: Iterable[str], most: int = 3) -> str:
    """The first names, and how many others there are."""
    every = list(names)
    return ", ".join(every[:most]) + (f" and {len(every) - most:,} more" if len(every) > most else "")
