"""The solo pool: one run at a time, in the main thread, for libraries that insist on it."""

import queue
import threading
from collections.abc import Callable, Sequence
from functools import partial

from mlq.pools.contract import Run, perform
from mlq.pools.gate import Gate
from mlq.pools.surroundings import Surroundings
from mlq.running.spare_threads import Threads


class SoloPool:
    """Hands runs to the main thread, which calls `serve`. Only what that waits for runs beside it, on a thread."""

    name = "solo"

    def __init__(self) -> None:
        """One slot, always."""
        self._gate = Gate(1)
        self._runs: queue.SimpleQueue[Run | None] = queue.SimpleQueue()
        self._current: Run | None = None
        self._given_up: Run | None = None
        self._threads = Threads("mlq-slot")
        self._lock = threading.Lock()
        self._capacity: Callable[[int], None] = lambda _: None

    def start(self, capacity: Callable[[int], None], broken: Callable[[], None]) -> None:  # noqa: ARG002
        """Ready at once."""
        self._capacity = capacity
        capacity(1)

    def submit(self, runs: Sequence[Run]) -> None:
        """Queue them for the main thread."""
        self._begin(self._gate.add(runs))

    def leave(self, run: Run) -> None:
        """It waits: what it waits for can't run in the main thread, too."""
        self._begin(self._gate.leave(run))

    def back(self, run: Run) -> None:
        """It goes on."""
        self._gate.back(run)

    def end(self, run: Run) -> bool:
        """The main thread can't be interrupted: nothing else runs until its listener returns."""
        with self._lock:
            if run is self._current and self._given_up is None:
                self._given_up = run
                self._capacity(-1)
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
            perform(run)
            surroundings.put_back()
            with self._lock:
                self._current = None
                if self._given_up is run:
                    self._given_up = None
                    self._capacity(1)
            self._go_on(run)
            del run  # and its message, while this thread waits

    def _begin(self, runs: Sequence[Run]) -> None:
        for run in runs:
            if self._current is None:
                self._runs.put(run)
            else:
                self._threads.submit(partial(self._beside, run))

    def _beside(self, run: Run) -> None:
        perform(run)
        self._go_on(run)

    def _go_on(self, ended: Run) -> None:
        following = self._gate.next(ended)
        if following is not None:
            self._begin([following])
