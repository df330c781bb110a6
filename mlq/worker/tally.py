"""Counts attempts by outcome, and how long jobs waited and ran, until the renewer delivers the counts to the server.

Attempts that this worker does not settle (handed back, cancelled, overrun, lost with a worker) are counted by the
scripts that end them.
"""

import threading
from bisect import bisect_left
from collections.abc import Sequence
from contextlib import suppress

from mlq.core.checks import group_of, queue_of
from mlq.core.chunk import ROWS_QUEUE, Predicted
from mlq.core.job import Outcome
from mlq.core.keys import Keys
from mlq.errors import Undecodable
from mlq.ops import Op
from mlq.ops.stats import BOUNDS, COUNTERS, OTHER, OUTCOMES, Row, tally
from mlq.running.loads import LoadCount
from mlq.worker.outbox import Ended

_OUTCOME: dict[str | bytes, int] = {outcome: COUNTERS.index(f"attempts:{outcome}") for outcome in OUTCOMES}
_ERROR = _OUTCOME["error"]  # also for unknown reasons: a child may send anything
_WAIT, _RUN = COUNTERS.index("wait:0"), COUNTERS.index("run:0")
_BATCHES, _BATCHED = COUNTERS.index("batches"), COUNTERS.index("batched")
_LOADS = [COUNTERS.index(name) for name in ("loads", "load:sum", "evictions")]  # as `LoadCount` has them
_ROWS, _ROWS_FAILED = COUNTERS.index("rows"), COUNTERS.index("rows:failed")
_OF_ROWS = f"{ROWS_QUEUE}:"  # how the lanes of chunks of files begin
_WAIT_SUM, _RUN_SUM = COUNTERS.index("wait:sum"), COUNTERS.index("run:sum")


class Tally:
    """Counts since the last delivery. Any thread may count; only one at a time may deliver."""

    def __init__(self) -> None:
        """All counts are zero."""
        self._rows: dict[str, Row] = {}  # by lane, since callers have the lane
        self._number = 0
        self._under_way: dict[str, Row] = {}  # by queue; sent, but perhaps not received
        self._lock = threading.Lock()

    def _new(self, lane: str) -> Row:
        lane = group_of(lane)  # shares may be many, and are not counted one by one
        row = self._rows.get(lane)
        if row is None:
            row = self._rows[lane] = [0] * len(COUNTERS)
        return row

    def waited(self, lane: str, seconds: float) -> None:
        """Count a job's wait: its first attempt began `seconds` after its post."""
        with self._lock:
            row = self._rows.get(lane) or self._new(lane)
            row[_WAIT + bisect_left(BOUNDS, seconds)] += 1
            row[_WAIT_SUM] += seconds

    def began(self, lane: str, jobs: int) -> None:
        """Count a batch of so many jobs, which begins."""
        with self._lock:
            row = self._rows.get(lane) or self._new(lane)
            row[_BATCHES] += 1
            row[_BATCHED] += jobs

    def loaded(self, lane: str, count: LoadCount) -> None:
        """Count what happened to the model that serves a lane."""
        with self._lock:
            row = self._rows.get(lane) or self._new(lane)
            for place, more in zip(_LOADS, count, strict=True):
                row[place] += more

    def settled(self, batch: Sequence[Ended], accepted: Sequence[bool]) -> None:
        """Count settled attempts, except those whose lease was lost."""
        with self._lock:
            for (attempt, outcome, _), ok in zip(batch, accepted, strict=True):
                if ok:
                    lane = attempt.record.lane
                    row = self._rows.get(lane) or self._new(lane)
                    row[_OUTCOME.get(outcome.fields.get("reason", "succeeded"), _ERROR)] += 1
                    _count_rows(row, lane, outcome)
                    if attempt.took:
                        row[_RUN + bisect_left(BOUNDS, attempt.took)] += 1
                        row[_RUN_SUM] += attempt.took

    def delivery(self, keys: Keys, worker: str) -> Op[None] | None:
        """The op that delivers the counts, or None if there are none. Repeats the same delivery until `delivered`."""
        if not self._under_way:
            with self._lock:
                rows, self._rows = self._rows, {}
            for lane, row in rows.items():
                queue = queue_of(lane) or OTHER
                known = self._under_way.get(queue)
                self._under_way[queue] = row if known is None else [a + b for a, b in zip(known, row, strict=True)]
            self._number += bool(self._under_way)
        return tally(keys, worker, self._number, self._under_way.items()) if self._under_way else None

    def delivered(self) -> None:
        """The last delivery arrived."""
        self._under_way = {}


def _count_rows(row: Row, lane: str, outcome: Outcome) -> None:
    """Count the rows of a file's chunk."""
    packed = outcome.fields.get("result")
    if lane.startswith(_OF_ROWS) and isinstance(packed, bytes):
        with suppress(Undecodable):  # a child may send anything
            predicted = Predicted.parse(packed)
            row[_ROWS] += predicted.rows
            row[_ROWS_FAILED] += predicted.failed
