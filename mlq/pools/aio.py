"""The asyncio pool: thousands of `async def` listeners on one event loop, in a thread of its own.

Leases are renewed elsewhere, so a listener that blocks the loop costs the other listeners time, but no lease.
"""

import asyncio
import logging
import threading
from collections import deque
from collections.abc import Callable, Sequence
from contextvars import Context
from functools import partial

from mlq.pools.contract import Run
from mlq.pools.gate import Gate
from mlq.running.execution import execute_on_loop, keep_turning, own_context
from mlq.running.outcomes import failure
from mlq.running.spare_threads import Threads

log = logging.getLogger("mlq.worker")


class AsyncioPool:
    """Runs coroutines on a loop, and plain functions on threads beside it."""

    name = "asyncio"

    def __init__(self, slots: int) -> None:
        """`slots`: runs at a time."""
        self._slots = slots
        self._loop = asyncio.new_event_loop()
        self._gate = Gate(slots)
        self._admitted: deque[Run] = deque()
        self._tasks: dict[Run, asyncio.Task[None]] = {}
        self._woken = False
        self._lock = threading.Lock()
        self._threads = Threads("mlq-slot")
        self._thread = threading.Thread(target=self._main, name="mlq-loop", daemon=True)

    def start(self, capacity: Callable[[int], None], broken: Callable[[], None]) -> None:
        """Start the loop."""
        self._broken = broken
        self._thread.start()
        capacity(self._slots)

    def submit(self, runs: Sequence[Run]) -> None:
        """Begin them on the loop."""
        self._admit(self._gate.add(runs))

    def leave(self, run: Run) -> None:
        """Another run takes its place."""
        self._admit(self._gate.leave(run))

    def back(self, run: Run) -> None:
        """It goes on."""
        self._gate.back(run)

    def end(self, run: Run) -> bool:
        """Cancel its coroutine, which may catch that and go on; its place is another's from now on."""
        self._admit(self._gate.give_up(run))
        self._loop.call_soon_threadsafe(self._cancel, run)
        return False

    def close(self) -> None:
        """Cancel what still runs, and end the loop."""
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join(2)  # its tasks have one second
        self._threads.stop()

    def _admit(self, runs: list[Run]) -> None:
        """Have the loop begin these; it is woken once for all that wait."""
        if not runs:
            return
        self._admitted.extend(runs)
        with self._lock:
            wake, self._woken = not self._woken, True
        if wake:
            self._loop.call_soon_threadsafe(self._begin, context=Context())  # not that of a job whose place is taken

    def _begin(self) -> None:
        with self._lock:
            self._woken = False
        while self._admitted:
            self._start(self._admitted.popleft())

    def _start(self, run: Run | None) -> None:
        while run is not None:
            if run.begin():
                task = self._tasks[run] = self._loop.create_task(self._perform(run), context=own_context())
                task.add_done_callback(partial(self._through, run))
                return
            run = self._gate.next(run)

    async def _perform(self, run: Run) -> None:
        run.done(await execute_on_loop(run.line, run.claimed, run.record, run.listeners, self._threads.submit))

    def _through(self, run: Run, task: "asyncio.Task[None]") -> None:
        del self._tasks[run]
        if task.cancelled():  # before its first step
            run.done(failure(asyncio.CancelledError()))
        self._start(self._gate.next(run))

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
            self._broken()
        finally:
            self._loop.close()
