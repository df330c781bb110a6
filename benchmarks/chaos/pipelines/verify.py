"""The reckoning of pipelines: everything about them that a run's evidence shows to be wrong, as sentences."""

from collections import Counter
from collections.abc import Iterator
from typing import Any, NamedTuple

from benchmarks.chaos.evidence import Evidence, Piece
from benchmarks.chaos.laws import again, attempts, callbacks, lost_by_chance
from benchmarks.chaos.pipelines import plans
from benchmarks.chaos.pipelines.plans import JOIN, MISSING, Broken
from benchmarks.chaos.pipelines.poster import Fate

ENDED = ("succeeded", "failed", "cancelled")


class Whole(NamedTuple):
    """A root with all of its steps."""

    job_id: str
    root: Piece
    steps: dict[str, Piece]
    fate: Fate


def problems(evidence: Evidence) -> list[str]:
    """All that is wrong."""
    found = list(posts(evidence))
    for whole in wholes(evidence):
        for check in (ends, steps, joins, afterwards, runs):
            found += (f"{problem} (pipeline {whole.root.key})" for problem in check(evidence, whole))
    return found


def wholes(evidence: Evidence) -> list[Whole]:
    """All pipelines whose root is there."""
    of: dict[str, dict[str, Piece]] = {}
    for job_id, piece in evidence.pieces.items():
        if not piece.key:
            of.setdefault(piece.root, {})[job_id] = piece
    roots = {job_id: piece for job_id, piece in evidence.pieces.items() if piece.key in evidence.fates}
    return [Whole(at, root, of.get(at, {}), evidence.fates[str(root.key)]) for at, root in roots.items()]


def posts(evidence: Evidence) -> Iterator[str]:
    """Each acknowledged root is one job, each other one at most; and each step has a root."""
    roots = {job_id: piece.key for job_id, piece in evidence.pieces.items() if piece.key}
    yield from (f"pipeline {key} was posted {n} times" for key, n in Counter(roots.values()).items() if n > 1)
    for key, fate in evidence.fates.items():
        if fate.job_id and roots.get(fate.job_id) != key:
            yield f"pipeline {key} was acknowledged as job {fate.job_id}, which is not there"
        if fate.refused and key in roots.values():
            yield f"pipeline {key} was refused, but is there"
    yield from (f"nobody posted pipeline {key}, which is there" for key in set(roots.values()) - evidence.fates.keys())
    for job_id, piece in evidence.pieces.items():
        if piece.root not in roots:
            yield f"job {job_id} is a step of {piece.root}, which is not there"


def ends(evidence: Evidence, whole: Whole) -> Iterator[str]:
    """All of it has ended, and the whole as it has to."""
    yield from (
        f"step {job_id} ({step.listener} {step.path}) is {step.state}"
        for job_id, step in whole.steps.items() if step.state not in ENDED
    )  # fmt: skip
    root, wanted = whole.root, wanted_of(evidence, whole.fate)
    got = (root.state, root.result if root.state == "succeeded" else None)
    fits = got in wanted and (root.state != "failed" or _has_right_error(whole))
    if not fits and not (root.state in ENDED and is_excused(evidence, whole)):
        yield (
            f"root {whole.job_id} should be one of {wanted!r:.300}, but it is {root.state} "
            f"({root.reason}: {root.error!r:.200}), result {root.result!r:.300}"
        )


def wanted_of(evidence: Evidence, fate: Fate) -> list[tuple[str, Any]]:
    """The states that the root may have, each with its result."""
    root = fate.root
    own = plans.result(root.spec, mended=fate.requeued)
    found: list[tuple[str, Any]] = [("failed", None)]
    if not isinstance(own, Broken):
        found = [("succeeded", plans.wrapped(one, root.wraps)) for one in _with_needed(evidence, fate, own)]
        found = found or [("failed", None)]
    if fate.cancelled and not fate.requeued:
        return [("cancelled" if fate.cancelled == "root" else "failed", None)]
    return [*found, ("failed", None)] if fate.may_be_cancelled and not fate.requeued else found


def _with_needed(evidence: Evidence, fate: Fate, own: Any) -> list[Any]:
    """The results that it may have: none if one that it needs has none."""
    found = [[own]]
    for needed in (evidence.fates[f"{fate.root.key.partition('.')[0]}.{i}"] for i in fate.root.needs):
        values = [value if state == "succeeded" else MISSING for state, value in wanted_of(evidence, needed)]
        if needed.requeued and fate.root.on_failure == "run":
            values.append(MISSING)  # it ran before that
        if fate.root.on_failure != "run":
            values = [value for value in values if value != MISSING]
        found = [[*before, value] for before in found for value in values]
    return found if fate.root.needs else [own]


