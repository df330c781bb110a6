"""The process pool: listeners run in child processes that start fresh (never forked), stay warm, and can be killed.

This process runs no user code: it starts the children, hands them runs, and replaces those that died, were killed, have
served their number of jobs, or hold too much memory. One thread does everything that concerns children, except that the
thread which submits a run also sends it to a child with room.
"""

import contextlib
import itertools
import logging
import signal
import subprocess
import threading
import time
from collections import deque
from collections.abc import Sequence
from typing import Any

from mlq.core.job import Outcome
from mlq.core.states import State
from mlq.pools.answering import Answering, refuse
from mlq.pools.child_events import ChildEvents
from mlq.pools.child_process import STOP_AFTER, Child, Kernel, Limits, Program, exit_text, missing
from mlq.pools.contract import Run, Supervisor, Task, Told
from mlq.pools.groups import Groups
from mlq.pools.loading import ChildUploads, listener_of
from mlq.pools.orphans import Orphans
from mlq.pools.starts import FAILURES, Starts
from mlq.running.loads import Load

log = logging.getLogger("mlq.worker")

PAUSE = 0.05  # seconds for which a child that sends too much is not read
TICK = 0.2  # seconds between looks at children: which to kill or start, and which died without an event
NO_LIMITS = Limits()


class ProcessPool:
    """A child for each program, with `slots` runs at a time (1, except for gevent)."""

    def __init__(
        self, programs: Sequence[Program], *, slots: int = 1, limits: Limits = NO_LIMITS, name: str = "process"
    ) -> None:
        """Starts nothing yet."""
        self.name = name
        self._programs = programs
        self._size = len(programs)
        self._slots = slots
        self._limits = limits
        self._kills = name == "process"  # a gevent child is not killed: its other runs would die, too
        self._children: list[Child] = []
        self._waiting: deque[Task] = deque()
        self._numbers = itertools.count(1)
        self._lock = threading.RLock()
        self._answering = Answering()
        self._starts = Starts()
        self._events = ChildEvents()
        self._supervisor: Supervisor[Any] | None = None  # until the worker starts
        self._look_at = 0.0
        self._to_renew: deque[Child] = deque()
        self._closing = False
        self._kernel = Kernel()
        self._groups = Groups()
        self._orphans = Orphans()
        self._uploads = ChildUploads()
        self._thread = threading.Thread(target=self._main, name="mlq-children", daemon=True)

    def load(self) -> list[Any]:
        """Start the children, and wait for the first; returns the listeners that it found, see `frames`.

        Raises InputError if the listeners can't be loaded, MLQError if children die before they report.
        """
        self._thread.start()
        return self._starts.first()

    def start(self, supervisor: Supervisor[Any]) -> None:
        """Let children get runs, those that are ready and those that start later."""
        with self._lock:
            self._supervisor = supervisor
            for child in self._children:
                self._feed(child)

    def submit(self, tasks: Sequence[Task]) -> None:
        """Hand tasks to children with room. A child that must end a given-up run has none: they wait for another."""
        with self._lock:
            self._waiting.extend(tasks)
            for child in self._children:
                self._feed(child)

    def leave(self, run: Run) -> None:
        """The run waits: its child has room for one more run, which gets its own thread there."""
        self._move(run, away=True)

    def back(self, run: Run) -> None:
        """The run goes on."""
        self._move(run, away=False)

    def _move(self, run: Run, *, away: bool) -> None:
        with self._lock:
            for child in self._children:
                for number in [number for number, one in child.runs.items() if one is run]:
                    (child.away.add if away else child.away.discard)(number)
                    self._feed(child)

    def end(self, run: Run) -> bool:
        """Tell the run's child to end it; a child of the process pool is killed if it doesn't within a second."""
        with self._lock:
            for child in self._children:
                if child.give_up(run):
                    self._feed(child)
        return self._kills

    def loads(self) -> list[dict[str, Load]]:
        """What became of models, in each child."""
        with self._lock:
            return [known for child in self._children if (known := child.loads.all())]

    def renew(self) -> None:
        """Replace the children one by one, each when its runs have ended."""
        with self._lock:
            idle_first = sorted(self._children, key=lambda child: bool(child.runs))  # a long job delays no others
            self._to_renew = deque(idle_first)
        self._events.wake()

    def load_upload(self, name: str, code: bytes, told: Told) -> None:
        """Have children load an upload, each when it reads; `told` is called with the first child's result."""
        with self._lock:
            self._uploads.load_upload(name, code, told)
            for child in self._children:
                self._feed(child)

    def unload(self, name: str) -> None:
        """Have children forget an upload."""
        with self._lock:
            self._uploads.unload(name)
            for child in self._children:
                self._feed(child)

    def close(self) -> None:
        """Kill children that still run something, and end the others."""
        self._closing = True
        self._events.wake()
        if self._thread.is_alive():
            self._thread.join(STOP_AFTER + 2)
        self._answering.stop()

    def _feed(self, child: Child) -> None:
        """Send waiting runs to a child while it has room, and tell the worker if its number of places changed."""
        supervisor = self._supervisor
        if supervisor is None:
            return
        places, told = child.places(), child.told_places
        if places != told:
            child.told_places = places
            supervisor.resize(places - told)
        if child.uploads_sent != self._uploads.number and self._uploads.send_next(child):
            return
        while self._waiting and child.room() > 0:
            task = self._waiting.popleft()
            if supervisor.begin(task):
                child.run(task, self._numbers)

    # Everything below runs in the pool's own thread.

    def _main(self) -> None:
        try:
            while not self._closing:
                self._turn()
        except Exception:
            log.critical("the pool of this worker died; the worker stops", exc_info=True)
            self._break()
        finally:
            self._starts.over()
            self._end_all()

    def _turn(self) -> None:
        if time.monotonic() >= self._look_at:  # not in each turn: a look costs more than a run's frames
            self._look_after()
            self._start_missing()
            self._look_at = time.monotonic() + TICK
        for child, died in self._events.wait(max(0.0, self._look_at - time.monotonic())):
            if child is None:
                self._look_at = 0.0
            elif child in self._children:  # an earlier event may have buried it
                self._hear(child, died=died)

    def _start_missing(self) -> None:
        while len(self._children) < self._size and self._starts.due():
            try:
                child = Child(missing(self._programs, self._children), self._slots, kills=self._kills)
            except OSError as error:  # no process or file descriptor is left: the other children go on
                self._failed(str(error), refused=False)
                return
            self._groups.begin(child.pid)
            with self._lock:
                self._children.append(child)
            self._events.watch(child)

    def _look_after(self) -> None:
        self._events.resume()
        self._groups.look()
        self._orphans.collect({child.pid for child in self._children})
        for child in list(self._children):
            if child.gone():
                self._bury(child)
            elif child.overdue(time.monotonic()):
                child.process.kill()
            elif child.retiring:
                child.retire()
        with self._lock:
            self._renew_next()

    def _renew_next(self) -> None:
        complete = sum(child.ready for child in self._children) == self._size
        while self._to_renew and self._to_renew[0] not in self._children and complete:
            self._to_renew.popleft()
        if self._to_renew and self._to_renew[0].ready:  # a child that still loads the listeners does not read
            self._to_renew[0].retire()
            self._feed(self._to_renew[0])

    def _hear(self, child: Child, *, died: bool) -> None:
        full = [run.channel.full() for run in list(child.runs.values())]
        if any(full) and not died and child.process.poll() is None:
            self._events.pause(child)
            self._look_at = min(self._look_at, time.monotonic() + PAUSE)
            if all(full):  # if other runs in it may still report, it is read once per pause
                return
        if died and child.gone():
            self._bury(child)
            return
        try:
            for word, *rest in child.wire.receive():
                self._on(child, word, rest)
        except (EOFError, OSError):
            self._bury(child)
        except (TypeError, ValueError, LookupError) as error:  # other code wrote to its wire
            log.error("child %d sent an invalid frame (%s); it is replaced", child.pid, error)  # noqa: TRY400
            self._bury(child)

    def _on(self, child: Child, word: str, rest: list[Any]) -> None:
        if word == "done":
            self._done(child, *rest)
        elif word == "ready":
            self._ready(child, rest[0])
        elif child.notes(word, rest):
            return
        elif word in ("loaded", "refused"):
            self._heard(child, word, rest)
        else:
            run = child.runs.get(rest[0])
            if run is not None:
                self._answering.hear(child, run, word, rest)
            elif word == "call":
                refuse(child, rest[1])

    def _heard(self, child: Child, word: str, rest: list[Any]) -> None:
        with self._lock:
            if word == "loaded":
                self._uploads.heard(child, rest[0], listener_of(rest), "")
            else:
                self._uploads.heard(child, rest[0], None, rest[1])
            self._feed(child)

    def _ready(self, child: Child, found: list[Any]) -> None:
        with self._lock:
            child.ready = True
            self._feed(child)
        self._starts.succeeded(found)
        log.info("child %d is ready", child.pid)

    def _done(self, child: Child, number: int, state: str, fields: dict[str, Any], said: str | None, hint: str,
              again: bool, weight: int) -> None:  # fmt: skip  # noqa: FBT001 - a frame's item
        outcome = Outcome(State(state), fields, said, hint, again)  # first: an invalid frame must not end the run
        with self._lock:
            run = child.forget(number)
            if child.is_worn(self._limits, weight):
                child.retire()
            self._feed(child)
        if run is not None and self._supervisor is not None:
            self._go_on(self._supervisor.ended(run, outcome))

    def _died(self, run: Run, reason: str, words: str, beside: int) -> None:
        if self._supervisor is not None:
            self._go_on(self._supervisor.died(run, reason, words, beside))

    def _go_on(self, following: Task | None) -> None:
        if following is not None:
            self.submit([following])

    def _break(self) -> None:
        if self._supervisor is not None:
            self._supervisor.broken()

    def _bury(self, child: Child) -> None:
        """A child is gone: report its runs as lost, and have another child started."""
        self._look_at = 0.0
        self._events.forget(child)
        code = child.bury()
        self._groups.end(child.pid)
        reason = "oom" if code == -signal.SIGKILL and not child.given_up and self._kernel.killed() else "lost"
        with self._lock:
            self._children.remove(child)
            was_ready, child.ready = child.ready, False
            self._uploads.died(child)
            self._feed(child)
        suspects = child.runs.keys() - child.away
        for number, run in child.runs.items():
            self._died(run, reason, f"its child process {exit_text(code)}", len(suspects - {number}))
        if not was_ready:
            self._failed(child.refusal or f"it {exit_text(code)}", refused=child.refusal is not None)
        elif not (child.retiring or child.given_up or self._closing):
            log.warning("child %d %s", child.pid, exit_text(code))

    def _failed(self, why: str, *, refused: bool) -> None:
        """A child ended before it was ready; `refused`: it could not load the listeners."""
        starts = self._starts
        starts.failed(why, refused=refused)
        if starts.hopeless() and not any(child.ready for child in self._children):
            log.critical("%d starts of a child failed in a row; the worker gives up", FAILURES)
            self._break()
        if starts.useless():
            self._closing = True
            starts.over()

    def _end_all(self) -> None:
        for child in self._children:
            if child.runs:
                child.process.kill()
            else:
                child.send("stop")
        give_up = time.monotonic() + STOP_AFTER
        for child in self._children:
            with contextlib.suppress(subprocess.TimeoutExpired):
                child.process.wait(max(0.0, give_up - time.monotonic()))
            child.bury()
            self._groups.end(child.pid)
        self._groups.close()
        self._events.close()
