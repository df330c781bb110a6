"""One job for a key: the checks of the options `key`, `unique` and `replace`."""

from typing import TYPE_CHECKING

from mlq.core.checks import check_seconds, printable
from mlq.errors import InputError

if TYPE_CHECKING:
    from mlq.core.job_options import JobOptions

KEY_LIMIT = 1000  # bytes of a key: each job stores its own, and the server has it once more while a job holds it
LONGEST = 1e9  # seconds


def check_job_key(value: object) -> str | None:
    """A key: printable text of 1 to 1,000 bytes."""
    if value is None:
        return None
    if not isinstance(value, str) or not printable(value, KEY_LIMIT) or len(value.encode()) > KEY_LIMIT:
        raise InputError(f"key must be a text of 1 to {KEY_LIMIT:,} bytes of printable characters, not {value!r:.80}")
    return value


def check_unique(value: object) -> str | float | None:
    """How long a job holds its key: "waiting" or seconds from its post; None is "active", until it has ended."""
    if value is None or value == "active":
        return None
    if value == "waiting":
        return "waiting"
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0.001 <= value <= LONGEST:
        raise InputError(
            f"unique must be 'waiting', 'active' or a number of seconds from 0.001 to {LONGEST:,.0f}, not {value!r:.80}"
        )
    return check_seconds("unique", value)


def check_replace(value: object) -> bool:
    """Whether the job that waits with the same key is replaced."""
    if value is not None and not isinstance(value, bool):
        raise InputError(f"replace must be True or False, not {value!r:.80}")
    return bool(value)


def check_since(value: object) -> float | None:
    """When a job got the message that it has, if that replaced another one; 0 if none did. Stored, never given."""
    return float(value) if isinstance(value, (int, float)) and 0 <= value < LONGEST * 10 else None


def check_key_options(options: "JobOptions") -> None:
    """Raises InputError for options that need a key or contradict each other."""
    if options.key is None and (options.unique is not None or options.replace):
        raise InputError(f"{'replace' if options.replace else 'unique'} needs a key: whose job is meant?")
    if options.replace and options.unique is not None:
        raise InputError("replace and unique can't be combined: a job that replaces others holds its key until it ends")
    if options.replace and options.after:
        raise InputError("replace and after can't be combined: jobs would wait for one another")
