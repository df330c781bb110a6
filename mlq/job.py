r"""What travels between client, Redis and worker, as frozen values and the bytes they become.

The record of a job (`post:<id>`) is written once and never changed:

    <lane> \n <posted at, seconds> \n <length of options> \n <options, MessagePack map> <message, MessagePack>

The head is text so that a script reads the lane from the first bytes, whatever the message's size. The client makes all
but the first two lines (Redis knows the time). The message stays packed until a listener or a reader asks for it.
"""

from dataclasses import dataclass, field
from typing import Any, NamedTuple

from mlq import codec
from mlq.errors import InputError, Undecodable
from mlq.options import check_callback, check_functions, check_seconds
from mlq.states import FINISHED, State


def pack_body(message: bytes, options: dict[str, Any]) -> bytes:
    """The client's part of a record."""
    packed = codec.pack(options) if options else b""
    return b"%d\n%b%b" % (len(packed), packed, message)


def _checked(options: Any) -> dict[str, Any]:
    """Options as the client writes them; whoever writes to Redis by hand may have put anything there."""
    try:
        check_functions(options.get("functions"))
        check_callback(options.get("callback"))
        check_seconds("ttl", options.get("ttl"))
    except InputError as error:
        raise ValueError(str(error)) from None
    return options  # type: ignore[no-any-return]


class Record(NamedTuple):
    """What was posted."""

    lane: str
    posted: float  # seconds since the epoch, by Redis' clock
    options: dict[str, Any]
    message: bytes  # packed

    @classmethod
    def parse(cls, record: bytes) -> "Record":
        """Raises Undecodable where `record` is not what the client and `post.lua` write."""
        try:
            lane, posted, size, rest = record.split(b"\n", 3)
            cut = int(size)
            options = _checked(codec.unpack(rest[:cut])) if cut else {}
            return cls(lane.decode(), float(posted), options, rest[cut:])
        except (ValueError, AttributeError) as error:
            raise Undecodable(f"not a job's record: {record[:60]!r} ({error})") from None


def head_of(record: bytes) -> tuple[str, float]:
    """Lane and time of posting from a record's first bytes; blank and 0 where they are not what `post.lua` writes."""
    lane, _, rest = record.partition(b"\n")
    try:
        return lane.decode(), float(rest.partition(b"\n")[0])
    except ValueError:
        return "", 0.0


class Claimed(NamedTuple):
    """An attempt that this worker holds; `token` is what proves it."""

    id: str
    attempt: int  # 1 for the first run
    token: str
    worker: str
    started: float  # seconds since the epoch, by Redis' clock
    record: bytes

    @property
    def lease(self) -> str:
        """The member of `leases` that stands for this attempt."""
        return f"{self.id}:{self.token}"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What an attempt ended in: a value or an error, as the fields to store on the job."""

    state: State
    fields: dict[str, bytes | str] = field(default_factory=dict)
    said: str | None = None  # the short result as a callback says it; None where it does not fit
    hint: str = ""  # one line for the log

    @property
    def size(self) -> int:
        """Bytes that settling it sends, near enough to bound a batch."""
        return 200 + sum(len(value) for value in self.fields.values())


def text(value: bytes | None) -> str | None:
    """A stored text."""
    return None if value is None else value.decode("utf-8", "replace")


def number(value: bytes | None) -> float | None:
    """A stored time."""
    return None if value is None else float(value)


def fields_of(flat: list[bytes]) -> dict[str, bytes]:
    """HGETALL's flat reply as a mapping."""
    return {flat[i].decode(): flat[i + 1] for i in range(0, len(flat), 2)}


def progress_of(state: str, raw: bytes | None) -> Any:
    """None while the job waits, 100 when it succeeded, -1 when it failed, else what was last reported."""
    fixed = {State.QUEUED: None, State.SUCCEEDED: 100, State.FAILED: -1, State.CANCELLED: None}
    return fixed[State(state)] if state in fixed else codec.unpack(raw) if raw else 0


def progress_words(state: str, raw: bytes | None) -> str:
    """The progress as `get_progress` words it."""
    words = {State.QUEUED: "[queued; not started]", State.SUCCEEDED: "[completed]", State.FAILED: "[failed]",
             State.CANCELLED: "[cancelled]"}  # fmt: skip
    if state in words:
        return words[State(state)]
    value = codec.unpack(raw) if raw else 0
    return "[started]" if type(value) is int and value == 0 else str(value)


def _decoded(packed: bytes | None) -> Any:
    return None if packed is None else codec.unpack(packed)


def describe(job_id: str, record: bytes, now: dict[str, bytes]) -> dict[str, Any]:
    """The mapping that `get_job` gives: what was posted and what became of it.

    Beside the twelve keys of the first MLQ: state, queue, error, error_type, traceback, reason and callback_outcome
    ("sent", or why the last try failed).
    """
    posted = Record.parse(record)
    state = text(now.get("state")) or State.QUEUED
    failed = state == State.FAILED
    return {
        "id": job_id,
        "timestamp": posted.posted,
        "worker": text(now.get("worker")),
        "processing_started": number(now.get("started")),
        "processing_finished": number(now.get("finished")),
        "progress": progress_of(state, now.get("progress")),
        "short_result": _decoded(
            now.get("short", now.get("result"))
        ),  # kept apart only where a listener told them apart
        "result": text(now.get("error")) if failed else _decoded(now.get("result")),
        "callback": posted.options.get("callback"),
        "retries": max(0, int(now.get("attempts", b"0")) - 1),
        "functions": posted.options.get("functions"),
        "msg": codec.unpack(posted.message),
        "state": str(state),
        "queue": posted.lane.partition(":")[0],
        "error": text(now.get("error")),
        "error_type": text(now.get("error_type")),
        "traceback": text(now.get("traceback")),
        "reason": text(now.get("reason")),
        "callback_outcome": text(now.get("callback_outcome")),
    }


def is_finished(state: str) -> bool:
    """Whether nothing more happens to a job in `state` by itself."""
    return state in FINISHED
