"""Ops on shares: their weights, and how many of their jobs wait."""

from collections import Counter
from typing import Any, NamedTuple

from mlq.core.checks import check_share, share_of
from mlq.core.job import or_none
from mlq.core.keys import Keys
from mlq.errors import InputError
from mlq.ops import Op, call, nothing
from mlq.ops.jobs import LANES
from mlq.ops.scripts import script

LEAST, MOST = 0.001, 1000.0  # weights


class ShareState(NamedTuple):
    """What is known of a share."""

    name: str
    waiting: int  # its jobs that wait for a worker, in all lanes
    weight: float


class Waiting(NamedTuple):
    """The jobs of shares that wait, by lane, as far as they are counted."""

    lanes: dict[str, int]
    cursor: str = "0"  # from which to go on; "0" when all are counted

    def by_share(self) -> Counter[str]:
        """The jobs of each share, in all lanes."""
        found = Counter[str]()
        for lane, waiting in self.lanes.items():
            found[share_of(lane) or ""] += waiting
        return found


def check_weight(weight: object) -> float:
    """A number from 0.001 to 1000."""
    if isinstance(weight, bool) or not isinstance(weight, (int, float)) or not LEAST <= weight <= MOST:
        raise InputError(f"the weight of a share must be a number from {LEAST} to {MOST:g}, not {weight!r:.80}")
    return float(weight)


def set_weight(keys: Keys, share: object, weight: object) -> Op[None]:
    """Set the weight of a share; 1 is that of a share of which nothing is stored. Raises InputError."""
    name, wanted = check_share(share), check_weight(weight)
    if name is None:
        raise InputError("name the share whose weight is to be set")
    if wanted == 1:
        return Op(("HDEL", keys.weights, name), nothing)
    return Op(("HSET", keys.weights, name, repr(wanted)), nothing)


def weights(keys: Keys) -> Op[dict[str, float]]:
    """The weights that were set."""

    def parse(flat: list[bytes]) -> dict[str, float]:
        read = {flat[i].decode("utf-8", "replace"): or_none(float, flat[i + 1]) for i in range(0, len(flat), 2)}
        return {name: weight for name, weight in read.items() if weight is not None and LEAST <= weight <= MOST}

    return Op(("HGETALL", keys.weights), parse)


def waiting(keys: Keys, begun: Waiting | None = None) -> Op[Waiting]:
    """Count the jobs of shares. Repeat with the result as `begun` until its cursor is "0"."""

    def parse(reply: list[Any]) -> Waiting:
        cursor, rows = reply[0].decode(), reply[5:]
        lanes = begun.lanes if begun else {}
        for i in range(0, len(rows), 2):
            lane = rows[i].decode("utf-8", "replace")
            if share_of(lane) is not None:
                lanes[lane] = rows[i + 1]
        return Waiting(lanes, cursor)

    names = (keys.lanes, keys.lane, keys.leases, keys.dead, keys.scheduled, keys.blocked)
    return call(script("counts"), names, (begun.cursor if begun else "0", LANES), parse)


def states(found: Waiting, weighted: dict[str, float]) -> list[ShareState]:
    """All shares with jobs that wait or with a weight of their own, by name."""
    counts = found.by_share()
    return [ShareState(name, counts[name], weighted.get(name, 1.0)) for name in sorted(counts.keys() | weighted.keys())]
