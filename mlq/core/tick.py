"""For which schedule, and for which of its times, a job was posted."""

from typing import Any, NamedTuple


class Tick(NamedTuple):
    """The schedule's name, and the time that its job is for: by a cron line, not when it was posted."""

    schedule: str
    at: float  # seconds since 1970

    @classmethod
    def read(cls, packed: Any) -> "Tick":
        """Raises ValueError: whoever can write to Redis may have put anything there."""
        if not isinstance(packed, list) or [type(part) for part in packed] != [str, float]:
            raise ValueError(f"not the tick of a schedule: {packed!r:.80}")
        return cls(*packed)
