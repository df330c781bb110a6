"""The ops of a purge: which lanes there are, and a page of the jobs of one."""

from collections.abc import Iterable
from typing import Any, NamedTuple

from mlq.core.checks import functions_of, queue_of
from mlq.core.keys import Keys
from mlq.ops import Op, call
from mlq.ops.jobs import LANES, lapse_keys
from mlq.ops.scripts import script

JOBS = 100  # of one call: about 5 ms of the server's time


class Purged(NamedTuple):
    """How far the purge of a lane has come."""

    cancelled: int = 0  # by the last call
    place: str = "+inf"  # from which to go on, downwards; empty at the end
    passed: int = 0  # jobs at that place that were looked at, and wait on
    chores: int = 0  # what is left to do for the jobs around those that were cancelled

    @property
    def is_over(self) -> bool:
        """Whether all of the lane was looked at."""
        return not self.place


def purge(keys: Keys, lane: str, last: int, begun: Purged) -> Op[Purged]:
    """Cancel a page of the jobs of a lane whose ids are up to `last`; go on from the result as `begun`."""

    def parse(reply: list[Any]) -> Purged:
        return Purged(reply[0], reply[1].decode(), reply[2], reply[3])

    return call(script("purge"), lapse_keys(keys), (lane, last, begun.place, begun.passed, JOBS), parse)


def lanes(keys: Keys, cursor: str) -> Op[tuple[str, list[str]]]:
    """Some of the lanes in which jobs wait, and the cursor for the next ones ("0" at the end). Begin with "0"."""

    def parse(reply: list[Any]) -> tuple[str, list[str]]:
        return reply[0].decode(), [lane.decode("utf-8", "replace") for lane in reply[1]]

    return Op(("SSCAN", keys.lanes, cursor, "COUNT", LANES), parse)


def lanes_of(lanes: Iterable[str], queue: str | None, function: str | None) -> list[str]:
    """Those of a queue, and whose jobs name that function, where these are given."""
    return [
        lane for lane in lanes
        if queue in (None, queue_of(lane)) and (function is None or function in functions_of(lane))
    ]  # fmt: skip
