r"""What clients, Redis and workers exchange about a job: immutable values, and their encodings.

The record of a job (`post:<id>`) is written once and never changed:

    <lane> \n <posted at, seconds> \n <length of options> \n <options, MessagePack map> <message, MessagePack>

The head is text so that a script can read the lane from the first bytes, however large the message is. The script
`post.lua` writes the first two lines, with Redis' time; the client writes the rest. The message stays packed until a
listener or a reader needs it.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeVar

from mlq.core import codec
from mlq.core.checks import shown_url
from mlq.core.identity import JobId
from mlq.core.job_options import JobOptions
from mlq.core.progress import Progress, progress_of
from mlq.core.states import FINISHED, State
from mlq.core.stored_options import read_options
from mlq.errors import Undecodable

T = TypeVar("T")


APART = 1e11  # jobs that wait to run apart are scheduled at later times than this, so at none that comes
LARGE = 64 * 1024  # bytes; scripts do not handle larger messages and results: a MB takes Redis 7 1 ms in Lua


class Record(NamedTuple):
    """What was posted."""

    lane: str
    posted: float  # seconds since the epoch, by Redis' clock
    options: JobOptions
    message: bytes  # packed

    @property
    def begin(self) -> float:
        """When it got this message, and its times began: its post, unless a later post replaced the message."""
        return max(self.posted, self.options.since or 0.0)

    @property
    def due(self) -> float:
        """From when on it may begin, if it comes after no others."""
        return max(self.begin, self.options.at or 0.0) + (self.options.delay or 0.0)

    @property
    def last(self) -> float | None:
        """When it is cancelled if no worker has begun it; None for never."""
        return None if self.options.expires is None else self.begin + self.options.expires

    @classmethod
    def parse(cls, record: bytes) -> "Record":
        """Raises Undecodable if `record` is not what the client and `post.lua` write."""
        try:
            lane, posted, size, rest = record.split(b"\n", 3)
            cut = int(size)
            name = lane.decode()
            return cls(name, number(posted) or 0.0, read_options(name, rest[:cut]), rest[cut:])
        except (ValueError, AttributeError) as error:
            raise Undecodable(f"not a job's record: {record[:60]!r} ({error})") from None


def head_of(record: bytes) -> tuple[str, float]:
    """Lane and posting time from a record's first bytes; empty and 0 if they are not what `post.lua` writes."""
    lane, _, rest = record.partition(b"\n")
    try:
        return lane.decode(), number(rest.partition(b"\n")[0]) or 0.0
    except ValueError:
        return "", 0.0


def stamp_in(record: bytes) -> str:
    """The stamp in a record's head: when the job was posted, to the microsecond. Empty if there is none."""
    return record[:1100].partition(b"\n")[2].partition(b"\n")[0].decode("utf-8", "replace")


class Claimed(NamedTuple):
    """An attempt whose lease this worker holds; `token` proves it."""

    id: str
    attempt: int  # 1 for the first run
    token: str
    worker: str
    started: float  # seconds since the epoch, by Redis' clock
    record: bytes
    errors: int = 0  # attempts before this one that ended in an error or a timeout
    together: int = 0  # attempts before this one that were lost together with others; known only in a batch
    batch: int = 0  # the number of its batch among those of the claim; 0 if it runs by itself

    @property
    def lease(self) -> str:
        """The member of `leases` that stands for this attempt."""
        return f"{self.id}:{self.token}"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What an attempt ended in: a value or an error, as the fields to store on the job."""

    state: State
    fields: dict[str, bytes | str] = field(default_factory=dict)
    said: str | None = None  # the short result as it goes into the callback's URL; None if it does not fit
    hint: str = ""  # one line for the log
    again: bool = False  # a failure after which the job may be retried, if its policy says so

    @property
    def size(self) -> int:
        """Roughly how many bytes it takes to settle this, to bound a batch."""
        return 200 + sum(len(value) for value in self.fields.values())


def text(value: bytes | None) -> str | None:
    """A stored string; bytes that are not UTF-8 are replaced."""
    return None if value is None else value.decode("utf-8", "replace")


def number(value: bytes | str | None) -> float | None:
    """A stored time. Raises ValueError if it is not a finite number."""
    if value is None:
        return None
    found = float(value)
    if not math.isfinite(found):
        raise ValueError(f"not a time: {value!r:.40}")
    return found


def or_none(read: Callable[[Any], T | None], value: Any) -> T | None:
    """`read(value)`, or None if that raises ValueError: one damaged row must not make a whole list fail."""
    try:
        return read(value)
    except ValueError:
        return None


def fields_of(flat: list[bytes]) -> dict[str, bytes]:
    """HGETALL's flat reply as a mapping."""
    return {flat[i].decode("utf-8", "replace"): flat[i + 1] for i in range(0, len(flat), 2)}


def _decoded(packed: bytes | None) -> Any:
    return None if packed is None else codec.unpack(packed)


_TEXTS = ("error", "error_type", "traceback", "reason", "callback_outcome")


