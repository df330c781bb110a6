"""The duty that declares the schedules of this worker's code, and posts the jobs of all schedules that are due.

Every worker does that for every schedule of its namespace, whichever jobs it runs. Which one is first does not matter:
`fire.lua` does nothing for a tick that another one was faster with.
"""

import random
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

from mlq.core.schedule import BY_CODE, Firing, Schedule
from mlq.core.timing import UnknownZone
from mlq.errors import MLQError, ServerError, Undecodable
from mlq.ops import schedules as schedule_ops
from mlq.ops.schedules import Fired, Known
from mlq.shell.known_ids import in_epoch
from mlq.system.service import Service, TroubleLog, log
from mlq.worker.shared import Shared

if TYPE_CHECKING:
    from mlq.ops import Op

AGAIN = 1.0  # seconds before another try, if the server could not be asked or did not accept a job
AT_ONCE = 1_000_000  # bytes of the records of one call
LATER = 3600.0  # seconds until workers look again at a schedule that can't be read


class Schedules(Service):
    """Declares and fires when `due` says that there is something to do."""

    def __init__(self, shared: Shared, tick_in: Callable[[float | None], None], died: Callable[[], None]) -> None:
        """`tick_in` is told in how many seconds the next schedule is due, once that has changed."""
        super().__init__("schedules", died)
        self._shared = shared
        self._tick_in = tick_in
        self._due = threading.Event()
        self._starting = threading.Lock()
        self._declared: dict[str, Schedule] = {}
        self._trouble = TroubleLog("can't post the jobs of schedules")
        self._refused: dict[str, TroubleLog] = {}  # by schedule

    def due(self) -> None:
        """A schedule is due, or one was added to the code."""
        self._due.set()
        with self._starting:
            if not self.stopping.is_set():
                self.start_once()

    def code_changed(self) -> None:
        """Listeners were added or removed, perhaps with schedules."""
        if self._of_code() != self._declared:
            self.due()

    def _of_code(self) -> dict[str, Schedule]:
        listeners = self._shared.listeners
        return listeners.scheduled.of(listeners.names())

    def stop(self, timeout: float | None = None) -> None:
        """End."""
        self.stopping.set()
        self._due.set()
        super().stop(timeout)

    def turn(self) -> None:
        """Wait for something to do, then do all of it."""
        self._due.wait()
        self._due.clear()
        if self.stopping.is_set():
            return
        try:
            self._declare()
            while self._fire_some() and not self.stopping.is_set():
                pass
            self._trouble.over()
        except ServerError as error:
            self._trouble.log(error)
            self._due.set()
            self.stopping.wait(AGAIN)

    def _declare(self) -> None:
        """Declare what the code has and was not declared yet."""
        shared, wanted = self._shared, self._of_code()
        self._declared = {name: one for name, one in self._declared.items() if wanted.get(name) == one}
        for name, schedule in wanted.items():
            if name in self._declared:
                continue
            now = shared.shell.run(schedule_ops.clock(shared.keys))
            try:
                word = shared.shell.run(
                    schedule_ops.declare(shared.keys, schedule, schedule.timing.after(now, now), BY_CODE)
                )
                if word != "same":
                    log.info("schedule %r is declared: %s", name, schedule.timing.words())
            except ServerError:
                raise
            except MLQError as error:
                log.error("schedule %r can't be declared: %s", name, error)
            self._declared[name] = schedule

    def _fire_some(self) -> bool:
        """Post the jobs of some schedules that are due; whether there may be more of them."""
        shared = self._shared
        now, found = shared.shell.run(schedule_ops.due(shared.keys))
        random.shuffle(found)  # else all workers would try the same ones at the same time
        moved, tick_in = 0, None
        for known in found:
            fired = self._fire(known, now)
            if fired is not None:
                tick_in = fired.tick_in
                moved += fired.word in ("posted", "overlaps", "none")  # else another worker was faster, or it is full
        if found:
            self._tick_in(tick_in or None)  # one that is still due waits for the next look
        return moved > 0

    def _fire(self, known: Known, now: float) -> Fired | None:
        """Post the jobs of one schedule; None if it can't be read here."""
        trouble = self._refused.setdefault(known.name, TroubleLog(f"no job is posted for schedule {known.name!r:.80}"))
        try:
            schedule = known.schedule()
        except UnknownZone as error:  # a worker with newer zones may be there
            trouble.log(error)
            return None
        except Undecodable as error:
            trouble.log(error)
            return self._post(known, None, Firing([], now + LATER, 0))
        fired = self._post(known, schedule, self._firing(known, schedule, now))
        if fired.word == "refused":
            trouble.log(MLQError(f"the post was refused ({fired.why:.80}); it is tried again"))
        else:
            trouble.over()
            del self._refused[known.name]
        if fired.posted is not None:
            log.debug("schedule %r is due: job %s", known.name, fired.posted.id)
        return fired

    def _firing(self, known: Known, schedule: Schedule, now: float) -> Firing:
        due, last = float(known.due), known.last or 0.0
        if due == 0:  # the clock was set back: what is due was forgotten
            return Firing([], schedule.timing.after_set_back(now, last, known.anchor or now), 0)
        firing = schedule.firing(due, now)
        room = max(1, AT_ONCE // (len(known.body) + 100))
        if len(firing.ticks) > room:  # the next call goes on with the rest
            return Firing(firing.ticks[:room], firing.ticks[room], firing.missed)
        return firing

    def _post(self, known: Known, schedule: Schedule | None, firing: Firing) -> Fired:
        shared = self._shared
        with shared.shell.callers.borrow() as caller:
            name, number = caller.name, caller.number

            def make(epoch: str) -> "Op[Fired | None]":
                return schedule_ops.fire(shared.keys, known, schedule, firing, (name, number), epoch)

            return in_epoch(shared.shell, shared.keys, make)
