"""What the poster of jobs under rules and the server say about them: evidence for the reckoning."""

import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from benchmarks.chaos.rules import plans
from benchmarks.chaos.rules.plans import Post
from mlq import MLQ, MLQError
from mlq.core.schedule import ScheduleState


class Turn(NamedTuple):
    """A job under rules as the server tells it. Times by the server's clock."""

    kind: str
    number: int  # -1: posted by a schedule
    key: str | None
    share: str | None
    priority: int
    state: str
    reason: str | None
    result: Any
    error: str | None
    retries: int
    losses: int  # all, alone or with others
    posted: float
    started: float | None  # the last attempt's claim
    finished: float | None
    lasts: float | None  # it is cancelled unless it begins by then
    tick: float | None
    callback: bool = False

    @property
    def ran_once(self) -> bool:
        """Whether its first attempt is the one that was recorded: until that began, it waited."""
        return self.started is not None and self.retries == 0 and self.losses == 0


@dataclass
class Told:
    """What the poster knows. Times by the system's clock, which is the server's, too."""

    sent: dict[int, Post] = field(default_factory=dict)
    acknowledged: dict[int, tuple[str, bool]] = field(default_factory=dict)  # number: id, whether it is new
    full: set[int] = field(default_factory=set)  # numbers that were refused, since the queue was full
    pauses: list[tuple[float, float]] = field(default_factory=list)  # from when until when nothing could begin
    schedules: dict[str, ScheduleState] = field(default_factory=dict)  # paused at the end
    clock: float = field(
        default_factory=lambda: time.time() - time.monotonic()
    )  # what the first is ahead of the second


def turn(job: dict[str, Any], lasts: float | None) -> Turn:
    """What `get_job` returned."""
    return Turn(
        job["msg"]["rule"], job["msg"]["number"], job["key"], job["share"], job["priority"], job["state"],
        job["reason"], job["result"], job["error"], job["retries"], job["losses"], job["posted"], job["started"],
        job["finished"], lasts, job["tick"], job["callback"] is not None,
    )  # fmt: skip


def set_limits(mlq: MLQ) -> None:
    """Set all."""
    for gate, limit in zip(plans.GATES, plans.LIMITS, strict=True):
        mlq.limit(**gate, **limit)


def take_back(mlq: MLQ) -> Iterator[str]:
    """Remove schedules and limits when nothing runs any more, and say what is wrong with what they leave."""
    for options in plans.every_key():
        try:
            job = mlq.submit(plans.message("probe", -1, 0.0), **options)
        except MLQError as error:
            yield f"the key {options['key']} of {options['functions'][0]} takes no post: {error}"
            continue
        if not job.new:
            yield f"job {job.id} has ended, but holds the key {options['key']} of {options['functions'][0]}"
        with suppress(MLQError):
            mlq.delete(job.id)
    for name in plans.EVERY:
        mlq.schedules.remove(name)
    for gate in plans.GATES:
        mlq.remove_limit(**gate)
