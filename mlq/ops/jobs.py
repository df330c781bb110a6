"""Ops on jobs for clients: post (see `posting.py`), read, wait, cancel, requeue, delete, list."""

from typing import Any, NamedTuple

from mlq.core.checks import group_of
from mlq.core.identity import bind, stamp_of
from mlq.core.job import describe, fields_of, number, or_none, stamp_in
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
        keys.blocked, keys.chores, keys.metrics, keys.expiring, keys.workers, keys.gates,
    )  # fmt: skip


def shown(value: str | bytes) -> str:
    """An id as a string, even if Redis holds bytes that are not one."""
    return value if isinstance(value, str) else value.decode("utf-8", "replace")


def read(keys: Keys, job_id: str) -> Op[dict[str, Any]]:
    """Everything about a job, as `describe` returns it."""

    def parse(reply: list[Any]) -> dict[str, Any]:
        if reply[0] is None:
            raise unknown(keys, job_id)
        check_stamp(keys, job_id, stamp_in(reply[0]))
        return describe(str(job_id), reply[0], fields_of(reply[1]), number(reply[2]))

    names = (keys.post + job_id, keys.job + job_id, keys.scheduled)
    return call(script("read"), names, (str(job_id),), parse, f"job {job_id}")


def info(keys: Keys, job_id: str) -> Op[dict[str, Any]]:
    """As `read`, without message and result."""

    def parse(reply: list[Any]) -> dict[str, Any]:
        if not reply[0]:
            raise unknown(keys, job_id)
        check_stamp(keys, job_id, stamp_in(reply[0]))
        found = describe(str(job_id), reply[0], fields_of(reply[1]), number(reply[2]))
        return {name: value for name, value in found.items() if name not in ("msg", "result", "short_result")}

    names = (keys.post + job_id, keys.job + job_id, keys.scheduled)
    return call(script("info"), names, (str(job_id),), parse, f"job {job_id}")


def field_size(keys: Keys, job_id: str, name: str) -> Op[int]:
    """Bytes of a field of a job as it is stored; 0 if it is missing."""
    return Op(("HSTRLEN", keys.job + job_id, name), int, about=f"job {job_id}")


def stored_field(keys: Keys, job_id: str, name: str) -> Op[tuple[float | None, bytes | None]]:
    """When a job finished, and one of its fields as it is kept: a result without what is large beside it."""
    asked = ("HMGET", keys.job + job_id, "finished", name)
    return Op(asked, lambda reply: (number(reply[0]), reply[1]), about=f"job {job_id}")


def large_result(keys: Keys, job_id: str, fields: dict[str, bytes]) -> Op[dict[str, bytes] | None] | None:
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

    names = (keys.post, keys.job, keys.waiters + job_id, keys.inbox + inbox)
    args = (str(job_id), inbox, seconds, waiting, int(alone), stamp_of(job_id), int(whole))
    return call(script("wait"), names, args, parse, f"job {job_id}")


def _change(verb: str, keys: Keys, args: tuple[str | bytes, ...], hint: str) -> Op[int]:
    """An op that a person requests on one job, the first of `args`; how many chores are left after it."""
    name, job_id = "delete" if verb == "discard" else verb, shown(args[0])

    def parse(reply: list[Any]) -> int:
        check_exists(keys, job_id, reply[0])
        if reply[0] == b"damaged":
            raise Undecodable(f"can't {verb} job {job_id}: its message is missing or damaged; delete or discard it")
        if reply[0] == b"state":
            raise WrongState(f"can't {verb} job {job_id}: it is {reply[1].decode()}; {hint}")
        if reply[0] == b"needed":
            raise WrongState(
                f"can't {verb} job {job_id}: jobs come after it that have not succeeded; delete those first"
            )
        if reply[0] == b"step":
            raise WrongState(f"can't {verb} job {job_id}: it is a step of job {reply[1].decode()}; {verb} that one")
        return reply[1] if len(reply) > 1 else 0

    sent = (args[0] if isinstance(args[0], bytes) else str(job_id), *args[1:], stamp_of(job_id))
    return call(script(name), lapse_keys(keys), sent, parse)


def chores(keys: Keys) -> Op[int]:
    """Go on with what earlier ops left to do for the jobs around those that ended; how many chores are left."""
    return call(script("chores"), lapse_keys(keys), (), int)


