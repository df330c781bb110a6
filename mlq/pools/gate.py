"""Lets so many runs go on at a time, in the order of coming; for pools that share one process."""

import threading
from collections import deque
from collections.abc import Sequence

from mlq.pools.contract import Run


class Gate:
    """A run that waits for another job, or was given up, leaves its place to the next. Safe to use from any thread."""

    def __init__(self, places: int) -> None:
        """`places`: runs at a time."""
        self._places = places
        self._taken = 0
        self._queue: deque[Run] = deque()
        self._inside: set[Run] = set()  # begun, and not ended; what is said of others comes too late
        self._away: set[Run] = set()
        self._given_up: set[Run] = set()
        self._lock = threading.Lock()

    def add(self, runs: Sequence[Run]) -> list[Run]:
        """Take these in; those that may begin now."""
        with self._lock:
            self._queue.extend(runs)
            return self._admitted()

    def next(self, ended: Run) -> Run | None:
        """A run has ended: the one to begin in its place."""
        with self._lock:
            self._inside.discard(ended)
            self._given_up.discard(ended)
            if ended in self._away:
                self._away.discard(ended)
            else:
                self._taken -= 1
            if self._queue and self._taken < self._places:
                return self._enter()
            return None

    def leave(self, run: Run) -> list[Run]:
        """A run leaves its place; those that may begin for it."""
        with self._lock:
            if run in self._away or run not in self._inside:
                return []
            self._away.add(run)
            self._taken -= 1
            return self._admitted()

    def give_up(self, run: Run) -> list[Run]:
        """A run leaves its place for good, however long it goes on; those that may begin for it."""
        with self._lock:
            if run in self._inside:
                self._given_up.add(run)
        return self.leave(run)

    def back(self, run: Run) -> None:
        """A run that had left goes on, whether there is room or not."""
        with self._lock:
            if run in self._away and run not in self._given_up:
                self._away.discard(run)
                self._taken += 1

    def _admitted(self) -> list[Run]:
        admitted = []
        while self._queue and self._taken < self._places:
            admitted.append(self._enter())
        return admitted

    def _enter(self) -> Run:
        self._taken += 1
        run = self._queue.popleft()
        self._inside.add(run)
        return run
