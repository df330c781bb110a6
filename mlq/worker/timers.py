"""The duty that calls functions at a given time: to time an attempt out, or to check what waits too long."""

import heapq
import itertools
import threading
import time
from collections.abc import Callable

from mlq.system.service import Service

IDLE = 60.0  # seconds to sleep when there are no appointments
FEW = 1000  # up to so many appointments, those no longer wanted are not cleaned up

Appointment = tuple[float, int, Callable[[], bool], Callable[[], None]]


class Timers(Service):
    """Sleeps until the next appointment."""

    def __init__(self, died: Callable[[], None]) -> None:
        """No appointments."""
        super().__init__("timers", died)
        self._heap: list[Appointment] = []
        self._numbers = itertools.count()
        self._changed = threading.Condition()
        self._clean_at = FEW

    def after(self, seconds: float, wanted: Callable[[], bool], act: Callable[[], None]) -> None:
        """Call `act` after `seconds`, if it is still `wanted` then. Neither function may take long."""
        with self._changed:
            heapq.heappush(self._heap, (time.monotonic() + seconds, next(self._numbers), wanted, act))
            self.start_once()
            if len(self._heap) > self._clean_at:  # short jobs with long limits
                self._heap = [item for item in self._heap if item[2]()]
                heapq.heapify(self._heap)
                self._clean_at = max(FEW, 2 * len(self._heap))
            self._changed.notify()

    def turn(self) -> None:
        """Wait for the next appointment, and act on those that are due."""
        due = []
        with self._changed:
            now = time.monotonic()
            while self._heap and (self._heap[0][0] <= now or not self._heap[0][2]()):
                _, _, wanted, act = heapq.heappop(self._heap)
                if wanted():
                    due.append(act)
            if not due and not self.stopping.is_set():
                self._changed.wait(max(0.0, self._heap[0][0] - now) if self._heap else IDLE)
        for act in due:
            act()

    def stop(self, timeout: float | None = None) -> None:
        """End."""
        self.stopping.set()
        with self._changed:
            self._changed.notify()
        super().stop(timeout)
