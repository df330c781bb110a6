"""The code inside a child process: runs listeners, and calls its worker for everything that concerns the queue.

While there is one run at a time and it makes no calls, the main thread reads frames itself, which saves two thread
switches per job. The first call (or a second slot) starts a thread that reads from then on. A run that arrives while
the main thread is busy, because its listener waits for another job, gets its own thread.
"""

import contextlib
import itertools
import os
import queue
import threading
import traceback
from typing import TYPE_CHECKING, Any, NamedTuple

from mlq import errors
from mlq.core.job import Claimed, Outcome, Record
from mlq.errors import InputError, LeaseLost, MLQError, Undecodable
from mlq.pools.child_run import ChildRun
from mlq.pools.frames import Wire
from mlq.pools.lifeline import orphaned
from mlq.pools.loading import load_listener
from mlq.pools.surroundings import Surroundings
from mlq.running.attempts import execute
from mlq.running.listeners import Listener, Listeners
from mlq.running.outcomes import failure
from mlq.running.together import execute_together
from mlq.running.uploaded import Uploaded
from mlq.system import memory
from mlq.system.turn import Turn

if TYPE_CHECKING:
    from collections.abc import Callable

FLUSH = 1.0  # seconds between checks whether a call is still to be sent


class Ready(NamedTuple):
    """A run with what it is to do: the arguments of `execute`."""

    channel: ChildRun
    claimed: Claimed
    record: Record
    listeners: tuple[Listener, ...]


