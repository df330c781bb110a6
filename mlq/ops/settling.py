"""The op that records outcomes of attempts: for each a packed map, and separately the result, which may be large."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import msgpack  # type: ignore[import-untyped]

from mlq.core.job import Claimed, Outcome
from mlq.core.job_options import JobOptions
from mlq.core.keys import Keys
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


def settle(keys: Keys, endings: Sequence[Ending], losses: int) -> Op[list[bool]]:
    """Record what became of attempts. The result says for each whether its lease was still held.

    `losses`: how many losses a job may have and still run again.
    """
    args: list[Argument] = [losses]
    for ending in endings:
        args += (_packed(ending), ending.outcome.fields.get("result", b""))

    def parse(reply: list[bytes]) -> list[bool]:
        return [word == b"ok" for word in reply]

    return call(script("settle"), lapse_keys(keys), tuple(args), parse)


def _packed(ending: Ending) -> bytes:
    """An ending as settle.lua reads it. Without the result: unpacking would copy it, and it may be 64 MiB."""
    claimed, outcome, options = ending.claimed, ending.outcome, ending.options
    sent: dict[str, Any] = {
        "id": claimed.id,
        "token": claimed.token,
        "fields": {name: value for name, value in outcome.fields.items() if name != "result"},
    }
    if ending.lost:
        sent |= {"verdict": "lost", "beside": ending.beside}
    elif ending.retry_in is not None:
        sent |= {"verdict": "retry", "retry_in": ending.retry_in}
    else:
        sent |= {"verdict": str(outcome.state), "may_have_left": ending.waited or claimed.attempt > 1}
        also = {"ttl": options.ttl, "callback": options.callback, "webhook": options.webhook, "said": outcome.said}
        sent |= {name: value for name, value in also.items() if value is not None}
    packed: bytes = msgpack.packb(sent, use_bin_type=False)  # Redis' cmsgpack has no type for bytes
    return packed