def _has_right_error(whole: Whole) -> bool:
    """Whether it failed because of a step, and with its error. Of one that comes after another, that is the other's."""
    own, error = plans.result(whole.fate.root.spec, mended=whole.fate.requeued), whole.root.error or ""
    if whole.fate.cancelled == "step" or whole.fate.may_be_cancelled:
        return whole.root.reason == "step" and error.endswith("was cancelled")
    return whole.root.reason == "step" and (not isinstance(own, Broken) or error in own.paths)


def is_excused(evidence: Evidence, whole: Whole) -> bool:
    """Whether a job of it, or of what it comes after, is a dead letter by chance."""
    mine = {whole.job_id: whole.root} | whole.steps
    mine |= {job_id: piece for job_id, piece in evidence.pieces.items() if piece.root in whole.root.after}
    return any(lost_by_chance(evidence, job_id, piece) for job_id, piece in mine.items())


def steps(_: Evidence, whole: Whole) -> Iterator[str]:
    """Each place in the plan has one step at most, and all have one if the whole succeeded."""
    paths = Counter(step.path for step in [whole.root, *whole.steps.values()] if step.path)
    yield from (f"the step at {path} was posted {count} times" for path, count in paths.items() if count > 1)
    there, wanted = Counter(step.listener for step in whole.steps.values()), plans.steps_of(whole.fate.root)
    if there - wanted or (whole.root.state == "succeeded" and there != wanted):
        yield f"root {whole.job_id} is {whole.root.state} with the steps {dict(there)} instead of {dict(wanted)}"


def joins(evidence: Evidence, whole: Whole) -> Iterator[str]:
    """A job that waits for others runs after they have; one that also takes failures, perhaps before they succeed."""
    takes_failures = whole.root.after and whole.fate.root.on_failure == "run"
    waits = {at: list(step.after) for at, step in whole.steps.items() if step.listener == JOIN}
    waits |= {} if takes_failures else {whole.job_id: whole.root.after}
    for job_id, step in whole.steps.items():
        if step.into:
            waits.setdefault(step.into, []).append(job_id)
    for job_id, needed in waits.items():
        begins = [run.begin for run in evidence.runs.get(job_id, [])]
        for one in needed:
            done = [run.end for run in evidence.runs.get(one, []) if run.end and run.answered]
            if begins and evidence.pieces[one].state == "succeeded" and not any(end <= min(begins) for end in done):
                yield f"job {job_id} ran before {one}, which it needs"


def afterwards(_: Evidence, whole: Whole) -> Iterator[str]:
    """No step succeeds after its whole has ended badly; and what was done before a requeue is not done again."""
    if whole.root.state in ("failed", "cancelled"):
        for job_id, step in whole.steps.items():
            if step.state == "succeeded" and (step.finished or 0.0) > (whole.root.finished or 0.0):
                yield f"step {job_id} succeeded after its root {whole.job_id} was {whole.root.state}"
    for job_id, count in whole.fate.done_before.items():
        if job_id in whole.steps and whole.steps[job_id].retries + 1 != count:
            yield f"step {job_id} had succeeded in {count} attempts, and ran again when {whole.job_id} was requeued"


def runs(evidence: Evidence, whole: Whole) -> Iterator[str]:
    """Each job ran as its attempts say, and again only for a reason."""
    fate = whole.fate
    touched = bool(fate.cancelled or fate.may_be_cancelled or fate.requeued)
    for job_id, piece in [(whole.job_id, whole.root), *whole.steps.items()]:
        mine = evidence.runs.get(job_id, [])
        yield from attempts(job_id, piece, mine)
        if not touched:
            yield from again(evidence, job_id, mine, fate.at, asks_for_it=piece.path in plans.raising(fate.root.spec))
        yield from callbacks(evidence, job_id, piece)


def figures(evidence: Evidence) -> dict[str, int]:
    """How many there were, and what was done to them."""
    found, fates = wholes(evidence), evidence.fates.values()
    return {
        "pipelines": len(found),
        "of these succeeded": sum(whole.root.state == "succeeded" for whole in found),
        "steps": sum(len(whole.steps) for whole in found),
        "joins": sum(step.listener == JOIN for whole in found for step in whole.steps.values()),
        "steps run again": sum(step.retries for whole in found for step in whole.steps.values()),
        "cancelled midway": sum(bool(fate.cancelled) for fate in fates),
        "requeued": sum(fate.requeued for fate in fates),
        "excused by a lost step": sum(whole.root.state == "failed" and is_excused(evidence, whole) for whole in found),
    }
