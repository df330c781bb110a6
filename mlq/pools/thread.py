"""The thread pool: a thread per slot, for listeners that release the GIL, and for anything where one slot is enough."""

import logging
from collections.abc import Callable, Sequence
from functools import partial

from mlq.pools.contract import Run, perform
from mlq.pools.gate import Gate
from mlq.running.spare_threads import Threads

log = logging.getLogger("mlq.worker")


class ThreadPool:
    """Runs each attempt on a thread. One that the worker gave up keeps its thread; the next one gets another."""

    name = "thread"

    def __init__(self, slots: int) -> None:
        """`slots`: runs at a time."""
        self._slots = slots
        self._gate = Gate(slots)
        self._threads = Threads("mlq-slot")

    def start(self, capacity: Callable[[int], None], broken: Callable[[], None]) -> None:
        """Threads start when they are needed."""
        self._broken = broken
        capacity(self._slots)

    def submit(self, runs: Sequence[Run]) -> None:
        """Hand runs to threads; a thread goes on with what waits."""
        self._begin(self._gate.add(runs))

    def leave(self, run: Run) -> None:
        """Another run takes its place, on another thread."""
        self._begin(self._gate.leave(run))

    def back(self, run: Run) -> None:
        """It goes on."""
        self._gate.back(run)

    def end(self, run: Run) -> bool:
        """A thread can't be killed: it may ask `context.cancelled`. Its place is another's from now on."""
        self._begin(self._gate.give_up(run))
        return False

    def close(self) -> None:
        """Let the threads end."""
        self._threads.stop()

    def _begin(self, runs: Sequence[Run]) -> None:
        for run in runs:
            self._threads.submit(partial(self._work, run))

    def _work(self, run: Run | None) -> None:
        try:
            while run is not None:
                perform(run)
                run = self._gate.next(run)
        except Exception:  # else its job would run for ever, and its slot be lost
            log.critical("a thread of this worker died; the worker stops", exc_info=True)
            self._broken()
