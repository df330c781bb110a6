"""Ops of workers: register their class, claim, renew, hand back, report progress, reap."""

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import msgpack  # type: ignore[import-untyped]

from mlq.core.job import Claimed
from mlq.core.keys import Keys
from mlq.core.part import Part
from mlq.ops import Op, call, nothing
from mlq.ops.jobs import LANES, lapse_keys
from mlq.ops.scripts import script


class WorkerClass(NamedTuple):
    """What a worker serves. Workers that serve the same queues and functions are one class."""

    name: str
    serves: tuple[str, ...]  # as in the keys serves:<what>

    @classmethod
    def of(
        cls, plain: Iterable[str], queues: Iterable[str], functions: Iterable[str], own: Iterable[str] = ()
    ) -> "WorkerClass":
        """The class that serves jobs of `plain` queues without functions, and of `queues` with any of `functions`.

        `own`: lanes of MLQ's own queues.
        """
        serves = sorted({*plain, *(f"{queue}:" for queue in queues), *(f":{name}" for name in functions), *own})
        return cls(hashlib.sha256("\n".join(serves).encode()).hexdigest()[:16], tuple(serves))


def register(keys: Keys, served: WorkerClass, seconds: float) -> Op[bool]:
    """Take one step of registering a class for `seconds`. The result says whether it was the last step."""
    names = (keys.lanes, keys.lane, keys.serves, keys.class_, keys.classes, keys.gates)
    return call(script("register"), names, (served.name, seconds, LANES, *served.serves), bool)


def batches(
    sizes: Mapping[str, int],
    rooms: Mapping[str, int] | None = None,
    plain: Mapping[str, Sequence[str]] | None = None,
) -> bytes:
    """How many jobs of a lane run together, as `claim` takes it: by function (`:embed`), or by queue without one.

    `rooms`: how many units of a listener may be claimed at most, an attempt or a batch each; `plain`: the listeners
    among these that run the jobs without functions of a queue. No queue or function is named with a comma.
    """
    names: defaultdict[int, list[str]] = defaultdict(list)
    for what, size in sizes.items():
        names[size].append(what)
    given: dict[str, Any] = {}
    if names:
        given[",sizes"] = [(size, "\n".join(("", *each, ""))) for size, each in names.items()]
    if rooms:
        given |= {",rooms": dict(rooms), ",plain": dict(plain or {})}
    packed: bytes = msgpack.packb(given) if given else b""
    return packed


def pass_on(keys: Keys, served: str) -> tuple[Op[None], Op[None]]:
    """Wake another worker of a class whose wake-up was taken in vain."""
    name = f"{keys.class_}{served}:wake"
    return Op(("RPUSH", name, "1"), nothing), Op(("EXPIRE", name, 60), nothing)


class Claim(list[Claimed]):
    """The attempts that a claim has got."""

    again: float | None = None  # seconds until a job that it passed over is for any worker


def claim(
    keys: Keys, worker: str, number: int, served: str, seconds: float, count: int, sizes: bytes = b"", wait: float = 0.0
) -> Op[Claim | None]:
    """Claim jobs that the class named `served` serves, for `count` slots, under leases of `seconds`.

    A batch takes one slot; `sizes`: of batches, as `batches` returns it. `wait`: seconds for which a model's job is for
    workers that hold the model, if there are any. The result is None if that class is not registered: register it, then
    claim again.
    """
    token = f"{worker}.{number}"

    def parse(reply: list[Any]) -> Claim | None:
        if reply[0] == b"unknown":
            return None
        return _claimed(reply, token, worker)

    names = (
        keys.lanes,
        keys.lane,
        keys.serves,
        keys.class_,
        keys.post,
        keys.job,
        keys.leases,
        keys.replay + worker,
        keys.dead,
        keys.followers,
        keys.waiters,
        keys.inbox,
        keys.holders,
        keys.workers,
        keys.gates,
    )
    return call(script("claim"), names, (number, served, token, worker, seconds, count, sizes, wait), parse)


