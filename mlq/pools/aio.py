"""The asyncio pool: runs thousands of `async def` listeners on one event loop, in its own thread.

Another thread renews the leases, so a listener that blocks the loop delays the other listeners, but costs no lease.
"""

import asyncio
import logging
import threading
from collections import deque
from collections.abc import Coroutine, Sequence
from contextvars import Context
from functools import partial
from typing import Any

from mlq.pools.contract import Pool, Run, Supervisor, Task, Together
from mlq.running.attempts import execute_on_loop
from mlq.running.execution import keep_turning, own_context
from mlq.running.outcomes import failure
from mlq.running.spare_threads import Threads
from mlq.running.together import execute_together_on_loop

log = logging.getLogger("mlq.worker")


class AsyncioPool(Pool):
    """Runs coroutines on an event loop, and plain functions on threads beside it."""

    name = "asyncio"

    def __init__(self, slots: int) -> None:
        """`slots`: runs at a time."""
        self._slots = slots
        self._loop = asyncio.new_event_loop()
        self._submitted: deque[Task] = deque()
        self._tasks: dict[Task, asyncio.Task[Any]] = {}
        self._woken = False
        self._lock = threading.Lock()
        self._threads = Threads("mlq-slot")
        self._thread = threading.Thread(target=self._main, name="mlq-loop", daemon=True)

    def start(self, supervisor: Supervisor[Any]) -> None:
        """Start the loop."""
        self._supervisor = supervisor
        self._thread.start()
        supervisor.resize(self._slots)

    def submit(self, tasks: Sequence[Task]) -> None:
        """Begin these on the loop, which is woken once for all that wait."""
        if not tasks:
            return
        self._submitted.extend(tasks)
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

    def _start(self, task: Task) -> None:
        if not self._supervisor.begin(task):
            return
        turns: Coroutine[Any, Any, Any]
        if isinstance(task, Together):
            turns = execute_together_on_loop(task.members, self._threads.submit)
        else:
            turns = execute_on_loop(task.channel, task.claimed, task.record, task.listeners, self._threads.submit)
        running = self._tasks[task] = self._loop.create_task(turns, context=own_context())
        running.add_done_callback(partial(self._through, task))

    def _through(self, task: Task, running: "asyncio.Task[Any]") -> None:
        del self._tasks[task]
        following: Task | None = None
        if isinstance(task, Together):
            nothing = [failure(asyncio.CancelledError())] * len(task.members)
            for run, outcome in zip(task.members, nothing if running.cancelled() else running.result(), strict=True):
                following = self._supervisor.ended(run, outcome) or following
        else:
            outcome = failure(asyncio.CancelledError()) if running.cancelled() else running.result()  # before it began
            following = self._supervisor.ended(task, outcome)
        if following is not None:
            self._start(following)

    def _cancel(self, run: Run) -> None:
        batches = (one for one in self._tasks if isinstance(one, Together))
        task = (
            run if run in self._tasks else next((one for one in batches if run in one.members and one.is_over()), None)
        )
        if task is not None:
            self._tasks[task].cancel()

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
