"""What was done to whom, and when: the only excuses for a job that runs again."""

import math
import time
from dataclasses import dataclass, field


@dataclass
class Trouble:
    """One thing that went wrong. Times by the monotonic clock."""

    what: str
    begin: float
    end: float = math.inf
    workers: frozenset[int] | None = None  # pids; None: all of them

    def explains(self, worker: int | None, after: float, before: float) -> bool:
        """Whether it touched `worker` (None: any) within that time."""
        touched = worker is None or self.workers is None or worker in self.workers
        return touched and self.begin <= before and self.end >= after


@dataclass
class Troubles:
    """All of a run."""

    all: list[Trouble] = field(default_factory=list)

    def begin(self, what: str, workers: set[int] | None = None) -> Trouble:
        """Something begins to go wrong."""
        one = Trouble(what, time.monotonic(), workers=None if workers is None else frozenset(workers))
        self.all.append(one)
        return one

    def note(self, what: str, workers: set[int] | None = None) -> Trouble:
        """Something happens in a moment."""
        one = self.begin(what, workers)
        self.over(one)
        return one

    def over(self, one: Trouble) -> None:
        """It is healed."""
        one.end = time.monotonic()

    def count(self, what: str) -> int:
        """How often that happened."""
        return sum(one.what == what for one in self.all)

    def explain(self, worker: int | None, after: float, before: float) -> bool:
        """Whether anything touched `worker` within that time."""
        return any(one.explains(worker, after, before) for one in self.all)