def record(keys: Keys, job_id: str) -> Op[bytes | None]:
    """A job's record as it is stored, for the worker that claimed it; None if it is gone."""
    return Op(("GET", keys.post + job_id), lambda reply: reply, about=f"job {job_id}")


def rests(keys: Keys, served: str) -> Op[bool]:
    """Whether no work waits for a registered class, so that its idle workers may sleep. False if not registered."""
    return Op(("ZCARD", _index(keys, served)), _rests)


def _index(keys: Keys, served: str) -> str:
    return f"{keys.class_}{served}:ready"


def _rests(size: int) -> bool:
    return size == 1  # only the marker, an empty name


def _claimed(reply: list[Any], token: str, worker: str) -> Claim:
    """The attempts in a reply: a word, the time (and in how many seconds to look again), three items per attempt."""
    now, _, again = reply[1].partition(b" ")
    started, claimed = float(now), Claim()
    claimed.again = float(again) if again else None
    for i in range(2, len(reply), 3):
        counts = (reply[i + 1],) if isinstance(reply[i + 1], int) else tuple(map(int, reply[i + 1].split()))
        job_id = reply[i].decode("utf-8", "replace")
        claimed.append(Claimed(job_id, counts[0], token, worker, started, reply[i + 2], *counts[1:]))
    return claimed


def renew(keys: Keys, claimed: Sequence[Claimed], seconds: float) -> Op[set[str]]:
    """Extend leases to `seconds` from now. The result has those that were taken away (as `Claimed.lease`)."""

    def parse(reply: list[bytes]) -> set[str]:
        return {lease.decode() for lease in reply}

    return call(script("renew"), (keys.leases,), (seconds, *(one.lease for one in claimed)), parse)


def waiting(keys: Keys, lane: str) -> Op[int]:
    """How many jobs wait in a lane."""
    return Op(("ZCARD", keys.lane + lane), int)


def expire(keys: Keys, claimed: Claimed) -> Op[bool]:
    """Cancel a job that expired before it was claimed; False if it goes on, since a person has requeued it."""
    return call(script("expire"), lapse_keys(keys), (claimed.id, claimed.token), bool, f"job {claimed.id}")


def hand_back(keys: Keys, claimed: Sequence[tuple[Claimed, bool]]) -> Op[list[bool]]:
    """Put jobs back into their lanes; each with whether its listener had begun."""
    args = [part for one, begun in claimed for part in (one.id, one.token, int(begun))]

    def parse(reply: list[bytes]) -> list[bool]:
        return [word == b"ok" for word in reply]

    return call(script("hand_back"), lapse_keys(keys), tuple(args), parse)


STREAM_KEPT = 86400  # seconds after its last entry that a job's stream is kept


HOP = 1_000_000  # attempts of a step count as later ones of the job whose stream goes on in it, by this for each hop


def report(
    keys: Keys, claimed: Claimed, progress: bytes, entries: Sequence[tuple[int, str, bytes]], part: Part | None = None
) -> Op[bool]:
    """Record progress (packed; empty for none) and stream entries. The result says whether the lease was held.

    `part`: of a pipeline's step. Its chunks belong to the job that gets its outcome, and go into the stream of that.
    """

    def parse(reply: bytes) -> bool:
        return reply == b"ok"

    whose = (part and part.tail) or claimed.id
    counts_as = claimed.attempt + HOP * (part.hop if part else 0)
    names = (
        keys.leases,
        keys.job + claimed.id,
        keys.stream + claimed.id,
        keys.waiters,
        keys.inbox,
        keys.stream + whose,
    )
    flat = [piece for entry in entries for piece in entry]
    args = (claimed.lease, claimed.id, claimed.attempt, progress, STREAM_KEPT, whose, counts_as, *flat)
    return call(script("report"), names, args, parse)


