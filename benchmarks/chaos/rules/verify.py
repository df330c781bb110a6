"""The reckoning of jobs under rules: everything about them that a run's evidence shows to be wrong, as sentences."""

from collections import Counter
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

from benchmarks.chaos.evidence import Evidence
from benchmarks.chaos.laws import again, attempts, lost_by_chance
from benchmarks.chaos.mix import value
from benchmarks.chaos.rules import plans, waiting
from benchmarks.chaos.rules.told import Turn


def problems(evidence: Evidence) -> list[str]:
    """All that is wrong."""
    checks = (posts, keys, ends, runs, running, rates, schedules, *waiting.CHECKS)
    return [problem for check in checks for problem in check(evidence)]


def posts(evidence: Evidence) -> Iterator[str]:
    """Each acknowledged post without a key is one job, any other at most one, and none that a full queue refused."""
    told = evidence.told
    numbers = Counter(turn.number for turn in evidence.turns.values() if turn.number >= 0)
    yield from (f"post {number} under rules made {count} jobs" for number, count in numbers.items() if count > 1)
    for number in numbers:
        if number not in told.sent:
            yield f"nobody posted number {number} under rules, which is there"
        elif number in told.full:
            yield f"post {number} was refused, since the queue was full, but is there"
    for number, (job_id, is_new) in told.acknowledged.items():
        there = evidence.turns.get(job_id)
        if there is None or (told.sent[number].key is None and (not is_new or there.number != number)):
            yield f"post {number} under rules was acknowledged as job {job_id}, which is not there"


def keys(evidence: Evidence) -> Iterator[str]:
    """What a post with a key was answered with is a job of this key, which has the last message if it is replaced."""
    for number, (job_id, is_new) in evidence.told.acknowledged.items():
        post, there = evidence.told.sent[number], evidence.turns.get(job_id)
        if post.key is None or there is None:
            continue
        if (there.kind, there.key) != (post.kind, post.key):
            yield f"post {number} with {post.kind}'s {post.key} was answered with job {job_id}, which has another key"
        elif post.kind == plans.DEBOUNCED and there.number < number:
            yield f"job {job_id} was replaced by post {number}, but has the message of post {there.number}"
        elif post.kind == plans.KEYED and is_new and there.number != number:
            yield f"post {number} with a key was acknowledged as job {job_id}, which is of post {there.number}"
    keyed = {turn.key for turn in evidence.turns.values() if turn.kind == plans.KEYED}
    for key in sorted(map(str, keyed)):
        of_key = {at: turn for at, turn in evidence.turns.items() if (turn.kind, turn.key) == (plans.KEYED, key)}
        yield from _one_after_the_other(of_key, f"the key {key}")


def _one_after_the_other(turns: dict[str, Turn], of: str) -> Iterator[str]:
    """No job was posted while another one had not ended."""
    last, ended = "", 0.0
    for job_id, turn in sorted(turns.items(), key=lambda one: one[1].posted):
        if turn.posted < ended:
            yield f"job {job_id} was posted while job {last} was active, though both are of {of}"
        last, ended = job_id, max(ended, turn.finished or float("inf"))


def ends(evidence: Evidence) -> Iterator[str]:
    """Each job succeeded, or expired if it may."""
    for job_id, turn in evidence.turns.items():
        fine = turn.state == "succeeded" and turn.result == value(turn.number, turn.retries + 1)
        expired = turn.lasts is not None and (turn.state, turn.reason) == ("cancelled", "expired")
        if not (fine or expired or lost_by_chance(evidence, job_id, turn)):
            yield (
                f"job {job_id} ({turn.kind}) should have succeeded, but it is {turn.state} ({turn.reason}: "
                f"{turn.error}), result {turn.result!r:.60}, after {turn.retries} retries"
            )


def runs(evidence: Evidence) -> Iterator[str]:
    """Each ran as its attempts say, and again only for a reason."""
    for job_id, turn in evidence.turns.items():
        mine = evidence.runs.get(job_id, [])
        yield from attempts(job_id, turn, mine)
        yield from again(evidence, job_id, mine, turn.posted - evidence.told.clock, asks_for_it=False)


