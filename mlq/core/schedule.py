"""A schedule: a job that is posted again and again. Its declaration, what is due, and what became of it."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from mlq.core import codec
from mlq.core.checks import printable, shown_url
from mlq.core.job import LARGE, Record
from mlq.core.job_options import CHECKS, JobOptions, options_of
from mlq.core.tick import Tick
from mlq.core.timing import Timing, UnknownZone
from mlq.errors import InputError, TooLarge, Undecodable

NAME_LIMIT = 100  # characters
MOST = 10_000  # schedules of a namespace
MOST_AT_ONCE = 100  # jobs for ticks that were missed
ON_TIME = 60.0  # seconds by which a tick may be late and is still not missed: workers start again, servers move
BY_CODE, BY_PERSON = "code", "run time"
MISSED, OVERLAP = ("once", "skip", "all"), ("skip", "queue")
_NOT_FOR_SCHEDULES = {
    "at": "each tick has its own time",
    "after": "each tick is a job of its own",
    "key": "overlap says what becomes of a tick while the last job has not ended",
}


class Firing(NamedTuple):
    """What to do about a schedule that is due."""

    ticks: list[float]  # a job for each
    next: float  # when it is due then
    missed: int  # ticks for which no job is posted


class Schedule(NamedTuple):
    """What was declared."""

    name: str
    timing: Timing
    missed: str  # what becomes of ticks that nobody was there for: "once", "skip", "all"
    overlap: str  # what becomes of a tick while the last job has not ended: "skip", "queue"
    options: JobOptions
    message: bytes  # packed

    @classmethod
    def of(
        cls, name: object, timing: Timing, message: object, options: JobOptions, missed: object, overlap: object
    ) -> "Schedule":
        """Raises InputError, Unserializable or TooLarge."""
        policy = _one_of("missed", missed, MISSED)
        at_a_time = _one_of("overlap", overlap, OVERLAP)
        if policy == "all" and at_a_time == "skip":
            raise InputError("missed='all' needs overlap='queue': otherwise only the first of those jobs is posted")
        made = cls(check_schedule_name(name), timing, policy, at_a_time, options, codec.pack(message))
        if (size := len(made.body)) > LARGE:
            raise TooLarge(f"the message of a schedule may have {LARGE:,} bytes with its options, not {size:,}; "
                           "store it elsewhere and give its address")  # fmt: skip
        return made

    @property
    def declared(self) -> bytes:
        """How it is stored, without name and job."""
        return codec.pack([self.timing.cron, self.timing.tz, self.timing.every, self.missed, self.overlap])

    @property
    def body(self) -> bytes:
        """Its job as it is stored: a record's body."""
        return self.options.packed_body(self.message)

    def job(self, tick: float) -> bytes:
        """The body of the record of the job for one tick."""
        return self.options.of_tick(Tick(self.name, tick)).packed_body(self.message)

    @classmethod
    def read(cls, name: str, declared: bytes, lane: bytes, body: bytes) -> "Schedule":
        """What was stored. Raises UnknownZone, Undecodable: whoever can write to Redis may have put anything there."""
        timing, missed, overlap = cls.read_rules(declared)
        record = Record.parse(b"%b\n0\n%b" % (lane, body))
        return cls(name, timing, missed, overlap, record.options, record.message)

    @staticmethod
    def read_rules(declared: bytes) -> tuple[Timing, str, str]:
        """When it is due, what becomes of missed ticks, and of those that overlap. Raises Undecodable, UnknownZone."""
        try:
            cron, tz, every, missed, overlap = codec.unpack(declared)
            timing = Timing.of(cron or None, every or None, tz if cron else None)
            return timing, _one_of("missed", missed, MISSED), _one_of("overlap", overlap, OVERLAP)
        except UnknownZone:
            raise
        except (InputError, TypeError, ValueError) as error:
            raise Undecodable(f"its declaration is damaged: {error}") from None

    @property
    def shown_message(self) -> Any:
        """The message of its jobs."""
        return codec.unpack(self.message)

    @property
    def shown_options(self) -> dict[str, Any]:
        """The options of its jobs that were given, but for where they go."""
        given = {name: getattr(self.options, name) for name in CHECKS if name not in ("functions", "queue", "replace")}
        given |= {name: shown_url(given[name]) for name in ("callback", "webhook")}
        return {name: list(value) if isinstance(value, tuple) else value
                for name, value in given.items() if value is not None}  # fmt: skip

    def firing(self, due: float, now: float) -> Firing:
        """What is to be done now about a schedule that has been due since `due`."""
        passed, following = self.timing.passed(due, now), self.timing.after(now, due)
        if self.missed == "all":
            chosen = passed[-MOST_AT_ONCE:]
        elif self.missed == "once" or now - passed[-1] <= ON_TIME:
            chosen = passed[-1:]
        else:
            chosen = []
        return Firing(chosen, following, len(passed) - len(chosen))


def schedule_of(
    name: object, cron: object, every: object, tz: object, missed: object, overlap: object, message: object,
    callback: object, functions: object, options: Mapping[str, object],
) -> Schedule:  # fmt: skip
    """The schedule that a caller describes. Raises InputError, and TypeError for an unknown option."""
    for option, why in _NOT_FOR_SCHEDULES.items():
        if options.get(option) is not None:
            raise InputError(f"a schedule has no option {option!r}: {why}")
    wanted = options_of(callback, functions, options)
    return Schedule.of(name, Timing.of(cron, every, tz), message, wanted, missed, overlap)


def check_schedule_name(name: object) -> str:
    """1 to 100 printable characters without a slash, since it is part of a path in HTTP."""
    if not isinstance(name, str) or not printable(name, NAME_LIMIT) or "/" in name:
        raise InputError(
            f"a schedule's name is a string of 1 to {NAME_LIMIT} printable characters without a slash, not {name!r:.80}"
        )
    return name


def _one_of(option: str, value: object, words: Sequence[str]) -> str:
    if value is None:
        return words[0]
    if value not in words:
        raise InputError(f"{option} must be one of {', '.join(map(repr, words))}, not {value!r:.80}")
    return str(value)


class ScheduleState(NamedTuple):
    """A schedule and what became of it. Times are seconds since 1970 by the server's clock."""

    name: str
    cron: str | None
    every: float | None  # seconds
    tz: str | None  # of a cron line
    words: str  # the same for people: "At 03:00 every day (Europe/Berlin)"
    missed: str  # what becomes of ticks that nobody was there for: "once", "skip" or "all"
    overlap: str  # what becomes of a tick while the last job has not ended: "skip" or "queue"
    queue: str
    functions: list[str] | None
    owner: str  # "code" or "run time"
    declared: float | None  # when it was declared last: for one of the code, when a worker with it started last
    paused: float | None  # since when; None if it is not
    next: float | None  # when it is due; None while it is paused
    last: float | None  # the last tick that a job was posted for
    job: str | None  # the id of the last job
    outcome: str | None  # its state; None if that job is gone
    posted: int  # jobs so far
    missed_ticks: int  # so far, without a job
    skipped_ticks: int  # so far, since the last job had not ended
    msg: Any = None  # that of its jobs; only of one schedule that is asked for, as are its other options
    options: dict[str, Any] | None = None
