"""The chaos suite's reckoning of jobs under rules: it accepts what may happen to them, and reports what must not."""

from typing import Any

import pytest

from benchmarks.chaos.effects import Run
from benchmarks.chaos.evidence import Evidence
from benchmarks.chaos.mix import Mix, value
from benchmarks.chaos.rules import plans
from benchmarks.chaos.rules.plans import Post
from benchmarks.chaos.rules.told import Told, Turn
from benchmarks.chaos.rules.verify import problems
from benchmarks.chaos.trouble import Troubles
from mlq.core.schedule import ScheduleState

MIX = Mix(1, 60.0, retries=True, timeouts=True, batches=True)
CLOCK = 1000.0  # by which the server's clock is ahead of the monotonic one


def turn(kind: str, number: int, begin: float = 1.0, seconds: float = 0.5, **changes: Any) -> Turn:
    """A job that was posted at once, and ran from `begin` on by the monotonic clock."""
    made = Turn(
        kind, number, None, None, 0, "succeeded", None, value(number, 1), None, 0, 0, CLOCK, CLOCK + begin,
        CLOCK + begin + seconds, None, None,
    )  # fmt: skip
    return made._replace(**changes)


def found(*turns: Turn, told: Told | None = None) -> list[str]:
    """What is wrong with jobs whose ids are their places from 1 on, and to which the adversary did nothing."""
    told = told or Told()
    told.clock = CLOCK
    jobs = {str(place): one for place, one in enumerate(turns, 1)}
    for job_id, one in jobs.items():
        if one.number >= 0 and one.number not in told.sent:
            told.sent[one.number] = Post(one.kind, one.number, 0.5, {"key": one.key})
            told.acknowledged[one.number] = (job_id, True)
    evidence = Evidence(MIX, 1.0, Troubles(), turns=jobs, told=told)
    evidence.runs = {
        job_id: [Run(job_id, 1, 10, 11, one.started - CLOCK, one.finished - CLOCK)]
        for job_id, one in jobs.items() if one.started and one.finished
    }  # fmt: skip
    return problems(evidence)


def expired(lasts: float = CLOCK + 0.7) -> Turn:
    """A job that nobody began."""
    return turn(plans.PAUSED, 1, lasts=lasts, state="cancelled", reason="expired", started=None, finished=lasts + 0.01)


def schedule(name: str, posted: int, missed: int = 0, skipped: int = 0) -> Told:
    """What a schedule says of itself."""
    state = ScheduleState(
        name, None, plans.EVERY[name], None, "", "all", "queue", plans.QUEUE, [name], "code", 0.0, 1.0, None, None,
        None, None, posted, missed, skipped,
    )  # fmt: skip
    return Told(schedules={name: state})


def ticks(name: str, *times: float) -> list[Turn]:
    """A job of the schedule for each of these ticks, which ends before the next one."""
    return [turn(name, -1, at, 0.01, posted=CLOCK + at, tick=CLOCK + at) for at in times]


def keyed(number: int, begin: float, posted: float, kind: str = plans.KEYED) -> Turn:
    """A job with a key, posted at a time."""
    return turn(kind, number, begin, posted=CLOCK + posted, key="key-1")


def replaced(number: int, by: int) -> Told:
    """Two posts with a key, both of which were answered with the first job."""
    told = Told()
    for one, is_new in ((number, True), (by, False)):
        told.sent[one] = Post(plans.DEBOUNCED, one, 0.1, {"key": "key-1"})
        told.acknowledged[one] = ("1", is_new)
    return told


FINE: dict[str, tuple[list[Turn], Told | None]] = {
    "as many as may run": ([turn(plans.LIMITED, i) for i in range(3)], None),
    "one after the other": ([turn(plans.NARROW, i, 1.0 + i) for i in range(3)], None),
    "five within a second": ([turn(plans.ASKS, i, 1.0 + i / 10, 0.05) for i in range(5)], None),
    "an expired one": ([expired()], None),
    "before and after a pause": (
        [turn(plans.PAUSED, 1, 1.0), turn(plans.PAUSED, 2, 5.0)], Told(pauses=[(CLOCK + 2, CLOCK + 4)])),
    "the larger priority first": (
        [turn(plans.NARROW, 1, 1.0, priority=5), turn(plans.NARROW, 2, 2.0)], None),
    "a key, one after the other": ([keyed(1, 1.0, 0.5), keyed(2, 3.0, 2.0)], None),
    "a replaced job": ([keyed(2, 1.0, 0.5, plans.DEBOUNCED)], replaced(1, 2)),
    "all ticks": (ticks(plans.TICKS, 1.0, 2.0, 3.0), schedule(plans.TICKS, 3)),
    "ticks that were skipped": (ticks(plans.BEATS, 2.0, 8.0), schedule(plans.BEATS, 2, 1, 1)),
}  # fmt: skip

