"""The solo pool: one run at a time, in the main thread, for libraries that require it."""

import queue
import threading
from collections.abc import Sequence
from functools import partial
from typing import Any

from mlq.pools.contract import Pool, Run, Supervisor, perform
from mlq.pools.surroundings import Surroundings
from mlq.running.spare_threads import Threads


class SoloPool(Pool):
    """Hands runs to the main thread, which calls `serve`. While its run waits for a job, others run on threads."""

    name = "solo"

    def __init__(self) -> None:
        """The pool always has one slot."""
        self._runs: queue.SimpleQueue[Run | None] = queue.SimpleQueue()
        self._current: Run | None = None
        self._given_up: Run | None = None
        self._waits = False  # the current run waits for another job
        self._threads = Threads("mlq-slot")
        self._lock = threading.Lock()

    def start(self, supervisor: Supervisor[Any]) -> None:
        """The pool is ready at once."""
        self._supervisor = supervisor
        supervisor.resize(1)

    def submit(self, runs: Sequence[Run]) -> None:
        """Queue runs for the main thread; while its run waits for another job, run them on threads beside it."""
        for run in runs:
            if self._waits:
                self._threads.submit(partial(self._beside, run))
            else:
                self._runs.put(run)

    def leave(self, run: Run) -> None:
        """The main thread waits, if this is its run."""
        self._waits = self._waits or run is self._current

    def back(self, run: Run) -> None:
        """The main thread goes on, if this is its run."""
        self._waits = self._waits and run is not self._current

    def end(self, run: Run) -> bool:
        """Give up the slot until the listener returns, since the main thread can't be interrupted."""
        with self._lock:
            if run is self._current and self._given_up is None:
                self._given_up = run
                self._supervisor.resize(-1)
        return False

    def close(self) -> None:
        """Let `serve` return."""
        self._runs.put(None)
        self._threads.stop()

    def serve(self) -> None:
        """Run what is submitted, in the calling thread, until `close`."""
        surroundings = Surroundings()
        while (run := self._runs.get()) is not None:
            self._current = run
            following = perform(self._supervisor, run)
            surroundings.put_back()
            with self._lock:
                self._current, self._waits = None, False
                given_up, self._given_up = self._given_up is run, None
            if given_up:
                self._supervisor.resize(1)
            del run  # frees its message while this thread waits
            if following is not None:
                self.submit([following])

    def _beside(self, run: Run) -> None:
        following = perform(self._supervisor, run)
        if following is not None:
            self.submit([following])
