"""When a schedule is due: by a cron line in a time zone, or by an interval. Pure functions of a time that is given.

Cron lines follow Debian's cron (`cronsim`): where clocks are set forward, what is due at a fixed time of the skipped
hour is due right after it; where they are set back, what is due at a fixed time of the doubled hour is due once. Lines
with `*` or a step in the minutes or the hours, and intervals, go by real time.
"""

import math
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple

from mlq.core.checks import printable
from mlq.errors import InputError

if TYPE_CHECKING:
    from datetime import tzinfo

LINE_LIMIT = 200  # characters of a cron line
ZONE_LIMIT = 64  # characters of a zone's name
SHORTEST = 1.0  # seconds between two ticks: jobs that come more often are better posted by a program
LONGEST = 1e9
CORRECTED = 3 * 3600.0  # seconds by which a clock is set back only if it was wrong
COUNTED = 1000  # ticks that are counted at a time: months may have passed since a schedule of seconds was looked at


class UnknownZone(InputError):
    """There is no time zone of this name, here at least: another machine may have newer ones."""


class Timing(NamedTuple):
    """A cron line with its zone, or an interval in seconds."""

    cron: str = ""
    tz: str = "UTC"
    every: float = 0.0

    @classmethod
    def of(cls, cron: object = None, every: object = None, tz: object = None) -> "Timing":
        """Raises InputError: for a line that is wrong or is never due, an unknown zone, an interval below 1 s."""
        if (cron is None) == (every is None):
            raise InputError("a schedule has either a cron line or an interval (every)")
        if every is not None:
            if tz is not None:
                raise InputError("tz is for cron lines: an interval is the same in every time zone")
            return cls(every=_seconds(every))
        made = cls(_line(cron), "UTC" if tz is None else _zone_name(tz))
        made.after(datetime.now(UTC).timestamp(), 0.0)  # else it is never due
        return made

    def after(self, at: float, anchor: float) -> float:
        """The first tick after a time. `anchor`: any tick of the interval; cron lines need none."""
        if not self.cron:
            number = math.floor((at - anchor) / self.every)  # of a tick, give or take one: it is rounded
            return next(tick for tick in (anchor + self.every * (number + i) for i in range(3)) if tick > at)
        return next(self._ticks(at))

    def after_set_back(self, now: float, last: float, anchor: float) -> float:
        """The next tick after the clock was set back: one that was fired, the `last` one, is not fired again.

        If it was set back by more than 3 hours, it was wrong before, and its new time counts, as with Debian's cron.
        """
        tick = self.after(last if now < last <= now + CORRECTED else now, anchor)
        return tick if self.cron else min(tick, now + self.every)

    def passed(self, due: float, now: float) -> list[float]:
        """The ticks from `due`, which is one, to `now`, oldest first; of more than 1,000 the last ones."""
        if not self.cron:
            last = math.floor((now - due) / self.every)
            found = [due + self.every * k for k in range(max(0, last - COUNTED + 1), last + 2)]
        else:
            found = list(islice(self._ticks(now + 1, due), COUNTED))[::-1]
        return [tick for tick in found if tick <= now][-COUNTED:] or [due]

    def _ticks(self, at: float, back_to: float | None = None) -> Iterator[float]:
        """The ticks after a time; or with `back_to` those before it, down to that one, latest first."""
        from cronsim import CronSim  # few processes have schedules

        backwards, last = back_to is not None, at
        try:
            for tick in CronSim(self.cron, _moment(at, zone_of(self.tz)), reverse=backwards):
                seconds = tick.timestamp()
                if back_to is not None and seconds < back_to:
                    return
                # of a doubled hour, it also gives the times that are over; and of a skipped one, the same time twice
                if (seconds < last) if backwards else (seconds > last):
                    last = seconds
                    yield seconds
        except (OverflowError, ValueError):  # beyond the year 9999
            pass
        if not backwards:
            raise InputError(f"the cron line {self.cron!r} is never due, in the next 50 years at least")

    @property
    def text(self) -> str:
        """The same as one line, different for each timing."""
        return f"{self.tz} {self.cron}" if self.cron else f"every {self.every!r}"

    def words(self) -> str:
        """The same for people."""
        if not self.cron:
            return f"Every {_interval(self.every)}"
        from cronsim import CronSim

        return f"{CronSim(self.cron, datetime.now(UTC)).explain()} ({self.tz})"


def _moment(at: float, zone: "tzinfo") -> datetime:
    return datetime.fromtimestamp(at, zone)


def _seconds(every: object) -> float:
    seconds = every.total_seconds() if isinstance(every, timedelta) else every
    is_number = isinstance(seconds, (int, float)) and not isinstance(seconds, bool)
    if not is_number or not SHORTEST <= seconds <= LONGEST:  # type: ignore[operator]  # it is a number
        raise InputError(f"every must be a timedelta, or a number of seconds, of at least {SHORTEST:g} s, "
                         f"not {every!r:.80}")  # fmt: skip
    return float(seconds)  # type: ignore[arg-type]


def _line(cron: object) -> str:
    """The line, with single spaces. Raises InputError, which names the wrong field."""
    from cronsim import CronSim, CronSimError

    if not isinstance(cron, str) or not printable(cron, LINE_LIMIT):
        raise InputError(f"cron must be a line such as '0 3 * * *', of at most {LINE_LIMIT} characters, "
                         f"not {cron!r:.80}")  # fmt: skip
    line = " ".join(cron.split())
    try:
        CronSim(line if len(line.split()) == 5 else "", datetime.now(UTC))  # it would take one of seconds, too
    except CronSimError as error:
        raise InputError(
            f"the cron line {line!r:.80} can't be used: {_what(str(error), line)}. It has five fields: minute, hour, "
            "day of the month, month, day of the week"
        ) from None
    return line


def _what(error: str, line: str) -> str:
    """What cronsim found, in words; it says "Bad day-of-month" also of a day that none of the line's months has."""
    if error == "Wrong number of fields":
        return f"it has {len(line.split())} fields"
    if error == "Bad day-of-month":
        return "the day of the month is wrong, or none of the months has it, so that it is never due"
    return f"the field {error.removeprefix('Bad ')} is wrong"


def _zone_name(tz: object) -> str:
    name = getattr(tz, "key", tz)  # of a ZoneInfo
    if not isinstance(name, str) or not printable(name, ZONE_LIMIT):
        raise InputError(f"tz must be the name of a time zone, such as 'Europe/Berlin', not {tz!r:.80}")
    zone_of(name)
    return name


def zone_of(name: str) -> "tzinfo":
    """The time zone of that name. Raises UnknownZone."""
    from zoneinfo import ZoneInfo

    try:
        return UTC if name == "UTC" else ZoneInfo(name)
    except (ValueError, OSError, KeyError):  # what it raises for paths, folders and names of none
        raise UnknownZone(f"there is no time zone {name!r}: use a name such as 'Europe/Berlin' or 'UTC'") from None


def _interval(seconds: float) -> str:
    for size, unit in ((86400, "day"), (3600, "hour"), (60, "minute")):
        if seconds % size == 0:
            return unit if seconds == size else f"{seconds / size:g} {unit}s"
    return "second" if seconds == 1 else f"{seconds:g} seconds"
