"""The reckoning: everything that a run's evidence shows to be wrong, as sentences."""

import itertools
from collections import Counter
from collections.abc import Iterator

from benchmarks.chaos.effects import Run
from benchmarks.chaos.evidence import Ended, Evidence
from benchmarks.chaos.mix import End, value
from benchmarks.chaos.receiver import Call

LEASES = 3  # that a job may lose; then it is a dead letter
TRIES = 3  # of a callback
BEFORE = 8.0  # seconds before a run's begin at which its lease may have been in trouble: claimed, not yet begun
AFTER = 16.0  # seconds after its begin at which a run may still lose its lease: the longest jobs take 8
LATER = 20.0  # seconds after a trouble at which a callback may come again: its lease and pauses


def problems(evidence: Evidence) -> list[str]:
    """All that is wrong."""
    found = list(evidence.wrong)
    for check in (posts, outcomes, dead_letters, runs, batches, callbacks):
        found += check(evidence)
    return found


def posts(evidence: Evidence) -> Iterator[str]:
    """Each acknowledged post is one job; what else is there is a post that failed with an error."""
    ids = Counter(job_id for job_id, _ in evidence.acknowledged.values())
    yield from (f"job {job_id} was acknowledged {count} times" for job_id, count in ids.items() if count > 1)
    numbers = Counter(job.number for job in evidence.jobs.values())
    yield from (f"post {number} made {count} jobs" for number, count in numbers.items() if count > 1)
    for number, (job_id, _) in evidence.acknowledged.items():
        if job_id not in evidence.jobs or evidence.jobs[job_id].number != number:
            yield f"post {number} was acknowledged as job {job_id}, which is not there"
    known = evidence.acknowledged.keys() | evidence.unknown
    yield from (f"nobody posted number {number}, which is there" for number in numbers if number not in known)


def outcomes(evidence: Evidence) -> Iterator[str]:
    """Each job ended, and as its kind has to."""
    for job_id, job in evidence.jobs.items():
        wanted = evidence.mix.job(job.number)
        if not (ended_as(wanted.end, job) or lost_by_chance(evidence, job_id, job)):
            yield (
                f"job {job_id} ({wanted.kind}) should have {wanted.end}, but it is {job.state} "
                f"({job.reason}: {job.error}), result {job.result!r:.60}, "
                f"after {job.retries} retries and {job.losses} lost leases"
            )


def ended_as(end: End, job: Ended) -> bool:
    """Whether a job ended in that way."""
    if end is End.SUCCEEDED:
        return job.state == "succeeded" and job.result == value(job.number, job.retries + 1)
    if end is End.RAISED:
        return job.state == "failed" and job.reason == "error" and job.error == str(job.number)
    if end is End.TIMED_OUT:
        return job.state == "failed" and job.reason == "timeout"
    return _is_lost(job) and job.losses == LEASES


def _is_lost(job: Ended) -> bool:
    return job.state == "failed" and job.reason in ("lost", "oom")


def lost_by_chance(evidence: Evidence, job_id: str, job: Ended) -> bool:
    """Whether an innocent job was thrice on a worker in trouble: a dead letter, as it should be."""
    if job.state != "failed" or job.reason != "lost" or job.losses != LEASES:
        return False
    mine = evidence.runs.get(job_id, [])
    nexts = [run.begin for run in mine[1:]] + [mine[-1].begin + AFTER] if mine else []
    return all(_explained(evidence, run, until) for run, until in zip(mine, nexts, strict=True))


def dead_letters(evidence: Evidence) -> Iterator[str]:
    """They are the failed jobs, no more and no less."""
    failed = {job_id for job_id, job in evidence.jobs.items() if job.state == "failed"}
    if odd := failed ^ evidence.dead:
        yield f"either failed or among the dead letters, but not both: {sorted(odd)[:10]}"


