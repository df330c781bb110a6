"""The rules of other services by which a batch leaves. Pure: ages and durations, in seconds, are arguments."""

import statistics
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass

from benchmarks.models.peers import WINDOW
from benchmarks.models.work import MOST

TICK = 0.001  # seconds between two looks at the waiting jobs: what LitServe and BentoML take, too
BATCHES = 50  # batches that BentoML remembers
SHARE = 0.95  # of the usual wait, for which BentoML holds a batch at most


@dataclass(frozen=True)
class Waiting:
    """The jobs that wait while a slot is free: how many, and how old the first and the last one are."""

    jobs: int
    oldest: float
    newest: float


class Greedy:
    """What waits leaves at once. Built as the rules below, it shows what building a rule like that costs by itself."""

    def hold(self, waiting: Waiting) -> float:  # noqa: ARG002 - other rules need it
        """For how long to wait before the next look; 0: the batch leaves."""
        return 0.0

    def left(self, waiting: Waiting) -> None:
        """A batch of these leaves."""

    def ended(self, jobs: int, took: float) -> None:
        """A batch of so many jobs took so long."""


class Window(Greedy):
    """A batch leaves when it is full, or its first job is 5 ms old; on an idle slot, too."""

    def hold(self, waiting: Waiting) -> float:
        return 0.0 if waiting.jobs >= MOST else min(TICK, max(0.0, WINDOW - waiting.oldest))


class Bento(Greedy):
    """BentoML's: it holds a batch while that is likely to cost those in it less than the usual wait.

    A batch of n jobs is taken to last a * n + b, as fitted to the last batches.
    """

    def __init__(self) -> None:
        self._each = 0.0  # a, the seconds of each job; b is needed only to refuse jobs, and nothing is refused here
        self._batches: deque[tuple[int, float]] = deque(maxlen=BATCHES)
        self._waits: deque[float] = deque(maxlen=BATCHES)  # of the oldest job of each batch

    def hold(self, waiting: Waiting) -> float:
        usual = statistics.fmean(self._waits) if self._waits else 0.0
        holds = waiting.jobs < MOST and waiting.jobs * (waiting.newest + TICK + self._each) <= SHARE * usual
        return TICK if holds else 0.0

    def left(self, waiting: Waiting) -> None:
        self._waits.append(waiting.oldest)

    def ended(self, jobs: int, took: float) -> None:
        self._batches.append((jobs, took))
        self._each = slope(self._batches)


def slope(points: Iterable[tuple[int, float]]) -> float:
    """The slope of the line of least squares through these points, at least 0.

    Through points with one count go many such lines. As NumPy's `lstsq`, which BentoML calls, this takes the one whose
    two factors are smallest: for batches of one job, half of the time counts as the job's own.
    """
    counts, times = zip(*points, strict=True)
    if len(set(counts)) == 1:
        return float(counts[0] * statistics.fmean(times) / (counts[0] ** 2 + 1))
    return max(0.0, statistics.linear_regression(counts, times).slope)


RULES: dict[str, type[Greedy]] = {"apart": Greedy, "window": Window, "bento": Bento}
