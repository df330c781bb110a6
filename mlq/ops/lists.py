"""Ops that list jobs and dead letters, page by page."""

from collections.abc import Callable
from typing import Any, NamedTuple

from mlq.core.job import head_of, number, or_none, text
from mlq.core.keys import Keys
from mlq.core.progress import progress_of
from mlq.core.states import State
from mlq.ops import Op, call
from mlq.ops.jobs import shown
from mlq.ops.scripts import script


class Listed(NamedTuple):
    """One line of a list of jobs. Times are seconds since the epoch by the server's clock."""

    id: str
    state: str  # as `State`
    lane: str  # queue and functions: "default", "default:train"
    posted: float
    attempts: int  # so far
    errors: int  # attempts that raised or timed out, and after which the job was retried
    losses: int  # attempts that were lost with their worker or child
    worker: str | None  # of the last attempt
    started: float | None  # the last attempt
    finished: float | None  # the job
    took: float | None  # seconds that the last attempt took, or has been running for
    age: float  # seconds since the post
    reason: str | None  # why it failed: "error", "timeout", "lost" or "oom"; "expired", "purged"; None if it has not
    progress: Any  # what a running job reported last, if that is short; of a pipeline a `Progress`; otherwise None


def _page(width: int, make: Callable[[list[Any]], Any], reply: list[Any]) -> list[Any]:
    return [make(reply[i : i + width]) for i in range(0, len(reply), width)]


def _count(stored: bytes | None) -> int:
    return or_none(int, stored or 0) or 0


def listing(keys: Keys, below: str = "", limit: int = 50, state: State | None = None) -> Op[tuple[list[Listed], str]]:
    """A page of jobs, newest first, and `below` for the next page ("0" at the end). Pages may be short if few match."""

    def parse(reply: list[Any]) -> tuple[list[Listed], str]:
        now = number(reply[1]) or 0.0
        return _page(12, lambda row: _listed(row, now), reply[2:]), reply[0].decode()

    return call(
        script("list"), (keys.counter, keys.post, keys.job, keys.skipped_ids), (below, limit, state or ""), parse
    )


def _listed(row: list[Any], now: float) -> Listed:
    lane, posted = head_of(row[1])
    started, finished, state = or_none(number, row[8]), or_none(number, row[9]), shown(row[2])
    ended = now if state == State.RUNNING else finished
    took = None if started is None or ended is None else max(0.0, ended - started)
    why = text(row[10])
    is_told = state == State.FAILED or (state == State.CANCELLED and why in ("expired", "purged"))
    reason = why if is_told else None  # a retried job keeps the reason of its last error
    progress = or_none(lambda raw: progress_of(state, raw), row[11]) if row[11] else None
    return Listed(shown(row[0]), state, lane, posted, _count(row[3]), _count(row[4]), _count(row[5]) + _count(row[6]),
                  text(row[7]), started, finished, took, max(0.0, now - posted), reason, progress)  # fmt: skip


def dead_ids(keys: Keys) -> Op[list[bytes]]:
    """The ids of all dead letters, oldest first, as raw bytes, so that even malformed ones can be discarded."""
    return Op(("ZRANGE", keys.dead, 0, -1), list)


class DeadLetter(NamedTuple):
    """A job that ended in failure and waits for a person."""

    id: str
    died: float  # seconds since 1970
    reason: str  # "error", "timeout", "lost" or "oom"
    error_type: str  # "builtins.ValueError"
    error: str  # its message
    attempts: int  # how often it ran
    errors: int  # attempts that raised or timed out, and after which the job was retried
    losses: int  # attempts that were lost with their worker or child
    lane: str  # queue and functions


def dead(keys: Keys, first: int, last: int) -> Op[list[DeadLetter]]:
    """Dead letters `first` to `last` (inclusive, from 0; -1 is the last), oldest first."""

    def make(row: list[Any]) -> DeadLetter:
        return DeadLetter(shown(row[0]), or_none(number, row[1]) or 0.0, text(row[2]) or "", text(row[3]) or "",
                          text(row[4]) or "", _count(row[5]), _count(row[6]), _count(row[7]) + _count(row[8]),
                          head_of(row[9])[0])  # fmt: skip

    def parse(reply: list[Any]) -> list[DeadLetter]:
        return _page(10, make, reply)

    return call(script("dead"), (keys.dead, keys.job, keys.post), (first, last), parse)
