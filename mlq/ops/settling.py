"""The op that records outcomes of attempts: one packed map for each, and what may be large beside it."""

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
    """What becomes of an attempt: its outcome, and the verdict of the job's policy on it."""

    claimed: Claimed
    outcome: Outcome
    options: JobOptions  # the record's
    retry_in: float | None = None  # seconds until the job is tried again; None ends it
    waited: bool = False  # the attempt waited for another job
    lost: bool = False  # it died with its child: the job runs again, unless that has happened too often
    beside: int = 0  # others that died with it


def settle(keys: Keys, endings: Sequence[Ending], losses: int) -> Op[list[bool]]:
    """Record what became of attempts; per attempt whether its lease still stood.

    `losses`: how many attempts of a job may die and it still runs again.
    """
    args: list[Argument] = [losses]
    for ending in endings:
        args += (_packed(ending), ending.outcome.fields.get("result", b""))

    def parse(reply: list[bytes]) -> list[bool]:
        return [word == b"ok" for word in reply]

    return call(script("settle"), lapse_keys(keys), tuple(args), parse)


def _packed(ending: Ending) -> bytes:
    """An ending as settle.lua reads it. The result stays out: unpacking would copy it, and it may have 64 MiB."""
    claimed, outcome, options = ending.claimed, ending.outcome, ending.options
    told: dict[str, Any] = {
        "id": claimed.id,
        "token": claimed.token,
        "fields": {name: value for name, value in outcome.fields.items() if name != "result"},
    }
    if ending.lost:
        told |= {"verdict": "lost", "beside": ending.beside}
    elif ending.retry_in is not None:
        told |= {"verdict": "retry", "retry_in": ending.retry_in}
    else:
        told |= {"verdict": str(outcome.state), "may_have_left": ending.waited or claimed.attempt > 1}
        also = {"ttl": options.ttl, "callback": options.callback, "webhook": options.webhook, "said": outcome.said}
        told |= {name: value for name, value in also.items() if value is not None}
    packed: bytes = msgpack.packb(told, use_bin_type=False)  # Redis' library knows texts alone
    return packed
