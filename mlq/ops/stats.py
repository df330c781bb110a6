"""Ops for monitoring: adding what workers count, and reading all numbers of a namespace."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from mlq.core.checks import queue_of
from mlq.core.job import number, or_none
from mlq.core.keys import Keys
from mlq.core.states import REASONS
from mlq.ops import Argument, Op, call, nothing
from mlq.ops.jobs import LANES
from mlq.ops.scripts import script

OUTCOMES = ("succeeded", *REASONS)
KINDS = ("callback", "webhook")  # of deliveries
TRIES = ("sent", "failed", "given up")  # how a try can end; a failed one is followed by another
BOUNDS = (0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0, 30.0, 60.0, 300.0, 900.0, 3600.0, 14400.0)  # seconds
OTHER = "(other)"  # queues that are counted together, and jobs whose queue can't be read; see lua/shared/count.lua
SAMPLE = 1000  # most running jobs whose queue one call reads: 3 ms of the server's time

_PARTS = (*map(str, range(len(BOUNDS) + 1)), "sum")  # of a histogram: its buckets, and the sum in microseconds
# What is counted for a queue. Rows of counts have this order.
COUNTERS = (
    *(f"attempts:{outcome}" for outcome in OUTCOMES),
    *(f"wait:{part}" for part in _PARTS),
    *(f"run:{part}" for part in _PARTS),
    "batches",
    "batched",
    "loads",
    "load:sum",
    "evictions",
    "rows",
    "rows:failed",
)


class Histogram(NamedTuple):
    """How often something took how long."""

    buckets: tuple[int, ...]  # how often it took up to each of `mlq.ops.stats.BOUNDS` (s); the last: longer
    seconds: float  # the sum

    @property
    def total(self) -> int:
        """How often it was measured."""
        return sum(self.buckets)


class QueueStats(NamedTuple):
    """One queue. Workers and slots may serve several queues, and are counted for each."""

    waiting: int
    running: int
    oldest: float | None  # seconds since the oldest waiting job was posted; None if none waits
    workers: int
    slots: int
    attempts: dict[str, int]  # that ended, by outcome ("succeeded", "error", ...), since the beginning
    wait: Histogram  # from a job's post to its first attempt
    run: Histogram  # how long attempts ran
    batches: int  # calls of listeners that take batches
    batched: int  # attempts in them
    loads: int = 0  # of models, into processes
    load_seconds: float = 0.0  # that these took together
    evictions: int = 0  # times that a model was unloaded, unused or to make place for others
    rows: int = 0  # of files, that were predicted or failed
    rows_failed: int = 0  # among these

    @property
    def wanted(self) -> int:
        """Slots that would be busy if there were enough of them."""
        return self.waiting + self.running


class DeliveryStats(NamedTuple):
    """Callbacks, or webhooks."""

    pending: int  # to be sent, or tried again
    tries: dict[str, int]  # by outcome ("sent", "failed", "given up"), since the beginning


class Stats(NamedTuple):
    """The numbers of a namespace."""

    queues: dict[str, QueueStats]  # by name; those that have or had jobs, or have workers
    waiting: int
    scheduled: int
    running: int
    dead: int  # dead letters
    deliveries: dict[str, DeliveryStats]  # by kind: "callback", "webhook"
    workers: int
    slots: int
    busy: int  # slots in which a job runs
    blocked: int = 0  # jobs that wait for others, and need no slot yet
    memory: int = 0  # bytes of the processes that have loaded models

    @property
    def wanted(self) -> int:
        """Slots that would be busy if there were enough of them: the number to scale on."""
        return self.waiting + self.running


Row = list[float]  # counts, in the order of COUNTERS; sums in seconds


def tally(keys: Keys, worker: str, number: int, rows: Iterable[tuple[str, Row]]) -> Op[None]:
    """Add what a worker counted, by queue, to the namespace's metrics. `number`: of this report, so it counts once."""
    args: list[Argument] = [number]
    for queue, row in rows:
        for what, counted in zip(COUNTERS, row, strict=True):
            by = int(counted * 1e6) if what.endswith(":sum") else counted
            if by > 0:  # a counter must not decrease because a clock was set back
                args += (queue, what, by)
    return call(script("tally"), (f"{keys.replay}{worker}:tally", keys.metrics), tuple(args), nothing)


class Begun(NamedTuple):
    """Statistics that are incomplete: the lanes read so far, of a namespace that has very many."""

    cursor: str
    lanes: dict[bytes, tuple[int, bytes]]  # jobs that wait, and when the first one was posted


