"""One attempt in this process: from its claim until it is settled, handed back or lost."""

import enum
import itertools
import threading
import time
from collections import deque
from typing import TYPE_CHECKING, Protocol

from mlq.core.job import Claimed, Outcome, Record
from mlq.core.job_options import PLAIN
from mlq.core.policy import Policy
from mlq.running.listeners import Listener
from mlq.running.outcomes import death

if TYPE_CHECKING:
    from collections.abc import Callable

    from mlq.running.context import Line

Entry = tuple[int, str, bytes]

LARGE = 64 * 1024  # bytes of a record above which it is let go with its end: who watches its time keeps an attempt


class Stage(enum.Enum):
    """How far an attempt is. The last three are final."""

    CLAIMED = "claimed"
    BEGUN = "begun"
    ENDED = "ended"  # its listeners are through, or its time is up; the settler has it
    HANDED_BACK = "handed back"
    LOST = "lost"


class Speech:
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

    def say(self, kind: str, data: bytes) -> bool:
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
    """A claimed job, and who decides what becomes of it: the first to move it to a final stage."""

    _speech: Speech | None = None

    def __init__(self, claimed: Claimed, watcher: "Watcher", make_line: "Callable[[Attempt], Line]") -> None:
        """`watcher` is told of its turns; its listeners get the line only when they run."""
        self.claimed = claimed
        self.size = len(claimed.record)  # bytes
        self.record = _UNREAD
        self.listeners: tuple[Listener, ...] = ()
        self.policy = Policy()
        self.stage = Stage.CLAIMED
        self.holds_slot = True
        self.beside = 0  # others that died with it
        self.waited = False  # for another job, at some time
        self.through = False  # its listeners have ended, whatever became of the job
        self.wakes: set[Callable[[], None]] = set()  # end its waits for other jobs, when the attempt ends first
        self._waits = 0  # for other jobs, now; coroutines and threads of a listener may wait side by side
        self._changing = threading.Lock()
        self.since = time.monotonic()  # when it came to its stage
        self.took = 0.0  # seconds that its listeners ran
        self._watcher = watcher
        self._make_line = make_line
        self._line: Line | None = None
        self._lock = threading.Lock()

    @property
    def speech(self) -> Speech:
        """What it has said; most attempts say nothing."""
        return vars(self).setdefault("_speech", Speech()) if self._speech is None else self._speech

    @property
    def line(self) -> "Line":
        """What its listeners may ask of the worker."""
        if self._line is None:
            self._line = self._make_line(self)
        return self._line

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
        self._watcher.began(self)
        if self.policy.timeout is not None:
            self._watcher.limit(self, self.policy.timeout)
        return True

    def end(self, stage: Stage) -> Stage | None:
        """Move to a final stage; the stage before, or None when somebody else was first."""
        with self._lock:
            if self.stage not in (Stage.CLAIMED, Stage.BEGUN):
                return None
            before, self.stage = self.stage, stage
            if self.size > LARGE:
                self.claimed, self.record = self.claimed._replace(record=b""), self.record._replace(message=b"")
        for wake in tuple(self.wakes):
            wake()
        return before

    def leave(self) -> None:
        """It waits for another job; the first such wait gives its slot away."""
        with self._changing:
            self.waited = True
            self._waits += 1
            if self._waits == 1:
                self._watcher.left(self)

    def waiting(self) -> bool:
        """Whether it does nothing now but wait for another job."""
        return self._waits > 0

    def back(self, *, at_once: bool) -> None:
        """A wait is over; the last one gets the slot back, `at_once` or when one is free."""
        with self._changing:
            self._waits -= 1
            if not self._waits:
                self._watcher.returned(self, at_once=at_once)

    def spoke(self) -> bool:
        """Whether it has said anything."""
        return self._speech is not None

    def done(self, outcome: Outcome) -> None:
        """Its listeners are through."""
        self._watcher.ended(self, outcome)

    def settle(self, outcome: Outcome) -> None:
        """Its listeners are through, and their thread may be used to say so."""
        self._watcher.ended(self, outcome, here=True)

    def died(self, reason: str, words: str, beside: int) -> None:
        """The process that it ran in is gone, with so many others."""
        self.beside = beside
        self._watcher.ended(self, death(reason, words), lost=True)


class Watcher(Protocol):
    """Who is told of an attempt's turns: the worker."""

    def began(self, attempt: Attempt) -> None:
        """Its listeners are about to run."""

    def limit(self, attempt: Attempt, seconds: float) -> None:
        """It began, and may take so long."""

    def left(self, attempt: Attempt) -> None:
        """It waits for another job, and leaves its place to others."""

    def returned(self, attempt: Attempt, *, at_once: bool) -> None:
        """It goes on: with a slot as soon as one is free, or `at_once`."""

    def ended(self, attempt: Attempt, outcome: Outcome, *, lost: bool = False, here: bool = False) -> None:
        """Its listeners are through, or died; `here`: this thread may wait for the server."""


_UNREAD = Record("", 0.0, PLAIN, b"")
