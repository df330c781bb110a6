"""The process pool: listeners run in child processes that start fresh (never forked), stay warm, and can be killed.

This process runs no user code: it starts the children, hands them runs, and replaces those that died, were killed, have
served their number of jobs, or hold too much memory. One thread does everything that concerns children, except that the
thread which submits a run also sends it to a child with room.
"""

import itertools
import logging
import signal
import threading
import time
from collections.abc import Sequence
from typing import Any

from mlq.core.job import Outcome
from mlq.core.states import State
from mlq.pools.answering import Answering, refuse
from mlq.pools.child_events import ChildEvents
from mlq.pools.child_process import STOP_AFTER, Child, Kernel, Limits, Program, end_all
from mlq.pools.contract import Run, Supervisor, Task, Told
from mlq.pools.groups import Groups
from mlq.pools.loading import ChildUploads
from mlq.pools.orphans import Orphans
from mlq.pools.placing import AnyChild, Placing, Start, end_refused
from mlq.pools.renewal import Renewal
from mlq.pools.starts import FAILURES, Starts
from mlq.running.loads import Load, LoadCount, LoadCounts
from mlq.system.exits import exit_text

log = logging.getLogger("mlq.worker")

PAUSE = 0.05  # seconds for which a child that sends too much is not read
TICK = 0.2  # seconds between looks at children: which to kill or start, and which died without an event
NO_LIMITS = Limits()


