"""How far a job has come: as a value, and in words."""

from collections.abc import Mapping
from typing import Any, NamedTuple, Self

from mlq.core import codec
from mlq.core.states import State


class Progress(NamedTuple):
    """How far a pipeline has come. Its steps may post others, so `of` can still rise."""

    done: int  # steps that succeeded
    failed: int  # steps that failed or were cancelled
    of: int  # steps that were posted

    @classmethod
    def counted(cls, fields: Mapping[str, bytes]) -> Self | None:
        """From the fields of the job that the pipeline was posted as; None for other jobs. Raises ValueError."""
        if "steps" not in fields:
            return None
        done, failed, of = (max(0, int(fields.get(name, b"0"))) for name in ("done", "bad", "steps"))
        return cls(done, failed, of)

    def __str__(self) -> str:
        """`40 of 100 steps, 1 failed`."""
        return f"{self.done:,} of {self.of:,} steps{f', {self.failed:,} failed' if self.failed else ''}"


def progress_of(state: str, raw: bytes | None) -> Any:
    """None if the job waits or was cancelled, 100 if it succeeded, -1 if it failed, else the last report or 0.

    For a pipeline that goes on, a `Progress`; `raw` then has its numbers.
    """
    if state == State.BLOCKED:
        return Progress(*codec.unpack(raw)) if raw else None
    fixed = {
        State.QUEUED: None,
        State.SCHEDULED: None,
        State.SUCCEEDED: 100,
        State.FAILED: -1,
        State.CANCELLED: None,
    }
    return fixed[State(state)] if state in fixed else codec.unpack(raw) if raw else 0


def reported_of(state: str, raw: bytes) -> Any:
    """What was reported last, also after the end; None if nothing was. For a pipeline that goes on, a `Progress`."""
    if not raw:
        return None
    return progress_of(state, raw) if state == State.BLOCKED else codec.unpack(raw)


def progress_words(state: str, raw: bytes | None) -> str:
    """The progress in the words of `get_progress`."""
    if state == State.BLOCKED:
        return f"[{progress_of(state, raw)}]" if raw else "[blocked; waits for other jobs]"
    words = {State.QUEUED: "[queued; not started]", State.SCHEDULED: "[queued; not started]",
             State.SUCCEEDED: "[completed]", State.FAILED: "[failed]", State.CANCELLED: "[cancelled]"}  # fmt: skip
    if state in words:
        return words[State(state)]
    value = codec.unpack(raw) if raw else 0
    return "[started]" if type(value) is int and value == 0 else str(value)
