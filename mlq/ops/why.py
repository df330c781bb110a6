"""The op that reads what is known of why a job does not run; `mlq.client.reasons` says it in words."""

from typing import Any, NamedTuple

from mlq.core.codec import unpack_raw
from mlq.core.identity import bind, stamp_of
from mlq.core.job import Record, number, or_none, text
from mlq.core.keys import Keys
from mlq.core.limit import Gate, Limit, Pause
from mlq.core.states import State
from mlq.ops import Op, call
from mlq.ops.scripts import script
from mlq.ops.stamps import check_exists
from mlq.ops.stats import BOUNDS


class Join(NamedTuple):
    """The join of a split, of which a part is held back."""

    id: str
    begun: bool  # False if the split has not begun: the attempt that posts it still runs
    ended: bool
    needs: int
    of: int
    at_once: int


class Closing(NamedTuple):
    """What has a limit or is paused, of all that the job counts for."""

    gate: Gate
    limit: Limit | None
    paused: Pause | None
    running: int | None  # jobs that hold its places, if their number is limited
    opens: float | None  # when its rate lets the next job begin; None if it keeps none back
    jobs: tuple[str, ...]  # the first ten of those that hold its places


class Facts(NamedTuple):
    """What why.lua found out. What does not apply is None, or empty."""

    id: str
    now: float  # by the server's clock
    record: Record
    state: State
    job: dict[str, str]  # fields of its hash, each cut to 500 bytes
    due: float | None  # of a scheduled job: when it may begin; above `APART` if it waits to run apart
    lease: float | None  # of a running one: until when its lease lasts
    needed: tuple[str, ...]  # of a blocked one: the first ten jobs that it waits for
    blocker: str | None  # of a blocked one: the first job that it waits for and that waits for no other itself
    waits: bool  # it stands in its lane
    line: int | None  # jobs that come before it, in all lanes of a class of workers that serves its lane
    seconds: float | None  # that these take together, if its lane has shares
    turn: int | None  # shares of its lane whose turn comes before that of its own,
    shares: tuple[str, ...]  # the first ten of these,
    weight: float  # and the weight of its own
    gates: tuple[Closing, ...]  # its queue, functions, resources and share, as far as they have a limit or are paused
    since: float | None  # since when it stands in its lane, if that is not since its post
    holders: tuple[str, ...]  # living workers that hold its model
    join: Join | None  # of a part that is not in its lane
    runs: int  # attempts that its queue has run
    run_time: float  # seconds that one of them took on average
    batch: float  # how many jobs of its queue a call took on average, if these come in batches; else 1
    refusal: str | None  # why the server accepts no writes

    def count(self, name: str) -> int:
        """A count in the job's hash; 0 if it is missing, or no number."""
        return or_none(int, self.job.get(name, "0")) or 0

    @property
    def lane(self) -> str:
        """The lane that it waits in, or was claimed from."""
        return self.record.lane


def facts(keys: Keys, job_id: str) -> Op[Facts]:
    """What is known of why a job does not run, or has not ended."""

    def parse(reply: list[Any]) -> Facts:
        check_exists(keys, job_id, reply[0])
        bind(job_id, reply[1].decode("utf-8", "replace"))
        return _read(str(job_id), {name.decode(): value for name, value in unpack_raw(reply[2]).items()})

    names = (keys.post, keys.job, keys.leases, keys.scheduled, keys.lane, keys.serves, keys.class_, keys.holders,
             keys.workers, keys.metrics, keys.gates)  # fmt: skip
    return call(script("why"), names, (str(job_id), stamp_of(job_id), len(BOUNDS) + 1), parse, f"job {job_id}")


def _read(job_id: str, found: dict[str, Any]) -> Facts:
    job = {name.decode(): text(value) or "" for name, value in found["job"].items()}
    batches, batched, seconds, *buckets = (or_none(int, count or 0) or 0 for count in found["counts"])
    runs = sum(buckets)
    return Facts(
        job_id, number(found["now"]) or 0.0, Record.parse(found["record"]), State(job["state"]), job,
        or_none(number, found.get("due")), or_none(number, found.get("lease")),
        tuple(text(one) or "" for one in found.get("needed", ())), text(found.get("blocker")), bool(found.get("waits")),
        found.get("line"), found.get("seconds"), found.get("turn"),
        tuple(text(one) or "" for one in found.get("shares", ())), or_none(number, found.get("weight")) or 1.0,
        tuple(one for one in map(_closing, found.get("gates", ())) if one is not None),
        or_none(number, found.get("since") or None),
        tuple(text(one) or "" for one in found.get("holders", ())), _join(found.get("join")),
        runs, seconds / 1e6 / runs if runs else 0.0, max(1.0, batched / batches) if batches else 1.0,
        text(found.get("refusal")),
    )  # fmt: skip


def _join(found: dict[bytes, bytes] | None) -> Join | None:
    if found is None:
        return None
    needs, of, at_once = (or_none(int, found.get(name, 0)) or 0 for name in (b"needs", b"of", b"at_once"))
    state = found[b"state"].decode("utf-8", "replace")
    ended = state in ("succeeded", "failed", "cancelled")
    return Join(found[b"id"].decode(), b"needs" in found, ended, needs, of, at_once)


def _closing(found: dict[bytes, Any]) -> Closing | None:
    gate = Gate.parse(text(found[b"name"]) or "")
    if gate is None:
        return None
    limit, pause = found.get(b"limit"), found.get(b"pause")
    jobs = sorted((text(one) or "" for one in found[b"jobs"]), key=lambda one: (len(one), one))
    return Closing(
        gate, None if limit is None else Limit.parse(limit), None if pause is None else Pause.parse(pause),
        found.get(b"running"), or_none(number, found.get(b"opens")), tuple(jobs),
    )  # fmt: skip