class ProcessPool:
    """Children with `slots` runs at a time (1, except for gevent): one for each program, or as `place_by` says."""

    def __init__(
        self, programs: Sequence[Program], *, slots: int = 1, limits: Limits = NO_LIMITS, name: str = "process"
    ) -> None:
        """Starts nothing yet."""
        self.name = name
        self._placing: Placing = AnyChild(programs)
        self._slots = slots
        self._limits = limits
        self._kills = name == "process"  # a gevent child is not killed: its other runs would die, too
        self._children: list[Child] = []
        self._numbers = itertools.count(1)
        self._lock = threading.RLock()
        self._answering = Answering()
        self._starts = Starts()
        self._events = ChildEvents()
        self._supervisor: Supervisor[Any] | None = None  # until the worker starts
        self._look_at = 0.0
        self._renewal = Renewal()
        self._closing = False
        self._kernel = Kernel()
        self._groups = Groups()
        self._orphans = Orphans()
        self._uploads = ChildUploads()
        self.counts = LoadCounts()
        self._thread = threading.Thread(target=self._main, name="mlq-children", daemon=True)

    def load(self) -> list[Any]:
        """Start the children, and wait for the first; returns the listeners that it found, see `frames`.

        Raises InputError if the listeners can't be loaded, MLQError if children die before they report.
        """
        self._thread.start()
        return self._starts.first()

    def place_by(self, placing: Placing) -> None:
        """Have this decide which children there are, and what they run. Call it before `start`."""
        with self._lock:
            self._placing = placing
            for child in self._children:
                placing.heard(child)

    def start(self, supervisor: Supervisor[Any]) -> None:
        """Let children get runs, those that are ready and those that start later."""
        with self._lock:
            self._supervisor = supervisor
            supervisor.resize(self._placing.slots)
            self._feed()

    def submit(self, tasks: Sequence[Task]) -> None:
        """Hand tasks to children with room. A child that must end a given-up run has none: they wait for another."""
        with self._lock:
            self._placing.add(tasks)
            self._feed()

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
            known = [*(child.loads.all() for child in self._children), self._placing.broken()]
            return [one for one in known if one]

    def load_counts(self) -> dict[str, LoadCount]:
        """How often models were loaded and unloaded in children, since the last call."""
        return self.counts.take()

    def renew(self) -> None:
        """Replace the children one by one, each when its runs have ended."""
        with self._lock:
            self._renewal.begin(self._children)
        self._events.wake()

    def load_upload(self, name: str, code: bytes, told: Told) -> None:
        """Have children load an upload, each when it reads; `told` is called with the first child's result."""
        with self._lock:
            self._uploads.load_upload(name, code, told)
            self._feed()

    def unload(self, name: str) -> None:
        """Have children forget an upload."""
        with self._lock:
            self._uploads.unload(name)
            self._feed()

    def close(self) -> None:
        """Kill children that still run something, and end the others."""
        self._closing = True
        self._events.wake()
        if self._thread.is_alive():
            self._thread.join(STOP_AFTER + 2)
        self._answering.stop()

    def _feed(self, changed: Child | None = None) -> None:
        """Send waiting runs to children with room; if only one of them changed, perhaps only to that one."""
        if self._supervisor is not None:
            for child in self._placing.look(self._children, changed):
                self._feed_one(child, self._supervisor)
            if self._placing.is_short():
                self._events.wake()

    def _feed_one(self, child: Child, supervisor: Supervisor[Any]) -> None:
        """Send waiting runs to a child while it has room, and tell the worker if its number of places changed."""
        places, told = self._placing.places(child), child.told_places
        if places != told:
            child.told_places = places
            supervisor.resize(places - told)
        if child.uploads_sent != self._uploads.number and self._uploads.send_next(child):
            return
        while (task := self._placing.take(child)) is not None:
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
            if self._placing.refused and self._supervisor is not None:
                self.submit(list(end_refused(self._placing.refused, self._supervisor)))
            self._start_missing()
            self._look_at = time.monotonic() + TICK
        for child, died in self._events.wait(max(0.0, self._look_at - time.monotonic())):
            if child is None:
                self._look_at = 0.0
            elif child in self._children:  # an earlier event may have buried it
                self._hear(child, died=died)

    def _start_missing(self) -> None:
        while self._starts.due() and (start := self._missing()) is not None:
            try:
                child = Child(start.program, self._slots, kills=self._kills, counts=self.counts)
            except OSError as error:  # no process or file descriptor is left: the other children go on
                self._failed(str(error), refused=False)
                return
            child.key = start.key
            self._groups.begin(child.pid)
            with self._lock:
                self._children.append(child)
            self._events.watch(child)

    def _missing(self) -> Start | None:
        with self._lock:
            return self._placing.missing(self._children)

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
            complete = self._placing.is_complete(self._children)
            if (ending := self._renewal.next(self._children, complete=complete)) is not None:
                self._feed(ending)

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
            self._ready(child, *rest)
        elif not self._noted(child, word, rest):
            run = child.runs.get(rest[0])
            if run is not None:
                self._answering.hear(child, run, word, rest)
            elif word == "call":
                refuse(child, rest[1])

    def _noted(self, child: Child, word: str, rest: list[Any]) -> bool:
        """Whether the frame is about what the child has loaded."""
        with self._lock:
            if child.notes(word, rest):
                self._placing.heard(child)
            elif not self._uploads.heard(child, word, rest):
                return False
            self._feed(child)
        return True

    def _ready(self, child: Child, found: list[Any], weight: int) -> None:
        with self._lock:
            child.weight, child.ready = int(weight), True
            self._placing.heard(child)
            self._feed(child)
        self._starts.succeeded(found)
        log.info("child %d is ready", child.pid)

    def _done(self, child: Child, number: int, state: str, fields: dict[str, Any], said: str | None, hint: str,
              again: bool, weight: int) -> None:  # fmt: skip  # noqa: FBT001 - a frame's item
        outcome, weight = Outcome(State(state), fields, said, hint, again), int(weight)  # it raises before the run ends
        with self._lock:
            run = child.forget(number)
            if child.is_worn(self._limits, weight):
                child.retire()
            self._feed(child)
        if run is not None and self._supervisor is not None:
            self._go_on(self._supervisor.ended(run, outcome))

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
            words, beside = f"its child process {exit_text(code)}", len(suspects - {number})
            if self._supervisor is not None:
                self._go_on(self._supervisor.died(run, reason, words, beside))
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
        for child in end_all(self._children):
            self._groups.end(child.pid)
        self._groups.close()
        self._events.close()
