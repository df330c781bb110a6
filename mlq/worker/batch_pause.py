"""How long a slot waits after a batch, so that clients which come back for their next prediction share the next batch.

A fixed number of clients, each of which posts again when it has its result, would otherwise be served in two halves
that take turns: while one half runs, the other one comes back. The pause is learned from how soon jobs are posted after
earlier batches. Under open load, when jobs come at any time, there is none. Pure: the times are arguments.
"""

import threading
from collections import deque
from collections.abc import Iterable

WINDOW = 0.5  # of the quickest batch: who waits for longer than that loses more than a batch of its own would cost
SHARE = 0.5  # of a batch's jobs: so many must have come back within the window
BURST = 0.8  # of all jobs that came until the next batch ended: by chance, half of them come within the window
WEIGHT = 0.2  # of the newest batch in the moving shares
LATE, MARGIN = 0.95, 1.1  # the pause is a little longer than it took this share of those that came back
BATCHES, DELAYS, OPEN = 50, 50, 3  # how many batches, delays, and batches that may still be answered, are remembered


class _End:
    """The end of a batch, and who came after it."""

    __slots__ = ("at", "came", "jobs", "soon", "window")

    def __init__(self, at: float, jobs: int, window: float) -> None:
        self.at = at
        self.jobs = jobs
        self.window = window
        self.came = 0  # jobs that were posted before the next batch ended
        self.soon = 0  # those of them that were posted within the window


class BatchPause:
    """Learns the pause for one listener. Safe to use from any thread."""

    def __init__(self, most: float, size: int) -> None:
        """`most`: seconds that a pause may have, 0 for none; `size`: the listener's `batch`."""
        self._most = most
        self._size = size
        self._took: deque[float] = deque(maxlen=BATCHES)
        self._delays: deque[float] = deque(maxlen=DELAYS)
        self._ends: deque[_End] = deque()
        self._share = self._burst = 0.0
        self._waited = False  # jobs of the newest batch were waiting when the one before ended
        self._lock = threading.Lock()

    def fits(self, most: float, size: int) -> bool:
        """Whether it is for such a listener, so that what it has learned is still true."""
        return (most, size) == (self._most, self._size)

    def begins(self, posted: Iterable[float]) -> None:
        """A batch begins; its jobs were posted at these times (seconds by the server's clock)."""
        with self._lock:
            times = list(posted)
            self._waited = bool(self._ends) and any(at < self._ends[-1].at for at in times)
            for at in times:
                self._came(at)

    def ended(self, at: float, jobs: int, took: float) -> float:
        """A batch of so many jobs ended after `took` seconds; returns for how many seconds to wait."""
        with self._lock:
            self._took.append(took)
            window = min(self._most, WINDOW * min(self._took))
            self._ends.append(_End(at, jobs, window))
            if len(self._ends) > OPEN:
                self._learn(self._ends.popleft())
            comes_back = self._share >= SHARE and self._burst >= BURST
            alone = jobs == 1 and not self._waited  # nobody would share its next batch
            if jobs >= self._size or alone or not comes_back:  # after a full batch, others wait already
                return 0.0
            return min(window, MARGIN * self._late())

    def _came(self, at: float) -> None:
        end = next((one for one in reversed(self._ends) if one.at <= at), None)
        if end is not None:
            end.came += 1
            delay = at - end.at
            if delay <= end.window:
                end.soon += 1
                self._delays.append(delay)

    def _learn(self, end: _End) -> None:
        self._share += (min(1.0, end.soon / end.jobs) - self._share) * WEIGHT
        self._burst += ((end.soon / end.came if end.came else 0.0) - self._burst) * WEIGHT

    def _late(self) -> float:
        """The delay within which nearly all of those came that came back."""
        delays = sorted(self._delays)
        return delays[int(LATE * (len(delays) - 1))] if delays else 0.0
