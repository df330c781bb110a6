"""The solo pool: one run at a time, in the main thread, for libraries that require it."""

import queue
import threading
from collections.abc import Sequence
from functools import partial
from typing import Any

from mlq.pools.contract import Pool, Run, Supervisor, Task, Together, perform
from mlq.pools.surroundings import Surroundings
from mlq.running.spare_threads import Threads


class SoloPool(Pool):
    """Hands runs to the main thread, which calls `serve`. While its run waits for a job, others run on threads."""

    name = "solo"

    def __init__(self) -> None:
        """The pool always has one slot."""
        self._tasks: queue.SimpleQueue[Task | None] = queue.SimpleQueue()
        self._current: Task | None = None
        self._given_up: Task | None = None
        self._waits = False  # the current run waits for another job
        self._threads = Threads("mlq-slot")
        self._lock = threading.Lock()

    def start(self, supervisor: Supervisor[Any]) -> None:
        """The pool is ready at once."""
        self._supervisor = supervisor
        supervisor.resize(1)

    def submit(self, tasks: Sequence[Task]) -> None:
        """Queue tasks for the main thread; while its run waits for another job, run them on threads beside it."""
        for task in tasks:
            if self._waits:
                self._threads.submit(partial(self._beside, task))
            else:
                self._tasks.put(task)

    def leave(self, run: Run) -> None:
        """The main thread waits, if this is its run."""
        self._waits = self._waits or run is self._current

    def back(self, run: Run) -> None:
        """The main thread goes on, if this is its run."""
        self._waits = self._waits and run is not self._current

    def end(self, run: Run) -> bool:
        """Give up the slot until the listener returns, since the main thread can't be interrupted."""
        with self._lock:
            if self._is_current(run) and self._given_up is None:
                self._given_up = self._current
                self._supervisor.resize(-1)
        return False

    def close(self) -> None:
        """Let `serve` return."""
        self._tasks.put(None)
        self._threads.stop()

    def serve(self) -> None:
        """Run what is submitted, in the calling thread, until `close`."""
        surroundings = Surroundings()
        while (task := self._tasks.get()) is not None:
            self._current = task
            following = perform(self._supervisor, task)
            surroundings.put_back()
            with self._lock:
                self._current, self._waits = None, False
                given_up, self._given_up = self._given_up is task, None
            if given_up:
                self._supervisor.resize(1)
            del task  # frees its message while this thread waits
            if following is not None:
                self.submit([following])

    def _is_current(self, run: Run) -> bool:
        """Whether the main thread runs it, by itself or as the last of a batch that still holds its job."""
        current = self._current
        return run is current or (isinstance(current, Together) and run in current.members and current.is_over())

    def _beside(self, task: Task) -> None:
        following = perform(self._supervisor, task)
        if following is not None:
            self.submit([following])
