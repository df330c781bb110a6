"""The thread pool: one thread per slot, for listeners that release the GIL, or wherever one slot is enough."""

import logging
from collections.abc import Sequence
from functools import partial
from typing import Any

from mlq.pools.contract import Pool, Run, Supervisor, perform
from mlq.running.spare_threads import Threads

log = logging.getLogger("mlq.worker")


class ThreadPool(Pool):
    """Runs each attempt on a thread. An attempt that was given up keeps its thread; the next one gets another."""

    name = "thread"

    def __init__(self, slots: int) -> None:
        """`slots`: runs at a time."""
        self._slots = slots
        self._threads = Threads("mlq-slot")

    def start(self, supervisor: Supervisor[Any]) -> None:
        """Threads start when they are needed."""
        self._supervisor = supervisor
        supervisor.resize(self._slots)

    def submit(self, runs: Sequence[Run]) -> None:
        """Hand runs to threads; when a run ends, its thread goes on with the next one."""
        for run in runs:
            self._threads.submit(partial(self._work, run))

    def end(self, run: Run) -> bool:  # noqa: ARG002 - part of the contract
        """A thread can't be killed; its listener may check `context.cancelled`."""
        return False

    def close(self) -> None:
        """Let the threads end."""
        self._threads.stop()

    def _work(self, run: Run | None) -> None:
        try:
            while run is not None:
                run = perform(self._supervisor, run)
        except Exception:  # otherwise its job would run for ever, and its slot would be lost
            log.critical("a thread of this worker died; the worker stops", exc_info=True)
            self._supervisor.broken()
