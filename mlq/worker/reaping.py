"""Looks for expired leases, jobs that come due or expire, and lost wake-ups."""

import random
from collections.abc import Callable
from functools import partial
from typing import Any

from mlq.ops import Op
from mlq.ops import jobs as job_ops
from mlq.ops import work as work_ops
from mlq.system.service import log
from mlq.worker.round_clock import RoundClock
from mlq.worker.shared import GRACE, PAUSE, Shared

CHORES = 20  # calls after one look: each takes 2 ms of the server's time, and this thread has leases to renew
SPREAD = 0.01  # seconds within which workers look for a schedule that comes due

Question = tuple[Op[Any], Callable[[Any], None]]  # for the server, and what to do with the reply


class Reaping:
    """What the renewer asks about jobs that this worker does not hold."""

    def __init__(
        self, shared: Shared, clock: RoundClock, deliveries_due: Callable[[], None], apart_due: Callable[[], None],
        schedules_due: Callable[[], None],
    ) -> None:  # fmt: skip
        """Each is called after a look that finds such: deliveries, jobs to run apart, schedules that are due."""
        self._shared = shared
        self._clock = clock
        self._deliveries_due = deliveries_due
        self._apart_due = apart_due
        self._schedules_due = schedules_due

    def look(self) -> list[Question]:
        """Reap expired leases, move jobs that are due to their lanes, and ask whether jobs wait for this worker."""
        shared = self._shared
        first, *others = shared.names()
        op = work_ops.look(shared.keys, PAUSE, GRACE, shared.settings.max_losses - 1, first)
        return [(op, partial(self._looked, self._clock.retry_at)), *map(self._rests, others)]

    def missed(self) -> list[Question]:
        """Ask whether jobs wait for this idle worker.

        A wake-up goes to only one idle worker. If its host freezes at that moment, the others would sleep on.
        """
        return [self._rests(name) for name in self._shared.names()]

    def _rests(self, served: str) -> Question:
        return work_ops.rests(self._shared.keys, served), lambda rests: self._wake_if_missed(rests=rests)

    def _looked(self, retry_at: float | None, found: tuple[work_ops.Reaped, bool]) -> None:
        """Act on what the look found; `retry_at` is when the next job was due before the look."""
        reaped, rests = found
        self._wake_if_missed(rests=rests)
        self._clock.retries_moved(retry_at)
        if reaped.retry_in is not None:
            self._clock.retry_in(reaped.retry_in)
        self._clock.expiry_in(reaped.expires_in)
        self._tick_in(reaped.tick_in)
        if reaped.taken:
            log.info("jobs of expired leases taken back: %d", reaped.taken)
        if reaped.apart:
            self._apart_due()
        left, calls = reaped.chores, CHORES
        while left and calls:
            left, calls = self._shared.shell.run(job_ops.chores(self._shared.keys)), calls - 1
        if reaped.deliveries_due:
            self._deliveries_due()

    def _tick_in(self, seconds: float | None) -> None:
        if seconds == 0:
            self._schedules_due()
        # not all workers at once: whoever is first posts the job, and most others find that it is done
        late = SPREAD * random.random()  # noqa: S311 - no secret
        self._clock.tick_in(seconds + late if seconds else None)

    def _wake_if_missed(self, *, rests: bool) -> None:
        if not rests and self._shared.idle():
            self._shared.nudge()
