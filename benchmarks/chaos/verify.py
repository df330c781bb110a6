"""The reckoning: everything that a run's evidence shows to be wrong, as sentences."""

import itertools
from collections import Counter
from collections.abc import Iterator

from benchmarks.chaos.effects import Run
from benchmarks.chaos.evidence import Ended, Evidence, Outcome
from benchmarks.chaos.laws import LEASES, again, attempts, is_lost, lost_by_chance
from benchmarks.chaos.laws import callbacks as callbacks_of
from benchmarks.chaos.mix import End, value
from benchmarks.chaos.pipelines import verify as pipelines
from benchmarks.chaos.rules import verify as rules


def problems(evidence: Evidence) -> list[str]:
    """All that is wrong."""
    found = list(evidence.wrong)
    for check in (posts, outcomes, dead_letters, runs, batches, callbacks):
        found += check(evidence)
    return found + pipelines.problems(evidence) + rules.problems(evidence)


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
    return is_lost(job) and job.losses == LEASES


def dead_letters(evidence: Evidence) -> Iterator[str]:
    """They are the failed jobs, no more and no less."""
    every: list[tuple[str, Outcome]] = [*evidence.jobs.items(), *evidence.pieces.items(), *evidence.turns.items()]
    failed = {job_id for job_id, job in every if job.state == "failed"}
    if odd := failed ^ evidence.dead:
        yield f"either failed or among the dead letters, but not both: {sorted(odd)[:10]}"


def runs(evidence: Evidence) -> Iterator[str]:
    """Each job ran; again only as an attempt that the job counts, and for a reason; side by side only for a reason."""
    for job_id, job in evidence.jobs.items():
        mine = evidence.runs.get(job_id, [])
        if not mine and not evidence.troubles.explain(None, evidence.first_heard(job_id), float("inf")):
            yield f"job {job_id} never ran"
        yield from attempts(job_id, job, mine)
        asks_for_it = evidence.mix.job(job.number).asks_for_more
        yield from again(evidence, job_id, mine, evidence.first_heard(job_id), asks_for_it=asks_for_it)
    known = evidence.jobs.keys() | evidence.pieces.keys() | evidence.turns.keys()
    yield from (f"job {job_id} ran, but is unknown" for job_id in evidence.runs.keys() - known)


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
        alone -= not is_lost(job)  # the last attempt was no loss
        if job.losses > alone:
            yield f"job {job_id} is charged {job.losses} losses, but can have been lost alone only {alone} times"


def _lost_with_others(calls: list[Run]) -> bool:
    """Whether an attempt's process died during its call, before any of the batch could be recorded."""
    return bool(calls) and calls[-1].end is None and max(run.together for run in calls) > 1


def callbacks(evidence: Evidence) -> Iterator[str]:
    """Each job that has one told it, and told the truth; nobody else was called."""
    for job_id, job in evidence.jobs.items():
        yield from callbacks_of(evidence, job_id, job)
    known = evidence.jobs.keys() | evidence.pieces.keys() | evidence.turns.keys()
    yield from (f"a callback of job {job_id} came, which is unknown" for job_id in evidence.calls.keys() - known)