def running(evidence: Evidence) -> Iterator[str]:
    """Of what is limited, never more ran at once than may: of the runs that were recorded, which had their leases."""
    for of, most in plans.RUNNING.items():
        edges = [edge for job_id, turn in evidence.turns.items() if _is_of(of, turn)
                 for edge in _edges(evidence, job_id, turn)]  # fmt: skip
        yield from _crowd(edges, most, of)


def _edges(evidence: Evidence, job_id: str, turn: Turn) -> list[tuple[float, int, str]]:
    """When the run began and ended that was recorded."""
    mine = [run for run in evidence.runs.get(job_id, []) if run.attempt == turn.retries + 1 and run.end]
    if not mine or turn.state != "succeeded":
        return []
    return [(mine[-1].begin, 1, job_id), (mine[-1].end or 0.0, -1, job_id)]


def _is_of(limited: str, turn: Turn) -> bool:
    if limited == plans.RESOURCE:
        return turn.kind in (plans.ASKS, plans.TELLS)
    return limited in (turn.kind, turn.share)


def _crowd(edges: list[tuple[float, int, str]], most: int, of: str) -> Iterator[str]:
    there: list[str] = []
    for _, step, job_id in sorted(edges):
        if step < 0:
            there.remove(job_id)
            continue
        there.append(job_id)
        if len(there) > most:
            yield f"the jobs {', '.join(there)} of {of} ran at a time, though only {most} may"


def rates(evidence: Evidence) -> Iterator[str]:
    """No more jobs that use the resource began within a second than may: of those attempts that were recorded."""
    begun = sorted(turn.started for turn in evidence.turns.values() if _is_of(plans.RESOURCE, turn) and turn.started)
    for first, later in zip(begun, begun[plans.RATE :], strict=False):
        if later - first < 1.0:
            yield f"{plans.RATE + 1} jobs that use {plans.RESOURCE} began within {later - first:.6f} s"


def schedules(evidence: Evidence) -> Iterator[str]:
    """Each tick has one job. None is missing, or for the one that leaves some out: as many as it says."""
    for name, state in evidence.told.schedules.items():
        of_it = {job_id: turn for job_id, turn in evidence.turns.items() if turn.kind == name}
        ticks = sorted(turn.tick for turn in of_it.values() if turn.tick is not None)
        steps = [round((later - first) / plans.EVERY[name], 3) for first, later in pairwise(ticks)]
        yield from (f"a tick of the schedule {name} was posted twice" for step in steps if step == 0)
        if any(step != round(step) for step in steps):
            yield f"the schedule {name} lost its rhythm: {[step for step in steps if step != round(step)]}"
        passed = round(sum(steps)) + 1
        if len(of_it) != state.posted or state.posted + state.missed_ticks + state.skipped_ticks < passed:
            yield (
                f"the schedule {name} has {len(of_it)} jobs for {passed} ticks, but says {state.posted}, with "
                f"{state.missed_ticks} missed and {state.skipped_ticks} skipped"
            )
        if name == plans.TICKS and any(step > 1 for step in steps):
            yield f"the schedule {name} lost ticks: it jumped by {[step for step in steps if step > 1]}"
        elif name == plans.BEATS:
            yield from _one_after_the_other(of_it, f"the schedule {name}")


def figures(evidence: Evidence) -> dict[str, Any]:
    """How many there were, and what became of them."""
    turns, told = evidence.turns.values(), evidence.told
    return {
        "jobs under rules": len(turns),
        "of these expired": sum(turn.reason == "expired" for turn in turns),
        "posts to a full queue": len(told.full),
        "posts answered with a job": sum(not is_new for _, is_new in told.acknowledged.values()),
        "pauses": len(told.pauses),
        "ticks": sum(turn.tick is not None for turn in turns),
        "ticks without a job": sum(one.missed_ticks + one.skipped_ticks for one in told.schedules.values()),
    }