def runs(evidence: Evidence) -> Iterator[str]:
    """Each job ran; again only as an attempt that the job counts, and for a reason; side by side only for a reason."""
    for job_id, job in evidence.jobs.items():
        mine = evidence.runs.get(job_id, [])
        if not mine and job.state == "succeeded":
            yield f"job {job_id} succeeded, but never ran"
        if not mine and not evidence.troubles.explain(None, evidence.first_heard(job_id), float("inf")):
            yield f"job {job_id} never ran"
        attempts = [run.attempt for run in mine if not run.is_repeated]
        if len(set(attempts)) < len(attempts):
            yield f"job {job_id} ran twice as one attempt: {attempts}"
        if any(attempt > job.retries + 1 for attempt in attempts):
            yield f"job {job_id} ran as attempts {attempts}, but counts {job.retries} retries"
        yield from _again(evidence, job_id, job, mine)
    yield from (f"job {job_id} ran, but is unknown" for job_id in evidence.runs.keys() - evidence.jobs.keys())


def _again(evidence: Evidence, job_id: str, job: Ended, mine: list[Run]) -> Iterator[str]:
    asks_for_it = evidence.mix.job(job.number).asks_for_more
    for first, second in itertools.pairwise(mine):
        if first.is_repeated and first.attempt == second.attempt:
            continue
        troubled = _explained(evidence, first, second.begin)
        if first.end is not None and second.begin < first.end and not troubled:
            yield f"job {job_id} ran side by side as attempts {first.attempt} and {second.attempt} without a reason"
        elif not (troubled or asks_for_it):
            yield f"job {job_id} ran again as attempt {second.attempt} without a reason"
    begun_before = mine and mine[0].attempt > 1
    if begun_before and not evidence.troubles.explain(None, evidence.first_heard(job_id) - BEFORE, mine[0].begin):
        yield f"job {job_id} has its first run as attempt {mine[0].attempt} without a reason"


def _explained(evidence: Evidence, run: Run, until: float) -> bool:
    """Something was done to its worker, or one of the jobs in its process crashed."""
    crashed = run.end is None and (run.worker, run.process) in evidence.crashed
    return crashed or evidence.troubles.explain(run.worker, run.begin - BEFORE, until)


def batches(evidence: Evidence) -> Iterator[str]:
    """A call that has no answers is made again with at most half of the jobs; a loss is charged only to a job alone."""
    for job_id, job in evidence.jobs.items():
        mine = evidence.runs.get(job_id, [])
        attempts = {number: [run for run in mine if run.attempt == number] for number in range(1, job.retries + 2)}
        for number, calls in attempts.items():
            yield from (
                f"job {job_id} was in calls for {first.together}, then {second.together} jobs as attempt {number}"
                for first, second in itertools.pairwise(calls)
                if second.together > (first.together + 1) // 2
            )
        if not evidence.mix.job(job.number).is_in_batches:
            continue
        if job.state == "succeeded" and not any(run.end and run.answered for run in attempts[job.retries + 1]):
            yield f"job {job_id} succeeded as attempt {job.retries + 1}, but has no answer from it"
        alone = sum(not _lost_with_others(calls) for calls in attempts.values())
        alone -= not _is_lost(job)  # the last attempt was no loss
        if job.losses > alone:
            yield f"job {job_id} is charged {job.losses} losses, but can have been lost alone only {alone} times"


def _lost_with_others(calls: list[Run]) -> bool:
    """Whether an attempt's process died during its call, before any of the batch could be recorded."""
    return bool(calls) and calls[-1].end is None and max(run.together for run in calls) > 1


def callbacks(evidence: Evidence) -> Iterator[str]:
    """Each job that has one told it, and told the truth; more than once only for a reason, and never a fourth time."""
    for job_id, job in evidence.jobs.items():
        calls = evidence.calls.get(job_id, [])
        if job.callback:
            yield from _told(evidence, job_id, job, calls)
        elif calls:
            yield f"job {job_id} has no callback, but {len(calls)} came"
    yield from (
        f"a callback of job {job_id} came, which is unknown" for job_id in evidence.calls.keys() - evidence.jobs
    )


def _told(evidence: Evidence, job_id: str, job: Ended, calls: list[Call]) -> Iterator[str]:
    if not any(call.answer == 200 for call in calls):
        yield f"the callback of job {job_id} never came ({len(calls)} were refused)"
    if len(calls) > TRIES:
        yield f"the callback of job {job_id} came {len(calls)} times"
    if any(call.success != (job.state == "succeeded") for call in calls):
        yield f"a callback of job {job_id} told something else than that it {job.state}"
    for first, second in itertools.pairwise(calls):
        if first.answer == 200 and not evidence.troubles.explain(None, first.at - LATER, second.at):
            yield f"the callback of job {job_id} came again without a reason"
