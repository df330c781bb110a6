"""The duty that runs jobs apart: those that were lost with others, so that the one that kills is found, and it alone.

Apart means: the only attempt that runs in its process. A pool whose children run one attempt each may take such a job
at any time; elsewhere a worker takes one when it holds nothing else, and claims nothing until that one ended. Where no
worker happens to be idle, one after the other makes room: it claims nothing for up to 30 s, and if it still holds
something then, goes on as before, so that jobs of hours hold up nobody. What waits for an hour runs beside others
(reap.lua).
"""

import threading
import time
from collections.abc import Callable

from mlq.core.job import Claimed
from mlq.errors import ServerError
from mlq.ops import work as work_ops
from mlq.system.service import Service, TroubleLog
from mlq.worker.attempt import Attempt
from mlq.worker.shared import LEASE, Shared

LOOK = 0.5  # seconds between looks while this worker makes room
WATCH = 0.25  # seconds between looks at the attempt that runs apart: whether it waits for another job
PATIENCE = 5.0  # seconds that jobs wait for a worker that is idle by itself
ROOM = 30.0  # seconds that a worker may take to make room
RECOVERY = 60.0  # seconds before it does so again
RIGHT = 5.0  # seconds that the right to make room lasts without another look
STRICT = 6  # losses with others after which a child of its own is not apart enough: it may be killing the worker


class Apart(Service):
    """Looks when told that jobs wait to run apart."""

    def __init__(
        self, shared: Shared, give: Callable[[list[Claimed]], None], died: Callable[[], None], *, separates: bool
    ) -> None:
        """`give` has claimed jobs run. `separates`: the pool runs each attempt in a process of its own anyway."""
        super().__init__("apart", died)
        self._shared = shared
        self._give = give
        self._separates = separates
        self._due = threading.Event()
        self._trouble = TroubleLog("can't claim what is to run apart")
        self._running: Attempt | None = None
        self._since: float | None = None  # when it was first seen that something waits for this worker
        self._room_by: float | None = None  # this worker makes room until then
        self._alone_by = 0.0  # after that, others than those that run apart come again
        self._rest_until = 0.0

    def due(self) -> None:
        """Something waits to run apart."""
        self._due.set()
        if not self.stopping.is_set():
            self.start_once()

    def stop(self, timeout: float | None = None) -> None:
        """End."""
        self.stopping.set()
        self._due.set()
        super().stop(timeout)

    def turn(self) -> None:
        """Watch what runs apart, or look for what waits."""
        if self._running is not None:
            self._shared.wait_until(lambda: not self._runs(), WATCH)
            if self._runs():
                return
            self._running = None
            if time.monotonic() >= self._alone_by:
                self._go_on()  # others wait, too; the renewer tells again of what is left
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
        mine = [(job_id, losses) for job_id, lane, losses in found.jobs if shared.serves(lane)[0]]
        mine = self._take(mine)
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

    def _take(self, jobs: list[tuple[str, int]]) -> list[tuple[str, int]]:
        """Claim what this worker may run now; what is left. It ends with one that nothing may run beside."""
        shared = self._shared
        with shared.claiming:
            for i, (job_id, losses) in enumerate(jobs):
                beside = self._separates and losses < STRICT
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
        """With a slot, which is given back where the job waits no more."""
        shared = self._shared
        claimed: list[Claimed] = []
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
        """Whether nothing runs here but what waits for another job."""
        return all(attempt.waits for attempt in self._shared.held())
