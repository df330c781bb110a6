"""Watches listeners that run on after their job was taken from them: if there are too many, the worker stops."""

import logging
import time
from collections.abc import Callable

from mlq.worker.batch import Unit
from mlq.worker.timers import Timers

log = logging.getLogger("mlq.worker")

STUCK_AFTER = 2.0  # seconds that a listener which can't be killed has to end, once its job was taken
STUCK_LIMIT = 8  # listeners that run on; with so many, a fresh process is better


class Stuck:
    """Remembers since when listeners run on."""

    def __init__(self, worker: str, timers: Timers, died: Callable[[], None]) -> None:
        """`died` ends the worker."""
        self._worker = worker
        self._timers = timers
        self._died = died
        self._since: dict[Unit, float] = {}

    def add(self, attempt: Unit) -> None:
        """The attempt's job was taken from it."""
        self._since[attempt] = time.monotonic()
        self._timers.after(STUCK_AFTER, lambda: attempt in self._since, self._judge)

    def remove(self, attempt: Unit) -> None:
        """The attempt has ended, or will be killed."""
        self._since.pop(attempt, None)

    def _judge(self) -> None:
        latest = time.monotonic() - STUCK_AFTER
        if sum(since <= latest for since in tuple(self._since.values())) >= STUCK_LIMIT:
            log.critical(
                "%d listeners of worker %s run on though their jobs were taken; it stops", STUCK_LIMIT, self._worker
            )
            self._died()