class Child:
    """Serves one worker until it says stop, or dies."""

    def __init__(self, wire: Wire, listeners: Listeners, *, weigh: bool) -> None:
        """`weigh`: send the resident memory with each outcome."""
        self.wire = wire
        self._listeners = listeners
        self._uploaded = Uploaded(listeners)
        self._weigh = weigh
        self._runs: dict[int, ChildRun] = {}
        self._answers: dict[int, queue.SimpleQueue[tuple[str, Any]]] = {}
        self._calls = itertools.count(1)
        self._tasks: queue.SimpleQueue[tuple[list[ChildRun], list[bytes]] | None] = queue.SimpleQueue()
        self._main_is_busy = False
        self._reader: threading.Thread | None = None
        self._reading = threading.Lock()
        self._pid = os.getpid()
        self._turn = Turn()  # to read frames from now on
        self._surroundings = Surroundings()
        self._on: dict[str, Callable[..., None]] = {
            "run": self._on_run, "cancel": self._on_cancel, "answer": self._on_answer, "stop": self._on_stop,
            "batch": self._on_batch, "load": self._on_load, "unload": self._on_unload, "warm": self._on_warm,
        }  # fmt: skip

    def serve(self) -> None:
        """Run what the worker sends, in this thread as long as there is one run at a time."""
        while True:
            if self._reader is None:
                self._read_once()
                if self._reader is None and self._tasks.empty():
                    continue
            task = self._tasks.get()
            if task is None:
                return
            self.perform(*task)
            del task  # frees its message while this thread waits

    def read_from_now_on(self) -> None:
        """Have a thread read the wire, if none does. Several may start; the first one reads, and the others end."""
        if self._reader is None:
            threading.Thread(target=self._turn.run, args=(self._read,), name="mlq-wire", daemon=True).start()

    def ask(self, number: int, name: str, *arguments: Any) -> Any:
        """Have the worker call a method of the run's channel. Raises what that raises, or LeaseLost after the run."""
        if number not in self._runs:  # the caller may be a finaliser that interrupts this thread's reading
            raise LeaseLost("this attempt is through, and may ask nothing more")
        if not self._can_wait():
            raise InputError(f"{name} is called by a finaliser where nobody could read the answer")
        self.read_from_now_on()
        call = next(self._calls)
        answer = self._answers[call] = queue.SimpleQueue()
        self.wire.send("call", number, call, name, arguments)
        kind, value = self._answer(answer)
        if kind:
            raise _error(kind, value)
        return value

    def _can_wait(self) -> bool:
        """Whether this thread can wait for an answer: the thread that reads answers can't."""
        return threading.current_thread() is not self._reader

    def _answer(self, answer: "queue.SimpleQueue[tuple[str, Any]]") -> tuple[str, Any]:
        while True:
            with contextlib.suppress(queue.Empty):
                return answer.get(timeout=FLUSH)
            self.wire.flush()  # the thread that was to send the call may have been interrupted

    def begin(self, runs: "list[ChildRun]", records: list[bytes]) -> None:
        """Run them in the main thread if that is idle, else in a thread of their own."""
        if self._reader is not None and self._main_is_busy:
            threading.Thread(target=self.perform, args=(runs, records), name="mlq-slot", daemon=True).start()
        else:
            self._main_is_busy = True
            self._tasks.put((runs, records))

    def perform(self, runs: "list[ChildRun]", records: list[bytes]) -> None:
        """Execute one run, or those of a batch, in this thread."""
        outcomes = self._execute(runs, records)
        for run in runs:
            self._runs.pop(run.number, None)
            run.held = False  # for code that has kept the run's context
        alone = not self._runs
        if in_main := threading.current_thread() is threading.main_thread():
            self._main_is_busy = False  # before the worker knows, since it may send the next run at once
        weight = memory.resident() if self._weigh else 0
        for run, outcome in zip(runs, outcomes, strict=True):
            self._tell("done", run.number, str(outcome.state), outcome.fields, outcome.said, outcome.hint,
                       outcome.again, weight)  # fmt: skip
        large = max(*map(len, records), *(outcome.size for outcome in outcomes)) > memory.LARGE
        records.clear()  # the caller still has the list
        del outcomes
        if large:
            memory.give_back()
        if alone and in_main:
            self._surroundings.put_back()  # while the worker settles; its next frame waits for this thread

    def _execute(self, runs: "list[ChildRun]", records: list[bytes]) -> list[Outcome]:
        found = [self._read_record(*one) for one in zip(runs, records, strict=True)]
        if ready := [one for one in found if isinstance(one, Ready)]:
            ended = iter(self._run_together(ready) if runs[0].together else [self._run(ready[0])])
        return [next(ended) if isinstance(one, Ready) else one for one in found]

    def _read_record(self, run: ChildRun, packed: bytes) -> "Ready | Outcome":
        """What the run is to do; if that is not possible, its outcome."""
        try:
            record = Record.parse(packed)
        except Undecodable as error:
            return failure(error)
        listeners = self._listeners.chosen(record.lane)
        if not listeners:
            return failure(InputError("the listener that this job asks for was removed before it began"))
        if run.together and not (len(listeners) == 1 and listeners[0].batch):
            return failure(InputError("the listener that this job asks for takes no batches any more"))
        return Ready(run, run.claimed, record, listeners)

    def _run(self, ready: "Ready") -> Outcome:
        return execute(*ready)

    def _run_together(self, ready: "list[Ready]") -> list[Outcome]:
        return execute_together(ready)

    def _read(self) -> None:
        self._reader = threading.current_thread()
        try:
            while self._read_once():
                pass
        except BaseException:  # noqa: BLE001 - memory or threads ran out: a child that can't read would hold its jobs
            traceback.print_exc()
            os._exit(1)

    def _read_once(self) -> bool:
        """Do what the next frames say. False in a process that a listener forked: it has the reading greenlet, too."""
        with self._reading:
            try:
                frames = list(self.wire.receive())
            except (EOFError, OSError):
                if os.getpid() != self._pid:
                    return False
                orphaned()
        for word, *rest in frames:
            self._on[word](*rest)
        return True

    def _on_run(self, number: int, job_id: str, attempt: int, worker: str, started: float, record: bytes) -> None:
        self.begin([self._new_run(number, job_id, attempt, worker, started)], [record])

    def _on_batch(self, sent: list[Any]) -> None:
        runs = [self._new_run(*one, together=True) for *one, _ in sent]
        self.begin(runs, [record for *_, record in sent])

    def _new_run(
        self, number: int, job_id: str, attempt: int, worker: str, started: float, *, together: bool = False
    ) -> ChildRun:
        claimed = Claimed(job_id, attempt, "", worker, started, b"")
        run = self._runs[number] = ChildRun(self, number, claimed, together=together)
        return run

    def _on_cancel(self, number: int) -> None:
        run = self._runs.get(number)
        if run is not None:
            run.held = False
            if run.end is not None:
                run.end()

    def _on_answer(self, call: int, kind: str, value: Any) -> None:
        self._answers.pop(call).put((kind, value))

    def _on_load(self, name: str, code: bytes) -> None:
        try:
            listener = load_listener(name, code)
        except InputError as error:
            self._tell("refused", name, str(error))
        else:
            self._uploaded.put(listener)
            self._tell("loaded", name, listener.takes_context, listener.is_async)

    def _tell(self, *frame: Any) -> None:
        try:
            self.wire.send(*frame)
        except ConnectionError:  # another OSError may come from a signal handler that a listener left
            orphaned()

    def _on_unload(self, name: str) -> None:
        self._uploaded.remove(name)

    def _on_warm(self, names: list[str]) -> None:
        self._listeners.warm_up(names)

    def _on_stop(self) -> None:
        self._tasks.put(None)


def _error(kind: str, words: str) -> MLQError:
    found = getattr(errors, kind, None)
    return found(words) if isinstance(found, type) and issubclass(found, MLQError) else MLQError(words)
