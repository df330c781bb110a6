"""The duty that runs jobs apart: jobs that were lost together with others, to find out which of them kills its process.

Apart means: the only attempt that runs in its process. A pool whose children run one attempt each may take such a job
at any time. Any other worker takes one when it holds nothing else, and claims nothing until that attempt has ended.
If no worker happens to be idle, the workers make room, one after the other: a worker claims nothing for up to 30 s, and
if it still holds something then, it goes on as before, so that a job that takes hours does not stop the worker. A job
that has waited to run apart for an hour runs beside others after all (reap.lua).
"""

import threading
import time
from collections.abc import Callable

from mlq.core.job import Claimed
from mlq.errors import ServerError
from mlq.ops import work as work_ops
from mlq.ops.work import Claim
from mlq.system.service import Service, TroubleLog
from mlq.worker.attempt import Attempt
from mlq.worker.shared import LEASE, Shared

LOOK = 0.5  # seconds between looks while this worker makes room
WATCH = 0.25  # seconds between checks whether the attempt that runs apart waits for another job
PATIENCE = 5.0  # seconds that jobs wait for a worker that happens to be idle, before one makes room
ROOM = 30.0  # seconds that a worker may take to make room
RECOVERY = 60.0  # seconds before it makes room again
RIGHT = 5.0  # seconds that the right to make room lasts unless another look extends it
STRICT = 6  # losses with others after which a child of its own is not enough: the job may be killing the worker


class Apart(Service):
    """Looks for jobs that wait to run apart, when `due` says that there are some."""

    def __init__(
        self, shared: Shared, give: Callable[[list[Claimed]], None], died: Callable[[], None], *, separates: bool
    ) -> None:
        """`give` hands claimed jobs to the pool. `separates`: the pool runs each attempt in its own process anyway."""
        super().__init__("apart", died)
        self._shared = shared
        self._give = give
        self._separates = separates
        self._due = threading.Event()
        self._trouble = TroubleLog("can't claim what is to run apart")
        self._running: Attempt | None = None
        self._since: float | None = None  # when this worker first saw a job waiting that it can run
        self._room_by: float | None = None  # this worker makes room until then
        self._alone_by = 0.0  # after that, this worker claims other jobs again
        self._rest_until = 0.0

    def due(self) -> None:
        """Look: a job waits to run apart."""
        self._due.set()
        if not self.stopping.is_set():
            self.start_once()

    def stop(self, timeout: float | None = None) -> None:
        """End."""
        self.stopping.set()
        self._due.set()
        super().stop(timeout)

    def turn(self) -> None:
        """Watch the attempt that runs apart, or look for a job that waits."""
        if self._running is not None:
            self._shared.wait_until(lambda: not self._runs(), WATCH)
            if self._runs():
                return
            self._running = None
            if time.monotonic() >= self._alone_by:
                self._go_on()  # other jobs wait, too; the renewer calls `due` again for the rest
                return
        elif self._room_by is not None:
            self._shared.wait_until(self._is_alone, LOOK)
        else:
            self._due.wait()
        self._due.clear()
        if self.stopping.is_set():
            return
        try:
            self._look()
            self._trouble.over()
        except ServerError as error:
            self._trouble.log(error)
            self._go_on()
            self.stopping.wait(1.0)

    def _look(self) -> None:
        shared, now = self._shared, time.monotonic()
        wants = self._since is not None and now >= max(self._since + PATIENCE, self._rest_until)
        found = shared.shell.run(work_ops.apart(shared.keys, shared.name, RIGHT if wants else 0))
        mine = self._take([one for one in found.jobs if shared.serves(one[1])[0]])
        if self._running is not None:
            return
        if not mine:
            self._since = None
            self._go_on()
            return
        self._since = self._since or now
        if found.my_turn and self._room_by is None:
            self._room_by = now + ROOM
            shared.slots.close()
        elif not found.my_turn or now >= (self._room_by or 0.0):
            self._go_on()

    def _take(self, jobs: list[tuple[str, str, int]]) -> list[tuple[str, str, int]]:
        """Claim the jobs that this worker may run now; returns the rest. Stops at a job that must run alone."""
        shared = self._shared
        with shared.claiming:
            for i, (job_id, lane, losses) in enumerate(jobs):
                beside = self._separates and losses < STRICT and shared.is_open(lane)
                if self.stopping.is_set() or not shared.slots.total or not (beside or self._is_alone()):
                    return jobs[i:]
                if not beside:
                    shared.slots.overdraw()
                elif not shared.slots.take_one():
                    return jobs[i:]
                attempt = self._claim(job_id, closes=not beside)
                if attempt is not None and not beside:
                    self._running, self._since, self._room_by = attempt, None, None
                    return jobs[i + 1 :]
        return []

    def _claim(self, job_id: str, *, closes: bool) -> Attempt | None:
        """Claim a job for a slot that was taken already; gives the slot back if the job no longer waits."""
        shared = self._shared
        claimed = Claim()
        try:
            op = work_ops.claim_apart(shared.keys, shared.name, next(shared.numbers), job_id, LEASE)
            claimed = shared.shell.run(op)
        finally:
            if not claimed:
                shared.slots.give()
        if not claimed:
            return None
        if closes and not shared.slots.close():
            self._alone_by = time.monotonic() + ROOM
        self._give(claimed)
        if shared.limits:
            shared.wake_for_free_slot()
        return shared.find(claimed[0].lease)

    def _go_on(self) -> None:
        """Claim as usual again."""
        if self._room_by is not None:
            self._room_by = None
            self._rest_until = time.monotonic() + RECOVERY
        if self._shared.slots.open():
            self._shared.nudge()

    def _runs(self) -> bool:
        attempt = self._running
        return attempt is not None and self._shared.find(attempt.claimed.lease) is attempt and not attempt.waits

    def _is_alone(self) -> bool:
        """Whether every attempt here waits for another job, or there is none."""
        return all(attempt.waits for attempt in self._shared.held())