def cancel(keys: Keys, job_id: str) -> Op[int]:
    """Take a job out of its lane, or from the worker that runs it."""
    return _change("cancel", keys, (job_id,), "only a job that has not ended can be cancelled")


def requeue(keys: Keys, job_id: str | bytes) -> Op[int]:
    """Put a dead letter or a cancelled job back into its lane."""
    return _change("requeue", keys, (job_id,), "only a failed or cancelled job can be requeued")


def try_change(op: Op[int]) -> Op[bool]:
    """`op`, except that it returns False instead of raising if the job is gone or in another state by now."""

    def parse(reply: list[bytes]) -> bool:
        return reply[0] == b"ok"

    return Op(op.command, parse, op.script, op.about)


def delete(keys: Keys, job_id: str) -> Op[int]:
    """Remove everything stored about a job that does not run."""
    return _change("delete", keys, (job_id, ""), "a running job can't be deleted")


def purge(keys: Keys, job_id: str, state: str) -> Op[bool]:
    """Remove everything stored about a job, if it is in that state; whether it was."""
    return try_change(_change("delete", keys, (job_id, state), ""))


def discard(keys: Keys, job_id: str | bytes) -> Op[int]:
    """Remove everything stored about a dead letter, even one that can't be decoded."""
    return _change("discard", keys, (job_id, State.FAILED), "only a failed job can be discarded")


class Blocker(NamedTuple):
    """What a blocked job waits for: the first job that waits for no other itself, if that was found."""

    id: str
    state: str
    lane: str
    needs: int  # jobs that it waits for, if it is blocked itself


class Place(NamedTuple):
    """Where a job waits."""

    ahead: int | None  # jobs ahead of it in its lane; None if it does not wait there; with a share, about so many
    lane: str
    blocker: Blocker | None = None  # of a blocked job
    seconds: float | None = None  # that those ahead take in one slot, if the job has a share and that is known


def place(keys: Keys, job_id: str) -> Op[Place]:
    """Where a job stands in its lane, or for which one it waits."""

    def parse(reply: list[Any]) -> Place:
        check_exists(keys, job_id, reply[0])
        _, ahead, lane, *other = reply
        if len(other) == 1:
            return Place(ahead, lane.decode(), seconds=or_none(float, other[0]))
        blocker = Blocker(shown(other[0]), shown(other[1]), shown(other[2]), other[3]) if other else None
        return Place(ahead, lane.decode(), blocker)

    return call(script("place"), (keys.post, keys.job, keys.lane), (str(job_id), stamp_of(job_id)), parse)


class Counts(NamedTuple):
    """How many jobs there are in each state."""

    running: int
    dead: int  # dead letters
    scheduled: int  # waiting for their time, or that of their retry
    lanes: dict[str, int]  # waiting for a worker, by lane
    cursor: str = "0"  # from which to go on counting lanes; "0" when all are counted
    blocked: int = 0  # waiting for other jobs

    @property
    def waiting(self) -> int:
        """Jobs that wait for a worker, in all lanes."""
        return sum(self.lanes.values())


def counts(keys: Keys, begun: Counts | None = None) -> Op[Counts]:
    """Count the jobs in each state. Repeat with the result as `begun` until its cursor is "0"."""

    def parse(reply: list[Any]) -> Counts:
        cursor, running, dead, scheduled, blocked, *rows = reply
        lanes = begun.lanes if begun else {}  # not a copy: copying 100,000 lanes in 200 calls takes a second
        lanes.update((rows[i].decode("utf-8", "replace"), rows[i + 1]) for i in range(0, len(rows), 2))
        if cursor == b"0":
            lanes = _without_shares(lanes)
        return Counts(running, dead, scheduled, lanes, cursor.decode(), blocked)

    names = (keys.lanes, keys.lane, keys.leases, keys.dead, keys.scheduled, keys.blocked)
    return call(script("counts"), names, (begun.cursor if begun else "0", LANES), parse)


def _without_shares(lanes: dict[str, int]) -> dict[str, int]:
    """The jobs of all shares of a lane together."""
    found: dict[str, int] = {}
    for lane, waiting in lanes.items():
        found[group_of(lane)] = found.get(group_of(lane), 0) + waiting
    return found


def last_id(keys: Keys) -> Op[int]:
    """The last id that was assigned; 0 before the first."""
    return Op(("GET", keys.counter), lambda reply: or_none(int, reply or b"0") or 0)
