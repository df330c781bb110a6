"""The shapes of what is sent and answered about schedules."""

from typing import Annotated, Any, Literal

from msgspec import Meta, Struct

from mlq.http.shapes import Options, StateName

Every = Annotated[float, Meta(ge=1, le=1e9, description="Seconds.")]
Line = Annotated[str, Meta(max_length=200, description="Minute, hour, day of the month, month, day of the week.")]
Zone = Annotated[str, Meta(max_length=64, description="The name of a time zone, as Europe/Berlin; UTC if left out.")]


class NewSchedule(Options, kw_only=True):
    """When jobs are posted, and which. It has `cron` or `every`."""

    cron: Line | None = None
    tz: Zone | None = None
    every: Every | None = None
    missed: Literal["once", "skip", "all"] = "once"
    overlap: Literal["skip", "queue"] = "skip"
    msg: Any = None


class Schedule(Struct):
    """A schedule and what became of it. Times are seconds since 1970 by the server's clock."""

    name: str
    cron: str | None
    every: float | None
    tz: str | None
    words: str  # when it is due, in English
    missed: str
    overlap: str
    queue: str
    functions: list[str] | None
    owner: str  # "code" or "run time"
    declared: float | None  # last
    paused: float | None  # since when
    next: float | None  # null while it is paused
    last: float | None  # the last tick that a job was posted for
    job: str | None  # the last one
    outcome: StateName | None  # its state; null if it is gone
    posted: int  # jobs
    missed_ticks: int
    skipped_ticks: int  # as the last job had not ended


class WholeSchedule(Schedule):
    """The same with the message and the options of its jobs."""

    msg: Any
    options: dict[str, Any]


class Schedules(Struct):
    """All schedules, by name."""

    schedules: list[Schedule]
