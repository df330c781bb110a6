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

Entry = tuple[int, str, bytes]

LARGE = 64 * 1024  # bytes of a record above which it is let go with its end: who watches its time keeps an attempt


class Stage(enum.Enum):
    """How far an attempt is. The last three are final."""

    CLAIMED = "claimed"
    BEGUN = "begun"
    ENDED = "ended"  # its listeners are through, or its time is up; the settler has it
    HANDED_BACK = "handed back"
    LOST = "lost"


class Reports:
    """What an attempt has said and nobody has recorded yet. Without a lock (see `turn`): each step is one call in C."""

    def __init__(self) -> None:
        """Nothing."""
        self._progress: deque[bytes] = deque(maxlen=1)
        self._entries: deque[tuple[str, bytes]] = deque()
        self._numbers = itertools.count(1)
        self._put_back: tuple[bytes, list[Entry]] = (b"", [])
        self._told = False  # the settler knows that there is something

    def report(self, packed: bytes) -> bool:
        """Keep progress; whether the settler must be told."""
        self._progress.append(packed)
        return self._untold()

    def add_entry(self, kind: str, data: bytes) -> bool:
        """Keep an entry; whether the settler must be told."""
        self._entries.append((kind, data))
        return self._untold()

    def _untold(self) -> bool:
        """Told twice does no harm."""
        told, self._told = self._told, True
        return not told

    def take(self) -> tuple[bytes, list[Entry]]:
        """All of it, numbered within the attempt; one thread at a time."""
        self._told = False  # first: of what comes meanwhile the settler is told anew
        (progress, entries), self._put_back = self._put_back, (b"", [])
        if self._progress:
            progress = self._progress.pop()
        entries += [(next(self._numbers), *self._entries.popleft()) for _ in range(len(self._entries))]
        return progress, entries

    def waits(self) -> bool:
        """Whether there is any of it."""
        return bool(self._progress or self._entries or any(self._put_back))

    def size(self) -> int:
        """Its bytes."""
        said = [*tuple(self._progress), *(data for _, data in tuple(self._entries))]  # a copy is one call in C
        return sum(map(len, said)) + len(self._put_back[0]) + sum(len(data) for _, _, data in self._put_back[1])

    def put_back(self, progress: bytes, entries: list[Entry]) -> None:
        """It could not be recorded. What was said meanwhile comes after it; whoever took it tries again."""
        self._put_back = (progress, entries)
        self._told = True


class Attempt:
    """A claimed job, and what became of it: the first to move it to a final stage decides."""

    _reports: Reports | None = None
    channel: "Channel"  # what its listeners may ask of the worker, once it has begun

    def __init__(self, claimed: Claimed) -> None:
        """Its record is not read yet."""
        self.claimed = claimed
        self.size = len(claimed.record)  # bytes
        self.record = _UNREAD
        self.listeners: tuple[Listener, ...] = ()
        self.policy = Policy()
        self.stage = Stage.CLAIMED
        self.holds_slot = True  # as `slots` counts it
        self.runs = False  # likewise
        self.beside = 0  # others that died with it
        self.waits = 0  # for other jobs, now; coroutines and threads of a listener may wait side by side
        self.waited = False  # for another job, at some time
        self.wait_lock = threading.Lock()  # held by a wait that begins or ends
        self.wakes: set[Callable[[], None]] = set()  # end its waits for other jobs, when the attempt ends first
        self.through = False  # its listeners have ended, whatever became of the job
        self.since = time.monotonic()  # when it came to its stage
        self.took = 0.0  # seconds that its listeners ran
        self._lock = threading.Lock()

    def fetched(self, record: bytes) -> None:
        """Its record, which was not with the claim, is here."""
        with self._lock:
            if self.stage is Stage.CLAIMED:
                self.claimed, self.size = self.claimed._replace(record=record), len(record)

    @property
    def reports(self) -> Reports:
        """What it has said; most attempts say nothing."""
        return vars(self).setdefault("_reports", Reports()) if self._reports is None else self._reports

    def has_reported(self) -> bool:
        """Whether it has said anything."""
        return self._reports is not None

    def read(self, record: Record, listeners: tuple[Listener, ...], declared: Policy) -> None:
        """Learn what is to be run, and how."""
        self.record, self.listeners = record, listeners
        self.policy = record.options.policy.over(declared)

    def holds(self) -> bool:
        """Whether what its listeners say still counts."""
        return self.stage is Stage.BEGUN

    def begin(self) -> bool:
        """Move from claimed to begun; False when it is no longer ours to run."""
        with self._lock:
            if self.stage is not Stage.CLAIMED:
                return False
            self.stage = Stage.BEGUN
        self.since = time.monotonic()
        return True

    def end(self, stage: Stage) -> Stage | None:
        """Move to a final stage; the stage before, or None when somebody else was first."""
        with self._lock:
            if self.stage not in (Stage.CLAIMED, Stage.BEGUN):
                return None
            before, self.stage = self.stage, stage
            if before is Stage.BEGUN:
                self.took = time.monotonic() - self.since
            if self.size > LARGE:
                self.claimed, self.record = self.claimed._replace(record=b""), self.record._replace(message=b"")
        for wake in tuple(self.wakes):
            wake()
        return before


_UNREAD = Record("", 0.0, PLAIN, b"")
