"""Ops on jobs for clients: post (see `posting.py`), read, wait, cancel, requeue, delete, list."""

from collections.abc import Callable
from typing import Any, NamedTuple

from mlq.core.identity import bind, stamp_of
from mlq.core.job import describe, fields_of, head_of, number, or_none, stamp_in, text
from mlq.core.keys import Keys
from mlq.core.states import State
from mlq.errors import Undecodable, WaitCircle, WrongState
from mlq.ops import Op, call
from mlq.ops.posting import post, post_once  # noqa: F401 - re-exported: these are ops on jobs, too
from mlq.ops.scripts import script
from mlq.ops.stamps import check_exists, check_stamp, unknown

LANES = 500  # lanes that one call looks at: 1 ms of the server's time


def lapse_keys(keys: Keys) -> tuple[str, ...]:
    """KEYS of the scripts that include shared/lapse.lua."""
    return (
        keys.leases, keys.job, keys.post, keys.lane, keys.lanes, keys.serves,
        keys.class_, keys.dead, keys.waiters, keys.inbox, keys.deliveries, keys.delivery, keys.scheduled, keys.stream,
    )  # fmt: skip


def _shown(value: str | bytes) -> str:
    """An id as a string, even if Redis holds bytes that are not one."""
    return value if isinstance(value, str) else value.decode("utf-8", "replace")


def read(keys: Keys, job_id: str) -> Op[dict[str, Any]]:
    """Everything about a job, as `describe` returns it."""

    def parse(reply: list[Any]) -> dict[str, Any]:
        if reply[0] is None:
            raise unknown(keys, job_id)
        check_stamp(keys, job_id, stamp_in(reply[0]))
        return describe(str(job_id), reply[0], fields_of(reply[1]))

    return call(script("read"), (keys.post + job_id, keys.job + job_id), (), parse, f"job {job_id}")


def info(keys: Keys, job_id: str) -> Op[dict[str, Any]]:
    """As `read`, without message and result."""

    def parse(reply: list[Any]) -> dict[str, Any]:
        if not reply[0]:
            raise unknown(keys, job_id)
        check_stamp(keys, job_id, stamp_in(reply[0]))
        found = describe(str(job_id), reply[0], fields_of(reply[1]))
        return {name: value for name, value in found.items() if name not in ("msg", "result", "short_result")}

    return call(script("info"), (keys.post + job_id, keys.job + job_id), (), parse, f"job {job_id}")


def kept(keys: Keys, job_id: str, name: str) -> Op[tuple[float | None, bytes | None]]:
    """When a job finished, and one of its fields as it is kept: a result without what is large beside it."""
    asked = ("HMGET", keys.job + job_id, "finished", name)
    return Op(asked, lambda reply: (number(reply[0]), reply[1]), about=f"job {job_id}")


def rest(keys: Keys, job_id: str, fields: dict[str, bytes]) -> Op[dict[str, bytes] | None] | None:
    """The op that completes the fields of a finished job, if they lack a large result.

    Its result is None if the job has changed since: it was requeued, or is gone.
    """
    if "elsewhere" not in fields:
        return None
    have = {name: value for name, value in fields.items() if name != "elsewhere"}

    def parse(reply: list[bytes | None]) -> dict[str, bytes] | None:
        finished, result = reply
        return None if result is None or finished != have.get("finished") else have | {"result": result}

    return Op(("HMGET", keys.job + job_id, "finished", "result"), parse, about=f"job {job_id}")


def glance(keys: Keys, job_id: str) -> Op[tuple[State, bytes | None]]:
    """A job's state and packed progress, without its payloads."""

    def parse(reply: list[bytes]) -> tuple[State, bytes | None]:
        check_exists(keys, job_id, reply[0])
        bind(job_id, reply[1].decode("utf-8", "replace"))
        return State(reply[2].decode()), reply[3]

    names = (keys.post + job_id, keys.job + job_id)
    return call(script("glance"), names, (stamp_of(job_id),), parse, f"job {job_id}")


def outcome(keys: Keys, job_id: str) -> Op[dict[str, bytes] | None]:
    """The fields of a finished job; None if it has not ended."""
    return wait(keys, job_id, "", 0)


def wait(
    keys: Keys, job_id: str, inbox: str, seconds: int, waiting: str = "", *, alone: bool = False, whole: bool = True
) -> Op[dict[str, bytes] | None]:
    """The fields of a finished job; else None, and `inbox` is notified when it ends.

    `seconds`: until the caller asks again. `waiting`: the job that waits, or its lease, if the caller is a listener.
    `alone`: the inbox is used for this call and no other. `whole`: all fields are wanted, not just the state.
    """

    def parse(reply: list[bytes]) -> dict[str, bytes] | None:
        word = reply[0]
        check_exists(keys, job_id, word)
        if word == b"circle":
            raise WaitCircle(f"job {waiting.partition(':')[0]} can't wait for job {job_id}, which waits for it")
        bind(job_id, reply[1].decode("utf-8", "replace"))
        return fields_of(reply[2:]) if word == b"ended" else None

    names = (keys.job + job_id, keys.post + job_id, keys.waiters + job_id, keys.inbox + inbox, keys.job)
    args = (str(job_id), inbox, seconds, waiting, int(alone), stamp_of(job_id), int(whole))
    return call(script("wait"), names, args, parse, f"job {job_id}")


