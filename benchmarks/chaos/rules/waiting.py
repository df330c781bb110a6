"""The reckoning of jobs under rules that wait: pauses, expiry, priorities and the length of a queue."""

from collections.abc import Iterator

from benchmarks.chaos.evidence import Evidence
from benchmarks.chaos.rules import plans
from benchmarks.chaos.rules.told import Turn

EXACT = 1e-5  # seconds: times are told with six decimals


def pauses(evidence: Evidence) -> Iterator[str]:
    """Nothing begins in a queue that is paused."""
    for job_id, turn in evidence.turns.items():
        begun = turn.started if turn.kind == plans.PAUSED and turn.started else 0.0
        if any(first < begun < last for first, last in evidence.told.pauses):
            yield f"job {job_id} began while its queue was paused"


def expiry(evidence: Evidence) -> Iterator[str]:
    """What expired never ran, and not before its time; what began did so in time."""
    for job_id, turn in evidence.turns.items():
        if turn.lasts is None:
            continue
        if turn.reason == "expired" and evidence.runs.get(job_id):
            yield f"job {job_id} expired, but had begun"
        if turn.reason == "expired" and (turn.finished or 0.0) < turn.lasts - EXACT:
            yield f"job {job_id} expired {turn.lasts - (turn.finished or 0.0):.6f} s too soon"
        if turn.ran_once and (turn.started or 0.0) > turn.lasts + EXACT:
            yield f"job {job_id} began {(turn.started or 0.0) - turn.lasts:.6f} s after it had expired"


def _narrow(evidence: Evidence) -> dict[str, Turn]:
    """Only one of them runs at a time. So one that was handed back can't have been overtaken meanwhile."""
    return {at: one for at, one in evidence.turns.items() if one.kind == plans.NARROW and one.ran_once}


def priorities(evidence: Evidence) -> Iterator[str]:
    """No job begins while one with a larger priority waits in its lane."""
    every = _narrow(evidence)
    for job_id, turn in every.items():
        began = turn.started or 0.0
        for other_id, other in every.items():
            if other.priority > turn.priority and other.posted < began < (other.started or 0.0):
                yield f"job {job_id} began before job {other_id}, which waited and has a larger priority"


def lengths(evidence: Evidence) -> Iterator[str]:
    """No more jobs wait in the narrow queue than may; besides one that was handed back."""
    every = _narrow(evidence)
    for job_id, turn in every.items():
        waiting = sum(one.posted <= turn.posted < (one.started or 0.0) for one in every.values())
        if waiting > plans.LENGTH + 1:
            yield f"{waiting} jobs waited in the narrow queue when job {job_id} was posted, though {plans.LENGTH} may"


CHECKS = (pauses, expiry, priorities, lengths)
