"""Ops of workers: claim, renew, settle, hand back, report progress, reap, say that one lives."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from mlq.errors import Unsupported
from mlq.job import Claimed, Outcome, fields_of
from mlq.keys import FORMAT, Keys
from mlq.ops import Argument, Op, call, nothing
from mlq.ops.jobs import lapse_keys
from mlq.ops.scripts import script


class Lanes(NamedTuple):
    """The lanes that exist, as of a version."""

    version: str
    names: tuple[str, ...]


def claim(keys: Keys, worker: str, number: int, lanes: Lanes, seconds: float, count: int) -> Op[list[Claimed] | Lanes]:
    """Claim up to `count` jobs of `lanes.names` under leases of `seconds`.

    Gives `Lanes` (all that exist) instead when the version is out of date: choose those to serve, and ask again.
    """
    token = f"{worker}.{number}"

    def parse(reply: list[Any]) -> list[Claimed] | Lanes:
        if reply[0] == b"lanes":
            return Lanes(reply[1].decode(), tuple(name.decode("utf-8", "replace") for name in reply[2]))
        started = float(reply[1])
        return [_claimed(reply[i], reply[i + 1], token, worker, started, reply[i + 2]) for i in range(2, len(reply), 3)]

    names = (
        keys.lanes_version,
        keys.lanes,
        keys.post,
        keys.job,
        keys.leases,
        keys.replay + worker,
        keys.dead,
        keys.wake,
        keys.followers,
        keys.waiters,
        keys.inbox,
    )
    lane_keys = tuple(keys.lane + name for name in lanes.names)
    args: tuple[Argument, ...] = (number, lanes.version, token, worker, seconds, count, *lanes.names)
    return call(script("claim"), names + lane_keys, args, parse)


def _claimed(job_id: bytes, attempt: Any, token: str, worker: str, started: float, record: bytes) -> Claimed:
    number, errors = (attempt, 0) if isinstance(attempt, int) else map(int, attempt.split())
    return Claimed(job_id.decode("utf-8", "replace"), number, token, worker, started, record, errors)


class Ending(NamedTuple):
    """What becomes of an attempt: its outcome, and the verdict of the job's policy on it."""

    claimed: Claimed
    outcome: Outcome
    options: dict[str, Any]  # the record's
    retry_in: float | None = None  # seconds until the job is tried again; None ends it
    waited: bool = False  # the attempt waited for another job
    lost: bool = False  # it died with its child: the job runs again, unless that has happened too often


def settle(keys: Keys, endings: Sequence[Ending], losses: int) -> Op[list[bool]]:
    """Record what became of attempts; per attempt whether its lease still stood.

    `losses`: how many attempts of a job may die and it still runs again.
    """
    args: list[Any] = [losses]
    for ending in endings:
        claimed, outcome, options = ending.claimed, ending.outcome, ending.options
        again = ending.retry_in is not None
        what = "lost" if ending.lost else "retry" if again else str(outcome.state)
        flat = [part for pair in outcome.fields.items() for part in pair]
        args += (claimed.id, claimed.token, what, ending.retry_in if again else options.get("ttl") or "",
                 _urls(options), outcome.said or "", 0 if outcome.said is None else 1,
                 int(ending.waited or claimed.attempt > 1), len(flat), *flat)  # fmt: skip

    def parse(reply: list[bytes]) -> list[bool]:
        return [word == b"ok" for word in reply]

    return call(script("settle"), lapse_keys(keys), tuple(args), parse)


def _urls(options: dict[str, Any]) -> str:
    """Where the end of a job is told, as settle.lua reads it: the callback's URL and, after a blank, the webhook's."""
    callback = options.get("callback") or ""
    webhook = options.get("webhook")
    return f"{callback} {webhook}" if webhook else callback


def renew(keys: Keys, claimed: Sequence[Claimed], seconds: float) -> Op[set[str]]:
    """Extend leases by `seconds` from now; gives those that were taken away (as `Claimed.lease`)."""

    def parse(reply: list[bytes]) -> set[str]:
        return {lease.decode() for lease in reply}

    return call(script("renew"), (keys.leases,), (seconds, *(one.lease for one in claimed)), parse)


