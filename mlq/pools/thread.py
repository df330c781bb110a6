"""The thread pool: one thread per slot, for listeners that release the GIL, or wherever one slot is enough."""

import logging
from collections.abc import Sequence
from functools import partial
from typing import Any

from mlq.pools.contract import Pool, Run, Supervisor, Task, perform
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

    def submit(self, tasks: Sequence[Task]) -> None:
        """Hand tasks to threads; when one ends, its thread goes on with the next one."""
        for task in tasks:
            self._threads.submit(partial(self._work, task))

    def end(self, run: Run) -> bool:  # noqa: ARG002 - part of the contract
        """A thread can't be killed; its listener may check `context.cancelled`."""
        return False

    def close(self) -> None:
        """Let the threads end."""
        self._threads.stop()

    def _work(self, task: Task | None) -> None:
        try:
            while task is not None:
                task = perform(self._supervisor, task)
        except Exception:  # otherwise its job would run for ever, and its slot would be lost
            log.critical("a thread of this worker died; the worker stops", exc_info=True)
            self._supervisor.broken()
