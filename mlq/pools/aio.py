"""The asyncio pool: runs thousands of `async def` listeners on one event loop, in its own thread.

Another thread renews the leases, so a listener that blocks the loop delays the other listeners, but costs no lease.
"""

import asyncio
import logging
import threading
from collections import deque
from collections.abc import Sequence
from contextvars import Context
from functools import partial
from typing import TYPE_CHECKING, Any

from mlq.pools.contract import Pool, Run, Supervisor
from mlq.running.execution import execute_on_loop, keep_turning, own_context
from mlq.running.outcomes import failure
from mlq.running.spare_threads import Threads

if TYPE_CHECKING:
    from mlq.core.job import Outcome

log = logging.getLogger("mlq.worker")


class AsyncioPool(Pool):
    """Runs coroutines on an event loop, and plain functions on threads beside it."""

    name = "asyncio"

    def __init__(self, slots: int) -> None:
        """`slots`: runs at a time."""
        self._slots = slots
        self._loop = asyncio.new_event_loop()
        self._submitted: deque[Run] = deque()
        self._tasks: dict[Run, asyncio.Task[Outcome]] = {}
        self._woken = False
        self._lock = threading.Lock()
        self._threads = Threads("mlq-slot")
        self._thread = threading.Thread(target=self._main, name="mlq-loop", daemon=True)

    def start(self, supervisor: Supervisor[Any]) -> None:
        """Start the loop."""
        self._supervisor = supervisor
        self._thread.start()
        supervisor.resize(self._slots)

    def submit(self, runs: Sequence[Run]) -> None:
        """Begin these runs on the loop, which is woken once for all that wait."""
        if not runs:
            return
        self._submitted.extend(runs)
        with self._lock:
            wake, self._woken = not self._woken, True
        if wake:
            self._loop.call_soon_threadsafe(self._begin, context=Context())  # not the context of the run that ended

    def end(self, run: Run) -> bool:
        """Cancel the run's coroutine, which may catch the cancellation and go on."""
        self._loop.call_soon_threadsafe(self._cancel, run)
        return False

    def close(self) -> None:
        """Cancel the runs that are left, and end the loop."""
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join(2)  # its tasks have one second
        self._threads.stop()

    def _begin(self) -> None:
        with self._lock:
            self._woken = False
        while self._submitted:
            self._start(self._submitted.popleft())

    def _start(self, run: Run) -> None:
        if self._supervisor.begin(run):
            turns = execute_on_loop(run.channel, run.claimed, run.record, run.listeners, self._threads.submit)
            task = self._tasks[run] = self._loop.create_task(turns, context=own_context())
            task.add_done_callback(partial(self._through, run))

    def _through(self, run: Run, task: "asyncio.Task[Outcome]") -> None:
        del self._tasks[run]
        outcome = failure(asyncio.CancelledError()) if task.cancelled() else task.result()  # before it began
        following = self._supervisor.ended(run, outcome)
        if following is not None:
            self._start(following)

    def _cancel(self, run: Run) -> None:
        task = self._tasks.get(run)
        if task is not None:
            task.cancel()

    def _main(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            keep_turning(self._loop)
            for task in (tasks := list(self._tasks.values())):
                task.cancel()
            if tasks:
                self._loop.run_until_complete(asyncio.wait(tasks, timeout=1))
            self._loop.run_until_complete(self._loop.shutdown_asyncgens())
        except Exception:
            log.critical("the event loop of this worker died; the worker stops", exc_info=True)
            self._supervisor.broken()
        finally:
            self._loop.close()