def hand_back(keys: Keys, claimed: Sequence[tuple[Claimed, bool]]) -> Op[list[bool]]:
    """Give jobs back to their lanes; each with whether its listener had begun."""
    args = [part for one, begun in claimed for part in (one.id, one.token, int(begun))]

    def parse(reply: list[bytes]) -> list[bool]:
        return [word == b"ok" for word in reply]

    return call(script("hand_back"), (*lapse_keys(keys), keys.metrics), tuple(args), parse)


STREAM_KEPT = 86400  # seconds after its last entry that a job's stream is kept


def tell(keys: Keys, claimed: Claimed, progress: bytes, entries: Sequence[tuple[int, str, bytes]]) -> Op[bool]:
    """Record progress (packed; empty for none) and entries of the stream; whether the lease stood."""

    def parse(reply: bytes) -> bool:
        return reply == b"ok"

    names = (keys.leases, keys.job + claimed.id, keys.stream + claimed.id, keys.waiters, keys.inbox)
    flat = [part for entry in entries for part in entry]
    return call(
        script("tell"), names, (claimed.lease, claimed.id, claimed.attempt, progress, STREAM_KEPT, *flat), parse
    )


def waits_no_more(keys: Keys, claimed: Claimed) -> Op[None]:
    """A listener stopped waiting for another job."""
    return Op(("HDEL", keys.job + claimed.id, "waits_for"), nothing)


class Reaped(NamedTuple):
    """What one look for lapsed leases found."""

    taken: int
    deliveries_due: int
    retry_in: float | None  # seconds until the next retry is due


def reap(keys: Keys, pause: float, grace: float, losses: int, most: int = 100) -> Op[Reaped]:
    """Take back jobs whose lease ran out, and line up those whose retry is due; see reap.lua.

    `losses` is how many leases a job may lose and run again.
    """

    def parse(reply: list[int]) -> Reaped:
        return Reaped(reply[0], reply[1], None if reply[2] < 0 else reply[2] / 1e6)

    names = (*lapse_keys(keys), keys.reaping, keys.metrics)
    return call(script("reap"), names, (pause, grace, losses, most), parse)


def overrun(keys: Keys, limit: float, retries: int, cursor: str = "0") -> Op[tuple[str, list[str]]]:
    """End attempts older than `limit` seconds on one page of the running jobs: (next cursor, ids of the ended)."""

    def parse(reply: list[bytes]) -> tuple[str, list[str]]:
        return reply[0].decode(), [job_id.decode() for job_id in reply[1:]]

    return call(script("overrun"), (*lapse_keys(keys), keys.metrics), (limit, retries, cursor), parse)


def alive(keys: Keys, worker: str, seconds: float, about: dict[str, str | int | float]) -> Op[tuple[str, str]]:
    """Say that a worker lives for `seconds` more, and what it is; gives the version of the uploads, and the epoch."""

    def parse(reply: list[bytes]) -> tuple[str, str]:
        if reply[0] == b"format":
            raise Unsupported(
                f"namespace {keys.namespace!r} is kept in layout {reply[1].decode()}, this MLQ reads {FORMAT}"
            )
        return reply[1].decode("utf-8", "replace"), reply[2].decode("utf-8", "replace")

    flat = [part for pair in about.items() for part in pair]
    names = (keys.workers, keys.worker + worker, keys.format, keys.uploads_version, keys.epoch)
    return call(script("alive"), names, (worker, seconds, FORMAT, *flat), parse)


def retire(keys: Keys, worker: str) -> tuple[Op[int], Op[int]]:
    """A worker that stopped is no longer listed."""
    return Op(("ZREM", keys.workers, worker), int), Op(("DEL", keys.worker + worker, keys.inbox + worker), int)


def workers(keys: Keys) -> Op[list[dict[str, str]]]:
    """The workers that live: what each says of itself, with its name under `name`."""

    def parse(reply: list[Any]) -> list[dict[str, str]]:
        return [
            {"name": name.decode()} | {key: value.decode() for key, value in fields_of(flat).items()}
            for name, flat in reply
        ]

    return call(script("workers"), (keys.workers, keys.worker), (), parse)
