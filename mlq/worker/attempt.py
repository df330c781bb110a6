"""One attempt in this process: from its claim until it is settled, handed back or lost."""

import enum
import itertools
import threading
import time
from collections import deque
from typing import TYPE_CHECKING

from mlq.core.job import Claimed, Record
from mlq.core.job_options import PLAIN
from mlq.core.policy import Policy
from mlq.running.listeners import Listener

if TYPE_CHECKING:
    from collections.abc import Callable

    from mlq.running.context import Channel
    from mlq.worker.batch import Batch

Entry = tuple[int, str, bytes]

LARGE = 64 * 1024  # bytes; an attempt drops a larger record when it ends, since the timers may keep it for longer


class Stage(enum.Enum):
    """How far an attempt has come. The last three stages are final."""

    CLAIMED = "claimed"
    BEGUN = "begun"
    ENDED = "ended"  # its listeners have ended, or it timed out; the settler has it
    HANDED_BACK = "handed back"
    LOST = "lost"


class Reports:
    """Progress and stream entries of an attempt, not recorded yet. No lock (see `turn`): each step is one call in C."""

    def __init__(self) -> None:
        """Empty."""
        self._progress: deque[bytes] = deque(maxlen=1)
        self._entries: deque[tuple[str, bytes]] = deque()
        self._numbers = itertools.count(1)
        self._put_back: tuple[bytes, list[Entry]] = (b"", [])
        self._told = False  # the settler knows that there is something to record

    def report(self, packed: bytes) -> bool:
        """Keep progress; returns whether the settler must be told."""
        self._progress.append(packed)
        return self._untold()

    def add_entry(self, kind: str, data: bytes) -> bool:
        """Keep an entry; returns whether the settler must be told."""
        self._entries.append((kind, data))
        return self._untold()

    def _untold(self) -> bool:
        """Whether the settler must be told; telling it twice does no harm."""
        told, self._told = self._told, True
        return not told

    def take(self) -> tuple[bytes, list[Entry]]:
        """Take everything, with entries numbered within the attempt. Only one thread may call it at a time."""
        self._told = False  # first, so that the settler is told again of whatever comes meanwhile
        (progress, entries), self._put_back = self._put_back, (b"", [])
        if self._progress:
            progress = self._progress.pop()
        entries += [(next(self._numbers), *self._entries.popleft()) for _ in range(len(self._entries))]
        return progress, entries

    def waits(self) -> bool:
        """Whether there is anything to record."""
        return bool(self._progress or self._entries or any(self._put_back))

    def size(self) -> int:
        """How many bytes there are to record."""
        said = [*tuple(self._progress), *(data for _, data in tuple(self._entries))]  # copying is one call in C
        return sum(map(len, said)) + len(self._put_back[0]) + sum(len(data) for _, _, data in self._put_back[1])

    def put_back(self, progress: bytes, entries: list[Entry]) -> None:
        """Put back what could not be recorded, before anything newer; the thread that took it must try again."""
        self._put_back = (progress, entries)
        self._told = True


class Attempt:
    """One attempt to run a claimed job. Whoever moves it to a final stage first decides what becomes of it."""

    _reports: Reports | None = None
    channel: "Channel"  # what its listeners may ask of the worker, once it has begun

    def __init__(self, claimed: Claimed) -> None:
        """The record is not parsed yet."""
        self.claimed = claimed
        self.size = len(claimed.record)  # bytes
        self.record = _UNREAD
        self.listeners: tuple[Listener, ...] = ()
        self.policy = Policy()
        self.stage = Stage.CLAIMED
        self.batch: Batch | None = None  # the attempts that it runs together with
        self.holds_slot = True  # as `slots` counts it
        self.runs = False  # as `slots` counts it
        self.beside = 0  # other attempts that died with it
        self.waits = 0  # current waits for other jobs: coroutines and threads of a listener may wait side by side
        self.waited = False  # it has waited for another job
        self.streams = False  # it has emitted partial results
        self.wait_lock = threading.Lock()  # held while a wait begins or ends
        self.wakes: set[Callable[[], None]] = set()  # called if the attempt ends, to end its waits for other jobs
        self.is_done = False  # its listeners have ended, whatever became of the job
        self.since = time.monotonic()  # when it reached its stage
        self.took = 0.0  # seconds that its listeners ran
        self.away = 0.0  # seconds in which they waited for other jobs, without a slot; as `leave` and `back` count them
        self.used = 0.0  # seconds that they had the slot
        self._lock = threading.Lock()

    def fetched(self, record: bytes) -> None:
        """Take the record, which did not come with the claim."""
        with self._lock:
            if self.stage is Stage.CLAIMED:
                self.claimed, self.size = self.claimed._replace(record=record), len(record)

    def is_complete(self) -> bool:
        """Whether its record is here."""
        return bool(self.claimed.record)

    @property
    def reports(self) -> Reports:
        """Progress and entries that are not recorded yet. Created on first use, since most attempts report nothing."""
        return vars(self).setdefault("_reports", Reports()) if self._reports is None else self._reports

    def has_reported(self) -> bool:
        """Whether it has ever reported anything."""
        return self._reports is not None

    def read(self, record: Record, listeners: tuple[Listener, ...], declared: Policy) -> None:
        """Set what to run, and under which policy."""
        self.record, self.listeners = record, listeners
        self.policy = record.options.policy.over(declared)
        limit = declared.timeout if any(one.about for one in listeners) else None
        if limit is not None and (self.policy.timeout or limit) > limit:  # of a model: a client may ask for less alone
            self.policy = self.policy._replace(timeout=limit)

    def holds(self) -> bool:
        """Whether the attempt runs and still holds its job, so that its listeners' reports count."""
        return self.stage is Stage.BEGUN

    def is_over(self) -> bool:
        """Whether the worker does not hold its job any more."""
        return self.stage not in (Stage.CLAIMED, Stage.BEGUN)

    def counts(self) -> bool:
        """Whether it counts for its listeners' `per_worker`: it has not ended, or its slot is not given back yet."""
        return self.holds_slot or self.stage in (Stage.CLAIMED, Stage.BEGUN)

    def begin(self) -> bool:
        """Move from claimed to begun; False if it was handed back or lost meanwhile."""
        with self._lock:
            if self.stage is not Stage.CLAIMED:
                return False
            self.stage = Stage.BEGUN
        self.since = time.monotonic()
        return True

    def leave(self) -> bool:
        """It waits for another job. Returns whether it has no slot from now on: it does not wait for any yet."""
        self.waited = True
        self.waits += 1
        if self.waits == 1:
            self.away -= time.monotonic()
        return self.waits == 1

    def back(self) -> bool:
        """One of its waits is over. Returns whether that was the last one, after which it has a slot again."""
        self.waits -= 1
        if not self.waits:
            self.away += time.monotonic()
        return not self.waits

    def end(self, stage: Stage) -> Stage | None:
        """Move to a final stage; returns the stage before, or None if it had reached a final stage already."""
        with self._lock:
            if self.is_over():
                return None
            before, self.stage = self.stage, stage
            if before is Stage.BEGUN:
                now = time.monotonic()
                self.took = now - self.since
                self.used = min(max(0.0, self.took - self.away - (now if self.waits else 0.0)), self.took)
            if self.size > LARGE:
                self.claimed, self.record = self.claimed._replace(record=b""), self.record._replace(message=b"")
        for wake in tuple(self.wakes):
            wake()
        return before


_UNREAD = Record("", 0.0, PLAIN, b"")