def describe(job_id: str, record: bytes, now: dict[str, bytes], due: float | None = None) -> dict[str, Any]:
    """The mapping that `get_job` returns: what was posted, and what became of it.

    `posted`, `started` and `finished` are seconds since the epoch; the first MLQ's names for them are here, too. `due`:
    when a scheduled job is to run; None also for one that waits to run apart. `errors` counts attempts that raised or
    timed out, and after which the job was retried; `losses` those lost with their worker or child. `callback_outcome`
    is "sent", or why the last try failed. Of `attempts` and `deliveries`, only the last 20 are kept.
    """
    posted = Record.parse(record)
    state = State(text(now.get("state")) or State.QUEUED)
    options = posted.options
    started, finished = number(now.get("started")), number(now.get("finished"))
    return {
        "id": job_id,
        "timestamp": posted.posted,
        "worker": text(now.get("worker")),
        "processing_started": started,
        "processing_finished": finished,
        "progress": Progress.counted(now) if state == State.BLOCKED else progress_of(state, now.get("progress")),
        "short_result": _decoded(now.get("short", now.get("result"))),  # "short" if the listener returned both
        "result": text(now.get("error")) if state == State.FAILED else _decoded(now.get("result")),
        "callback": shown_url(options.callback),
        "retries": max(0, int(now.get("attempts", b"0")) - 1),
        "functions": options.functions and list(options.functions),
        "msg": codec.unpack(posted.message),
        "state": str(state),
        "queue": options.queue,
        "posted": posted.posted,
        "started": started,
        "finished": finished,
        **_times(posted, state, now, due),
        **{name: text(now.get(name)) for name in _TEXTS},
        "timeout": options.timeout,
        "attempts": attempts_of(now),
        "errors": int(now.get("errors", b"0")),
        "losses": int(now.get("losses", b"0")) + int(now.get("shared", b"0")),
        "webhook": shown_url(options.webhook),
        "deliveries": deliveries_of(now),
        **_place_in_pipeline(options, now),
    }


def _times(posted: Record, state: State, now: dict[str, bytes], due: float | None) -> dict[str, Any]:
    """When the job is to run, if it waits for a time; when it expires; its priority, key, share and schedule."""
    if state == State.BLOCKED:
        due = posted.due if posted.due > posted.begin else None
    expires = not (is_finished(state) or "lasts" in now or int(now.get("attempts", b"0")))
    return {
        "due": due if due is not None and due < APART else None,
        "expires": posted.last if expires else None,
        "priority": posted.options.priority or 0,
        "key": posted.options.key,
        "share": posted.options.share,
        "schedule": posted.options.tick and posted.options.tick.schedule,
        "tick": posted.options.tick and posted.options.tick.at,
    }


def _place_in_pipeline(options: JobOptions, now: dict[str, bytes]) -> dict[str, Any]:
    """What the job waits for and belongs to; None for what does not apply."""
    return {
        "after": options.after and [str(one) for one in options.after],
        "on_failure": options.on_failure or ("fail" if options.after else None),
        "then": options.then and list(options.then),
        "root": options.part and options.part.root,
        "becomes": text(now.get("tail")),
        "gave": text(now.get("gave")),
        "cause": text(now.get("cause")),
        "steps": int(now["steps"]) if "steps" in now else None,
    }


_ATTEMPT_FIELDS = ("worker", "started", "finished", "reason", "error_type", "error", "traceback")


def attempts_of(now: dict[str, bytes]) -> list[dict[str, Any]]:
    """Every attempt on record: its number, worker and times, and if it went wrong its reason, error and traceback."""
    past = sorted((int(name[5:]), value) for name, value in now.items() if name.startswith("past:"))
    runs = [{"attempt": number, **_past(packed)} for number, packed in past]
    if "started" in now:
        current: dict[str, Any] = {name: text(now.get(name)) for name in _ATTEMPT_FIELDS}
        current |= {"started": number(now.get("started")), "finished": number(now.get("finished"))}
        if text(now.get("state")) not in (State.FAILED, State.CANCELLED):
            current["reason"] = None  # what is stored is that of the previous attempt
        runs.append({"attempt": int(now.get("attempts", b"0"))} | current)
    return runs


def _past(packed: bytes) -> dict[str, Any]:
    """One attempt as `lua/shared/history.lua` stores it."""
    kept = [value.decode("utf-8", "replace") for value in codec.unpack_raw(packed)]
    attempt: dict[str, Any] = dict(zip(_ATTEMPT_FIELDS, (value or None for value in kept), strict=True))
    for name in ("started", "finished"):
        attempt[name] = number(attempt[name])
    return attempt


def deliveries_of(now: dict[str, bytes]) -> list[dict[str, Any]]:
    """The tries to send the callback and the webhook: kind, number of the try, time, and how it went.

    `error` is None if the receiver accepted it, `status` is None if there was no response, and `next` (the time of the
    next try) is None if there is none.
    """
    kept = codec.unpack_raw(now["deliveries"]) if "deliveries" in now else []
    tries = []
    for row in kept:
        kind, attempt, at, status, note, due = (value.decode("utf-8", "replace") for value in row)
        tries.append({
            "kind": kind, "try": int(attempt), "at": number(at), "status": int(status) if status else None,
            "error": None if note == "sent" else note, "next": number(due) if due else None,
        })  # fmt: skip
    return tries


ANY_JOB = "*"  # the last message to an inbox that is too full: any job may have changed, so ask about all of them


def announced(item: bytes) -> tuple[JobId, dict[str, bytes] | None]:
    """Parse an inbox message: the id of a job with its stamp, and how the job ended, if the message includes it."""
    job_id, _, packed = item.partition(b" ")
    try:
        fields = fields_of(codec.unpack_raw(packed)) if packed else None
    except (ValueError, TypeError, AttributeError, LookupError):  # not from our scripts: the waiter asks the server
        fields = None
    stamp = fields.pop("posted", b"") if fields else b""
    return JobId(job_id.decode("utf-8", "replace"), stamp.decode("utf-8", "replace")), fields


def is_finished(state: str) -> bool:
    """Whether a job in `state` has ended: it changes no more unless somebody requeues or deletes it."""
    return state in FINISHED