WRONG: dict[str, tuple[list[Turn], Told | None, str]] = {
    "too many run": ([turn(plans.LIMITED, i) for i in range(4)], None, "of limited ran at a time, though only 3 may"),
    "too many use it": (
        [turn(plans.ASKS, 1), turn(plans.TELLS, 2), turn(plans.ASKS, 3)], None, "of api ran at a time, though only 2"),
    "too many of a share": (
        [turn(plans.SHARED, i, share=plans.LEFT) for i in range(3)], None, "of left ran at a time, though only 2 may"),
    "too many begin": (
        [turn(plans.ASKS, i, 1.0 + i / 10, 0.05) for i in range(6)], None, "6 jobs that use api began within 0.5"),
    "a paused queue": (
        [turn(plans.PAUSED, 1, 3.0)], Told(pauses=[(CLOCK + 2, CLOCK + 4)]), "while its queue was paused"),
    "begun too late": ([turn(plans.PAUSED, 1, 1.0, lasts=CLOCK + 0.7)], None, "s after it had expired"),
    "expired too soon": ([expired()._replace(finished=CLOCK + 0.5)], None, "s too soon"),
    "ran, and expired": ([expired()._replace(started=CLOCK + 0.1)], None, "expired, but had begun"),
    "expired without a time": ([expired()._replace(lasts=None)], None, "should have succeeded"),
    "the smaller priority first": (
        [turn(plans.NARROW, 1, 1.0), turn(plans.NARROW, 2, 2.0, priority=5)], None, "and has a larger priority"),
    "a queue too long": ([turn(plans.NARROW, i, 1.0 + i) for i in range(8)], None, "8 jobs waited in the narrow queue"),
    "full, and posted": ([turn(plans.NARROW, 1)], Told(full={1}), "since the queue was full, but is there"),
    "two of a key": ([keyed(1, 1.0, 0.5), keyed(2, 2.0, 1.2)], None, "though both are of the key key-1"),
    "a change that was lost": ([keyed(1, 1.0, 0.5, plans.DEBOUNCED)], replaced(1, 2), "has the message of post 1"),
    "another's key": (
        [keyed(2, 1.0, 0.5, plans.DEBOUNCED)._replace(key="key-2")], replaced(1, 2), "which has another key"),
    "a post that was lost": (
        [turn(plans.LIMITED, 2)], Told({i: Post(plans.LIMITED, i, 0.1, {}) for i in (1, 2)}, {1: ("1", True)}),
        "which is not there"),
    "a tick twice": (ticks(plans.TICKS, 1.0, 1.0), schedule(plans.TICKS, 2), "was posted twice"),
    "a lost tick": (ticks(plans.TICKS, 1.0, 3.0), schedule(plans.TICKS, 2, 1), "lost ticks"),
    "no rhythm": (ticks(plans.TICKS, 1.0, 2.5), schedule(plans.TICKS, 2, 1), "lost its rhythm"),
    "uncounted ticks": (ticks(plans.BEATS, 2.0, 8.0), schedule(plans.BEATS, 2, 1), "2 jobs for 4 ticks"),
    "overlapping ticks": (
        [one._replace(finished=CLOCK + 9) for one in ticks(plans.BEATS, 2.0, 4.0)], schedule(plans.BEATS, 2),
        "though both are of the schedule beats"),
    "a job that never ended": ([turn(plans.SHARED, 1, state="queued")], None, "should have succeeded"),
}  # fmt: skip


@pytest.mark.parametrize("case", FINE)
def test_what_may_happen(case: str) -> None:
    """Nothing is reported."""
    turns, told = FINE[case]
    assert found(*turns, told=told) == []


@pytest.mark.parametrize("case", WRONG)
def test_faults_are_reported(case: str) -> None:
    """Each with its own words."""
    turns, told, words = WRONG[case]
    assert any(words in problem for problem in found(*turns, told=told)), found(*turns, told=told)


def test_a_run_has_some_of_every_kind() -> None:
    """And the same ones for the same seed."""
    kinds = {post.kind for number in range(300) for post in plans.plan(2, number)}
    assert kinds == {*plans.KINDS}
    assert plans.plan(2, 7) == plans.plan(2, 7)
    assert [plans.plan(2, i) for i in range(20)] != [plans.plan(3, i) for i in range(20)]
