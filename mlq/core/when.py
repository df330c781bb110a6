"""When a job may begin, and how soon: the checks of the options `delay`, `at`, `expires` and `priority`."""

from datetime import datetime
from typing import TYPE_CHECKING

from mlq.errors import InputError

if TYPE_CHECKING:
    from mlq.core.job_options import JobOptions

FIRST = 100  # the highest priority; the lowest is as far below 0
LATEST = 1e10  # seconds since 1970: in the year 2286; a larger number is one of milliseconds
LONGEST = 40  # characters of a time as text


def check_at(value: object) -> float | None:
    """A moment in seconds since 1970, from these, a datetime or its ISO text; both must name their time zone."""
    if value is None:
        return None
    moment = _read(value) if isinstance(value, str) else value
    if isinstance(moment, datetime):
        if moment.utcoffset() is None:
            raise InputError(
                f"at must name its time zone, since the server may be in another one: {value!s:.40} has none. Write "
                "datetime.now(UTC) + ..., or 2026-12-01T08:00+01:00 as text"
            )
        moment = moment.timestamp()
    if isinstance(moment, bool) or not isinstance(moment, (int, float)) or not 0 < moment < LATEST:
        raise InputError(
            f"at must be a datetime with a time zone, its ISO text, or seconds since 1970, not {value!r:.80}"
        )
    return float(moment)


def _read(text: str) -> object:
    """The number or the datetime in a text; the text itself if it is neither."""
    for read in (float, datetime.fromisoformat) if len(text) <= LONGEST else ():
        try:
            return read(text)
        except ValueError:
            continue
    return text


def check_priority(value: object) -> int | None:
    """A whole number; None for 0, which is that of jobs without one."""
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or not -FIRST <= value <= FIRST:
        raise InputError(f"priority must be a whole number from -{FIRST} to {FIRST}, not {value!r:.80}")
    return value or None


def check_times(options: "JobOptions") -> None:
    """Raises InputError for times that contradict each other; `post.lua` checks those that need the server's clock."""
    if options.delay is not None and options.at is not None:
        raise InputError("a job has a delay or a time (at) to begin at, not both")
    if options.expires is not None and options.expires <= (options.delay or 0.0):
        raise InputError(f"expires must be later than delay: a job can't begin after {options.delay:g} s and expire "
                         f"after {options.expires:g} s")  # fmt: skip
