"""A child under gevent's monkey-patching: every run is a greenlet, which can be killed if the run is given up."""

import asyncio
import threading
from typing import TYPE_CHECKING, Any, TypeVar

from mlq.core.job import Outcome
from mlq.pools.child import Child, Ready
from mlq.pools.loops import separate
from mlq.running.attempts import execute_on_loop
from mlq.running.context import lost
from mlq.running.execution import end_of_thread, keep_turning, own_context
from mlq.running.outcomes import failure
from mlq.running.together import execute_together_on_loop

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from mlq.pools.child_run import ChildRun

T = TypeVar("T")


class GreenChild(Child):
    """Coroutines share one event loop in its own greenlet; plain listeners may run event loops of their own."""

    def serve(self) -> None:
        """Read frames, and let greenlets execute the runs."""
        separate()
        self._loop = asyncio.new_event_loop()
        threading.Thread(target=keep_turning, args=(self._loop,), name="mlq-loop", daemon=True).start()
        self.read_from_now_on()
        self._tasks.get()

    def _can_wait(self) -> bool:
        """As in `Child`; gevent's hub, which also runs finalisers, can't wait either."""
        import gevent  # type: ignore[import-untyped]

        return super()._can_wait() and gevent.getcurrent() is not gevent.get_hub()

    def begin(self, runs: "list[ChildRun]", records: list[bytes]) -> None:
        """Run them in a greenlet."""
        import gevent

        greenlet = gevent.spawn(self.perform, runs, records)
        greenlet.link(lambda _: self._never_began(runs))
        for run in runs:
            run.end = lambda: None if any(one.held for one in runs) else greenlet.kill(block=False)

    def perform(self, runs: "list[ChildRun]", records: list[bytes]) -> None:
        """Execute them in this greenlet."""
        super().perform(runs, records)
        end_of_thread()

    def _never_began(self, runs: "list[ChildRun]") -> None:
        """Report the end of runs whose greenlet was killed before it began, since that greenlet can't."""
        for run in [run for run in runs if self._runs.pop(run.number, None) is not None]:
            outcome = failure(lost(run.claimed))
            self.wire.send("done", run.number, str(outcome.state), outcome.fields, None, outcome.hint, False, 0)  # noqa: FBT003 - a frame

    def _run(self, ready: Ready) -> Outcome:
        if not any(listener.is_async for listener in ready.listeners):
            return super()._run(ready)
        try:
            return self._on_the_loop(execute_on_loop(*ready, self._submit), [ready.channel])
        except BaseException as error:  # noqa: BLE001 - it was cancelled before it began
            return failure(error)

    def _run_together(self, ready: list[Ready]) -> list[Outcome]:
        if not ready[0].listeners[0].is_async:
            return super()._run_together(ready)
        try:
            together = execute_together_on_loop(ready, self._submit)
            return self._on_the_loop(together, [one.channel for one in ready])
        except BaseException as error:  # noqa: BLE001 - as above
            return [failure(error)] * len(ready)

    def _on_the_loop(self, turns: "Coroutine[Any, Any, T]", runs: "list[ChildRun]") -> T:
        """What a coroutine returns; it is cancelled when all of the runs were given up."""
        ended = threading.Event()
        task = self._loop.create_task(turns, context=own_context())
        task.add_done_callback(lambda _: ended.set())
        for run in runs:
            run.end = lambda: None if any(one.held for one in runs) else self._on_loop(task.cancel)
        self._on_loop(lambda: None)
        ended.wait()
        return task.result()

    def _on_loop(self, act: "Callable[[], object]") -> None:
        self._loop.call_soon_threadsafe(act)

    @staticmethod
    def _submit(task: "Callable[[], None]") -> None:
        threading.Thread(target=task, name="mlq-slot", daemon=True).start()
