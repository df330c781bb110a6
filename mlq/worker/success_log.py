"""Logs which jobs succeeded: one by one if they take a second or more, else summed up, since there may be thousands."""

import logging
import threading
import time
from collections import Counter
from collections.abc import Sequence

from mlq.worker.outbox import Ended

log = logging.getLogger("mlq.worker")

LONG = 1.0  # seconds of a job that gets a line of its own
EVERY = 5.0  # seconds between sums
NAMED = 5  # functions in one line


class SuccessLog:
    """Counts by the names of the functions. Any thread may count, one at a time flushes."""

    def __init__(self) -> None:
        """Nothing has succeeded."""
        self._counts: Counter[str] = Counter()
        self._last: tuple[str, float] = ("", 0.0)  # id and seconds of the last job, in case that it is the only one
        self._flushed = time.monotonic()
        self._lock = threading.Lock()

    def add(self, batch: Sequence[Ended]) -> None:
        """These jobs succeeded, and that is recorded."""
        if not log.isEnabledFor(logging.INFO):
            return
        short: Counter[str] = Counter()
        for ended in batch:
            attempt = ended.attempt
            names = ", ".join(listener.name for listener in attempt.listeners)
            if attempt.took >= LONG:
                log.info("job %s (%s) succeeded in %.1f s", attempt.claimed.id, names, attempt.took)
            else:
                short[names] += 1
                last = (attempt.claimed.id, attempt.took)
        if short:
            with self._lock:
                self._counts += short
                self._last = last

    def flush(self, *, now: bool = False) -> None:
        """Log the sum, if some seconds went by since the last one, or `now`."""
        moment = time.monotonic()
        if not self._counts or (moment - self._flushed < EVERY and not now):
            return
        with self._lock:
            counts, self._counts, (job_id, took) = self._counts, Counter(), self._last
            self._flushed = moment
        total = sum(counts.values())
        if total == 1:
            log.info("job %s (%s) succeeded in %.3f s", job_id, next(iter(counts)), took)
            return
        named = ", ".join(f"{count:,} {name}" for name, count in counts.most_common(NAMED))
        more = f", and {len(counts) - NAMED} other functions" if len(counts) > NAMED else ""
        log.info("%s jobs succeeded: %s%s", f"{total:,}", named, more)
