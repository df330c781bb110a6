"""The chaos suite's reckoning of batches: it accepts what may happen to them, and reports what must not."""

from collections.abc import Iterator

import pytest

from benchmarks.chaos.effects import Run
from benchmarks.chaos.evidence import Ended, Evidence
from benchmarks.chaos.mix import Mix, value
from benchmarks.chaos.trouble import Troubles
from benchmarks.chaos.verify import problems

MIX = Mix(1, 60.0, retries=True, timeouts=True, batches=True)
WORKER, CHILD = 10, 11


def numbers(kind: str) -> Iterator[int]:
    """The numbers of the jobs of a kind."""
    return (number for number in range(100_000) if MIX.job(number).kind == kind)


FIRST, SECOND = (number for number, _ in zip(numbers("together"), range(2), strict=False))
RAISES = next(numbers("together, raises"))
CRASHES = next(numbers("together, crashes always"))


def ended(number: int, *, retries: int = 0, result: object = None) -> Ended:
    """A job that succeeded, and whose result is its own unless `result` says otherwise."""
    return Ended(number, "succeeded", None, result or value(number, retries + 1), None, retries, 0, callback=False)


def lost(number: int, losses: int, retries: int) -> Ended:
    """A job that is a dead letter because its process died."""
    return Ended(number, "failed", "lost", None, "its child died", retries, losses, callback=False)


def call(number: int, together: int, attempt: int = 1, at: float = 1.0, *, answered: bool = True) -> Run:
    """A run that ended."""
    return Run(str(number), attempt, WORKER, CHILD, at, at + 0.1, together, answered)


def death(number: int, together: int, attempt: int, process: int = CHILD) -> Run:
    """A run whose process died."""
    return Run(str(number), attempt, WORKER, process, float(attempt), None, together)


def found(jobs: list[Ended], runs: list[Run]) -> list[str]:
    """What is wrong with jobs whose ids are their numbers, and to which the adversary did nothing."""
    evidence = Evidence(MIX, 1.0, Troubles(), jobs={str(job.number): job for job in jobs})
    evidence.acknowledged = {job.number: (str(job.number), 0.5) for job in jobs}
    evidence.dead = {str(job.number) for job in jobs if job.state == "failed"}
    evidence.runs = {str(job.number): [run for run in runs if run.job_id == str(job.number)] for job in jobs}
    return problems(evidence)


def test_a_batch_that_succeeds() -> None:
    """Each job in one call for both."""
    assert found([ended(FIRST), ended(SECOND)], [call(FIRST, 2), call(SECOND, 2)]) == []


def test_a_call_that_raises_is_repeated_within_the_attempt() -> None:
    """The one to blame is retried once; the other one succeeds in its first attempt."""
    failed = Ended(RAISES, "failed", "error", None, str(RAISES), 1, 0, callback=False)
    runs = [call(number, 2, answered=False) for number in (FIRST, RAISES)]
    runs += [call(FIRST, 1, at=1.2), call(RAISES, 1, at=1.3, answered=False), call(RAISES, 1, 2, 2.0, answered=False)]
    assert found([ended(FIRST), failed], runs) == []


def test_an_innocent_job_runs_again_after_the_crash_of_another_one_in_its_batch() -> None:
    """The guilty one is charged with the three losses in which it was alone."""
    runs = [death(FIRST, 2, 1), call(FIRST, 1, 2, 2.0), death(CRASHES, 2, 1)]
    runs += [death(CRASHES, 1, attempt, CHILD + attempt) for attempt in (2, 3, 4)]
    assert found([ended(FIRST, retries=1), lost(CRASHES, 3, 3)], runs) == []


@pytest.mark.parametrize(
    ("jobs", "runs", "words"),
    [
        pytest.param([ended(FIRST)], [], "never ran", id="a lost item"),
        pytest.param(
            [ended(FIRST)._replace(state="queued")], [call(FIRST, 2)], "should have succeeded", id="it never ends"
        ),
        pytest.param(
            [ended(FIRST)], [call(FIRST, 2), call(FIRST, 2, at=2.0)], "ran twice as one attempt", id="twice at once"
        ),
        pytest.param(
            [ended(FIRST, retries=1)],
            [call(FIRST, 2), call(FIRST, 2, 2, 2.0)],
            "without a reason",
            id="a second attempt",
        ),
        pytest.param(
            [ended(FIRST, result=value(SECOND, 1)), ended(SECOND, result=value(FIRST, 1))],
            [call(FIRST, 2), call(SECOND, 2)],
            "should have succeeded",
            id="shifted answers",
        ),
        pytest.param(
            [ended(FIRST)], [call(FIRST, 2, answered=False)], "has no answer from it", id="the answer of a failed call"
        ),
        pytest.param(
            [ended(FIRST)],
            [call(FIRST, 8, answered=False), call(FIRST, 5, at=2.0)],
            "in calls for 8, then 5",
            id="no halves",
        ),
        pytest.param(
            [lost(FIRST, 3, 2), lost(CRASHES, 3, 2)],
            [death(number, 2, attempt, 10 + attempt) for number in (FIRST, CRASHES) for attempt in (1, 2, 3)],
            "is charged 3 losses, but can have been lost alone only 0 times",
            id="an innocent dead letter",
        ),
        pytest.param(
            [ended(FIRST, retries=1)._replace(losses=1)],
            [death(FIRST, 2, 1), call(FIRST, 1, 2, 2.0)],
            "is charged 1 losses",
            id="an innocent one charged once",
        ),
    ],
)
def test_faults_are_reported(jobs: list[Ended], runs: list[Run], words: str) -> None:
    """Each with its own words."""
    assert any(words in problem for problem in found(jobs, runs)), found(jobs, runs)