def _change(verb: str, keys: Keys, args: tuple[str | bytes, ...], hint: str, *more: str) -> Op[None]:
    """An op that a person requests on one job, the first of `args`; `more`: keys besides those of shared/lapse.lua."""
    name, job_id = "delete" if verb == "discard" else verb, _shown(args[0])

    def parse(reply: list[bytes]) -> None:
        check_exists(keys, job_id, reply[0])
        if reply[0] == b"damaged":
            raise Undecodable(f"can't {verb} job {job_id}: its message is missing or damaged; delete or discard it")
        if reply[0] == b"state":
            raise WrongState(f"can't {verb} job {job_id}: it is {reply[1].decode()}; {hint}")

    sent = (args[0] if isinstance(args[0], bytes) else str(job_id), *args[1:], stamp_of(job_id))
    return call(script(name), (*lapse_keys(keys), *more), sent, parse)


def cancel(keys: Keys, job_id: str) -> Op[None]:
    """Take a job out of its lane, or from the worker that runs it."""
    return _change("cancel", keys, (job_id,), "only a job that has not ended can be cancelled", keys.metrics)


def requeue(keys: Keys, job_id: str | bytes) -> Op[None]:
    """Put a dead letter or a cancelled job back into its lane."""
    return _change("requeue", keys, (job_id,), "only a failed or cancelled job can be requeued")


def try_change(op: Op[None]) -> Op[bool]:
    """`op`, except that it returns False instead of raising if the job is gone or in another state by now."""

    def parse(reply: list[bytes]) -> bool:
        return reply[0] == b"ok"

    return Op(op.command, parse, op.script, op.about)


def delete(keys: Keys, job_id: str) -> Op[None]:
    """Remove everything stored about a job that does not run."""
    return _change("delete", keys, (job_id, ""), "a running job can't be deleted")


def discard(keys: Keys, job_id: str | bytes) -> Op[None]:
    """Remove everything stored about a dead letter, even one that can't be decoded."""
    return _change("discard", keys, (job_id, State.FAILED), "only a failed job can be discarded")


class Place(NamedTuple):
    """Where a job waits."""

    ahead: int | None  # jobs ahead of it in its lane; None if it does not wait there
    lane: str


def place(keys: Keys, job_id: str) -> Op[Place]:
    """Where a job stands in its lane."""

    def parse(reply: list[Any]) -> Place:
        check_exists(keys, job_id, reply[0])
        return Place(reply[1], reply[2].decode())

    return call(script("place"), (keys.post, keys.job, keys.lane), (str(job_id), stamp_of(job_id)), parse)


class Counts(NamedTuple):
    """How many jobs there are in each state."""

    running: int
    dead: int  # dead letters
    scheduled: int  # waiting for the time of their retry
    lanes: dict[str, int]  # waiting for a worker, by lane
    cursor: str = "0"  # from which to go on counting lanes; "0" when all are counted

    @property
    def waiting(self) -> int:
        """Jobs that wait for a worker, in all lanes."""
        return sum(self.lanes.values())


def counts(keys: Keys, begun: Counts | None = None) -> Op[Counts]:
    """Count the jobs in each state. Repeat with the result as `begun` until its cursor is "0"."""

    def parse(reply: list[Any]) -> Counts:
        cursor, running, dead, scheduled, *rows = reply
        lanes = begun.lanes if begun else {}  # not a copy: copying 100,000 lanes in 200 calls takes a second
        lanes.update((rows[i].decode("utf-8", "replace"), rows[i + 1]) for i in range(0, len(rows), 2))
        return Counts(running, dead, scheduled, lanes, cursor.decode())

    names = (keys.lanes, keys.lane, keys.leases, keys.dead, keys.scheduled)
    return call(script("counts"), names, (begun.cursor if begun else "0", LANES), parse)


def last_id(keys: Keys) -> Op[int]:
    """The last id that was assigned; 0 before the first."""
    return Op(("GET", keys.counter), lambda reply: or_none(int, reply or b"0") or 0)


class Listed(NamedTuple):
    """One line of a list of jobs."""

    id: str
    state: str  # as `State`
    lane: str  # queue and functions: "default", "default:train"
    posted: float  # seconds since 1970
    attempts: int  # so far
    worker: str | None  # of the last attempt
    started: float | None  # the last attempt
    finished: float | None  # the job


def _page(width: int, make: Callable[[list[Any]], Any], reply: list[Any]) -> list[Any]:
    return [make(reply[i : i + width]) for i in range(0, len(reply), width)]


def listing(keys: Keys, below: str = "", limit: int = 50, state: State | None = None) -> Op[tuple[list[Listed], str]]:
    """A page of jobs, newest first, and `below` for the next page ("0" at the end). Pages may be short if few match."""

    def make(row: list[Any]) -> Listed:
        lane, posted = head_of(row[1])
        return Listed(_shown(row[0]), _shown(row[2]), lane, posted, or_none(int, row[3] or 0) or 0, text(row[4]),
                      or_none(number, row[5]), or_none(number, row[6]))  # fmt: skip

    def parse(reply: list[Any]) -> tuple[list[Listed], str]:
        return _page(7, make, reply[1:]), reply[0].decode()

    return call(script("list"), (keys.counter, keys.post, keys.job, keys.leaps), (below, limit, state or ""), parse)


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


def dead(keys: Keys, first: int, last: int) -> Op[list[DeadLetter]]:
    """Dead letters `first` to `last` (inclusive, from 0; -1 is the last), oldest first."""

    def make(row: list[Any]) -> DeadLetter:
        return DeadLetter(_shown(row[0]), or_none(number, row[1]) or 0.0, text(row[2]) or "", text(row[3]) or "",
                          text(row[4]) or "", or_none(int, row[5] or 0) or 0)  # fmt: skip

    def parse(reply: list[Any]) -> list[DeadLetter]:
        return _page(6, make, reply)

    return call(script("dead"), (keys.dead, keys.job), (first, last), parse)