def rest(keys: Keys, claimed: Claimed) -> Op[None]:
    """Record that a listener only waits for other jobs from now on."""
    return call(script("rest"), (keys.leases, keys.job + claimed.id), (claimed.lease,), nothing)


def waits_no_more(keys: Keys, claimed: Claimed) -> Op[None]:
    """Record that a listener stopped waiting for another job."""
    return Op(("HDEL", keys.job + claimed.id, "waits_for"), nothing)


class Reaped(NamedTuple):
    """What one search for expired leases found."""

    taken: int  # leases that were taken back
    deliveries_due: int
    retry_in: float | None  # seconds until the next job comes due
    apart: int = 0  # jobs that wait to run apart from others
    chores: int = 0  # what is left to do for the jobs around those that ended
    expires_in: float | None = None  # seconds until the next job expires
    tick_in: float | None = None  # seconds until a schedule is due


def reap(keys: Keys, pause: float, grace: float, losses: int, most: int = 100, served: str = "") -> Op[Reaped]:
    """Requeue jobs whose lease expired, and those whose time has come, and cancel those that expire; see reap.lua.

    `losses`: how many leases a job may lose and still run again.
    """

    def parse(reply: list[int]) -> Reaped:
        retry_in, expires_in, tick_in = (None if left < 0 else left / 1e6 for left in (reply[2], reply[5], reply[6]))
        return Reaped(reply[0], reply[1], retry_in, reply[3], reply[4], expires_in, tick_in)

    names = (*lapse_keys(keys), keys.reaping, keys.lost, _index(keys, served), keys.schedule_due)
    return call(script("reap"), names, (pause, grace, losses, most), parse)


def look(keys: Keys, pause: float, grace: float, losses: int, served: str) -> Op[tuple[Reaped, bool]]:
    """As `reap`, and also whether the worker's class `rests`, as of before the op."""
    op = reap(keys, pause, grace, losses, served=served)
    return Op(op.command, lambda reply: (op.parse(reply), _rests(reply[-1])), op.script)


class Apart(NamedTuple):
    """The jobs that wait to run apart, and whether it is this worker's turn to pause claiming until it can run one."""

    my_turn: bool
    jobs: list[tuple[str, str, int]]  # id, lane, and how often it was lost with others; longest wait first


def apart(keys: Keys, worker: str, seconds: float) -> Op[Apart]:
    """List the jobs that wait to run apart, and ask for the turn for so many seconds; 0 gives it back."""

    def parse(reply: list[Any]) -> Apart:
        rows = (reply[i : i + 3] for i in range(1, len(reply), 3))
        return Apart(reply[0] == 1, [(one.decode(), lane.decode("utf-8", "replace"), n) for one, lane, n in rows])

    names = (keys.scheduled, keys.post, keys.job, keys.apart_turn, keys.class_, keys.gates)
    return call(script("apart"), names, (worker, seconds), parse)


def claim_apart(keys: Keys, worker: str, number: int, job_id: str, seconds: float) -> Op[Claim]:
    """Claim one job that waits to run apart, under a lease of `seconds`; nothing if it no longer waits."""
    token = f"{worker}.{number}"

    def parse(reply: list[Any]) -> Claim:
        return _claimed(reply, token, worker)

    names = (keys.scheduled, keys.post, keys.job, keys.leases, keys.waiters, keys.inbox, keys.class_, keys.gates)
    return call(script("claim_apart"), names, (job_id, token, worker, seconds), parse)


def overrun(keys: Keys, limit: float, retries: int, cursor: str = "0") -> Op[tuple[str, list[str]]]:
    """End the attempts older than `limit` seconds on one page of running jobs: (next cursor, ids of their jobs)."""

    def parse(reply: list[bytes]) -> tuple[str, list[str]]:
        return reply[0].decode(), [job_id.decode() for job_id in reply[1:]]

    return call(script("overrun"), lapse_keys(keys), (limit, retries, cursor), parse)
