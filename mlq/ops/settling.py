"""The op that records outcomes of attempts: for each a packed map, and separately the result, which may be large."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import msgpack  # type: ignore[import-untyped]

from mlq.core.job import Claimed, Outcome
from mlq.core.job_options import JobOptions
from mlq.core.keys import Keys
from mlq.core.states import State
from mlq.ops import Argument, Op, call
from mlq.ops.jobs import lapse_keys
from mlq.ops.scripts import script


class Ending(NamedTuple):
    """An attempt that ended: its outcome, and what becomes of its job by the job's policy (the verdict)."""

    claimed: Claimed
    outcome: Outcome
    options: JobOptions  # the record's
    retry_in: float | None = None  # seconds until the job is tried again; None if the job ends
    waited: bool = False  # the attempt waited for another job
    lost: bool = False  # the attempt died with its child: the job runs again, unless that has happened too often
    beside: int = 0  # other attempts that died with it
    used: float = 0.0  # seconds of a slot; of a batch, its part
    staged: str = ""  # the name under which the body of the job that this one becomes is staged


def settle(keys: Keys, endings: Sequence[Ending], losses: int, epoch: str = "") -> Op[list[bool | None]]:
    """Record what became of attempts. The result says for each whether its lease was still held.

    None where a job can't become another one yet: run `sync_counter`, stage the other one's body if it is large, and
    settle it again.

    `losses`: how many losses a job may have and still run again. `epoch`: needed where jobs become other jobs.
    """
    args: list[Argument] = [losses, epoch]
    for ending in endings:
        fields = ending.outcome.fields
        args += (_packed(ending), b"" if ending.staged else fields.get("result", fields.get("body", b"")))

    def parse(reply: list[bytes]) -> list[bool | None]:
        return [{b"ok": True, b"lost": False}.get(word) for word in reply]

    return call(script("settle"), (*lapse_keys(keys), keys.counter, keys.epoch, keys.staged), tuple(args), parse)


# Fields of outcomes that are not fields of the job.
_APART = frozenset({"result", "body", "lane", "plan", "join", "of"})


def _next_job(outcome: Outcome) -> dict[str, Any]:
    """What the job becomes: the lane of the next one; or how many parts may be open, the join, and their count."""
    fields = outcome.fields
    if "plan" not in fields:
        return {"lane": fields["lane"]}
    return {"plan": int(fields["plan"])} | {name: fields[name] for name in ("join", "of") if name in fields}


def _packed(ending: Ending) -> bytes:
    """An ending as settle.lua reads it. Without the result: unpacking would copy it, and it may be 64 MiB."""
    claimed, outcome, options = ending.claimed, ending.outcome, ending.options
    sent: dict[str, Any] = {
        "id": claimed.id,
        "token": claimed.token,
        "fields": {name: value for name, value in outcome.fields.items() if name not in _APART},
    }
    if options.part is not None:
        sent["part"] = options.part.packed()
        sent["part"].pop("routes", None)  # the script needs ids alone
    if options.after is not None:
        sent["after"] = [str(one) for one in options.after]
    if options.priority is not None:
        sent["priority"] = options.priority
    if options.share is not None:
        sent["used"] = (options.lane, ending.used)
    if ending.waited or claimed.attempt > 1:
        sent["may_have_left"] = True  # fields of the job's hash that an end removes
    if ending.lost:
        sent |= {"verdict": "lost", "beside": ending.beside}
    elif ending.retry_in is not None:
        sent |= {"verdict": "retry", "retry_in": ending.retry_in}
    elif outcome.state is State.BLOCKED:
        sent |= {"verdict": "blocked"} | _next_job(outcome) | ({"staged": ending.staged} if ending.staged else {})
    else:
        sent["verdict"] = str(outcome.state)
        also = {"ttl": options.ttl, "callback": options.callback, "webhook": options.webhook, "said": outcome.said,
                "expires": options.expires, "key": options.key}  # fmt: skip
        sent |= {name: value for name, value in also.items() if value is not None}
    packed: bytes = msgpack.packb(sent, use_bin_type=False)  # Redis' cmsgpack has no type for bytes
    return packed