def stats(keys: Keys, begun: Begun | None = None) -> Op[Stats | Begun]:
    """All numbers of a namespace; or `Begun`, to be passed to the next call."""

    def parse(reply: list[Any]) -> Stats | Begun:
        cursor, rows, *rest = reply
        lanes = begun.lanes if begun else {}  # not a copy: copying 100,000 lanes in 200 calls takes a second
        lanes.update((lane, (number, posted)) for lane, number, posted in _rows(rows))
        return _parse(lanes, *rest) if rest else Begun(cursor.decode(), lanes)

    names = (keys.lanes, keys.lane, keys.post, keys.leases, keys.scheduled, keys.dead, keys.deliveries, keys.workers,
             keys.worker, keys.metrics, keys.blocked)  # fmt: skip
    return call(script("stats"), names, (SAMPLE, begun.cursor if begun else "0", LANES), parse)


def _parse(
    lanes: dict[bytes, tuple[int, bytes]], sizes: list[Any], looked_at: list[Any], workers: list[Any],
    counts: list[bytes],
) -> Stats:  # fmt: skip
    now, running, scheduled, dead, *pending, blocked = sizes
    waiting, oldest = _waiting(float(now), lanes)
    runs = _running(running, looked_at)
    serving, slots, busy, memory = Counter[str](), Counter[str](), 0, 0
    for total, used, queues, held in _rows(workers, 4):
        busy, memory = busy + _count(used), memory + _count(held)
        for queue in _text(queues).split(","):
            serving[queue] += 1
            slots[queue] += _count(total)
    counted = _counted(counts)
    return Stats(
        {
            queue: QueueStats(waiting[queue], runs[queue], oldest.get(queue), serving[queue], slots[queue],
                              *(_measures(counted[queue]) if queue in counted else _NEVER))
            for queue in sorted({*waiting, *runs, *serving, *counted} - {""})
        },
        waiting.total(), scheduled, running, dead,
        {kind: _deliveries(kind, number, counted.get("", {})) for kind, number in zip(KINDS, pending, strict=True)},
        len(workers) // 4, sum(_count(total) for total, *_ in _rows(workers, 4)), busy, blocked, memory,
    )  # fmt: skip


def _rows(flat: Sequence[Any], size: int = 3) -> Iterator[Sequence[Any]]:
    return (flat[i : i + size] for i in range(0, len(flat), size))


def _text(name: bytes) -> str:
    return name.decode("utf-8", "replace")


def _count(stored: bytes) -> int:
    """A stored count; 0 for anything else, since one damaged number must not hide all others."""
    count = or_none(int, stored) or 0
    return count if 0 <= count < 2**53 else 0  # which floats, the numbers of metrics, hold exactly


def _waiting(now: float, lanes: dict[bytes, tuple[int, bytes]]) -> tuple[Counter[str], dict[str, float]]:
    """By queue: jobs that wait, and the age of the oldest one."""
    waiting, oldest = Counter[str](), dict[str, float]()
    for lane, (jobs, posted) in lanes.items():
        queue = queue_of(_text(lane))
        waiting[queue] += jobs
        since = or_none(number, posted)
        if since is not None:  # else the lane is empty, or the record is not ours
            oldest[queue] = max(0.0, now - since, oldest.get(queue, 0.0))
    return waiting, oldest


def _running(total: int, looked_at: list[Any]) -> Counter[str]:
    """By queue: the jobs that run. If only some were looked at, their numbers are scaled up to the total."""
    found = {_text(looked_at[i]): looked_at[i + 1] for i in range(0, len(looked_at), 2)}
    seen = sum(found.values())
    return Counter({queue: round(number * total / seen) for queue, number in found.items()})


def _counted(flat: list[bytes]) -> dict[str, dict[str, int]]:
    """By queue: its counts."""
    found: dict[str, dict[str, int]] = {}
    for i in range(0, len(flat), 2):
        queue, _, what = _text(flat[i]).partition(":")
        if what:
            found.setdefault(queue, {})[what] = _count(flat[i + 1])
    return found


def _deliveries(kind: str, pending: int, counts: dict[str, int]) -> DeliveryStats:
    return DeliveryStats(pending, {outcome: counts.get(f"{kind}:{outcome}", 0) for outcome in TRIES})


def _measures(counts: dict[str, int]) -> tuple[Any, ...]:
    """The last fields of a `QueueStats`."""
    attempts = {outcome: counts.get(f"attempts:{outcome}", 0) for outcome in OUTCOMES}
    histograms = _histogram(counts, "wait"), _histogram(counts, "run")
    batches, batched, loads, microseconds, *others = (counts.get(name, 0) for name in COUNTERS[-7:])
    return attempts, *histograms, batches, batched, loads, microseconds / 1e6, *others


def _histogram(counts: dict[str, int], what: str) -> Histogram:
    *buckets, microseconds = (counts.get(f"{what}:{part}", 0) for part in _PARTS)
    return Histogram(tuple(buckets), microseconds / 1e6)


_NEVER = _measures({})  # for queues without a finished attempt; shared, since there may be 100,000 and it never changes
