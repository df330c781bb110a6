"""What holds for the runs and the callbacks of any job, and which troubles excuse it."""

import itertools
from collections.abc import Iterator

from benchmarks.chaos.effects import Run
from benchmarks.chaos.evidence import Evidence, Outcome
from benchmarks.chaos.receiver import Call

LEASES = 3  # that a job may lose; then it is a dead letter
TRIES = 3  # of a callback
BEFORE = 8.0  # seconds before a run's begin at which its lease may have been in trouble: claimed, not yet begun
AFTER = 16.0  # seconds after its begin at which a run may still lose its lease: the longest jobs take 8
LATER = 20.0  # seconds after a trouble at which a callback may come again: its lease and pauses


def is_lost(job: Outcome) -> bool:
    """Whether it is a dead letter because its process died too often."""
    return job.state == "failed" and job.reason in ("lost", "oom")


def lost_by_chance(evidence: Evidence, job_id: str, job: Outcome) -> bool:
    """Whether an innocent job was thrice on a worker in trouble: a dead letter, as it should be."""
    if job.state != "failed" or job.reason != "lost" or job.losses != LEASES:
        return False
    mine = evidence.runs.get(job_id, [])
    nexts = [run.begin for run in mine[1:]] + [mine[-1].begin + AFTER] if mine else []
    return all(explained(evidence, run, until) for run, until in zip(mine, nexts, strict=True))


def attempts(job_id: str, job: Outcome, mine: list[Run]) -> Iterator[str]:
    """A job that succeeded ran, and each of its attempts is one that it counts."""
    if not mine and job.state == "succeeded":
        yield f"job {job_id} succeeded, but never ran"
    numbers = [run.attempt for run in mine if not run.is_repeated]
    if len(set(numbers)) < len(numbers):
        yield f"job {job_id} ran twice as one attempt: {numbers}"
    if any(number > job.retries + 1 for number in numbers):
        yield f"job {job_id} ran as attempts {numbers}, but counts {job.retries} retries"


def again(evidence: Evidence, job_id: str, mine: list[Run], heard: float, *, asks_for_it: bool) -> Iterator[str]:
    """It ran again, and side by side, only for a reason. `heard`: when it was posted, as near as is known."""
    for first, second in itertools.pairwise(mine):
        if first.is_repeated and first.attempt == second.attempt:
            continue
        troubled = explained(evidence, first, second.begin)
        if first.end is not None and second.begin < first.end and not troubled:
            yield f"job {job_id} ran side by side as attempts {first.attempt} and {second.attempt} without a reason"
        elif not (troubled or asks_for_it):
            yield f"job {job_id} ran again as attempt {second.attempt} without a reason"
    begun_before = mine and mine[0].attempt > 1
    if begun_before and not evidence.troubles.explain(None, heard - BEFORE, mine[0].begin):
        yield f"job {job_id} has its first run as attempt {mine[0].attempt} without a reason"


def explained(evidence: Evidence, run: Run, until: float) -> bool:
    """Something was done to its worker, or one of the jobs in its process crashed."""
    crashed = run.end is None and (run.worker, run.process) in evidence.crashed
    return crashed or evidence.troubles.explain(run.worker, run.begin - BEFORE, until)


def callbacks(evidence: Evidence, job_id: str, job: Outcome) -> Iterator[str]:
    """A job that has a callback told the truth; more than once only for a reason, and never a fourth time."""
    calls = evidence.calls.get(job_id, [])
    if job.callback:
        yield from _told(evidence, job_id, job, calls)
    elif calls:
        yield f"job {job_id} has no callback, but {len(calls)} came"


def _told(evidence: Evidence, job_id: str, job: Outcome, calls: list[Call]) -> Iterator[str]:
    if not any(call.answer == 200 for call in calls):
        yield f"the callback of job {job_id} never came ({len(calls)} were refused)"
    if len(calls) > TRIES:
        yield f"the callback of job {job_id} came {len(calls)} times"
    if any(call.success != (job.state == "succeeded") for call in calls):
        yield f"a callback of job {job_id} told something else than that it {job.state}"
    for first, second in itertools.pairwise(calls):
        if first.answer == 200 and not evidence.troubles.explain(None, first.at - LATER, second.at):
            yield f"the callback of job {job_id} came again without a reason"
