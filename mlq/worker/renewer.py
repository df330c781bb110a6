"""The duty that renews leases, and in the same rounds looks for expired ones and sends heartbeats."""

import time
from collections.abc import Callable

from mlq.errors import ServerError
from mlq.ops import work as work_ops
from mlq.shell.sync import Shell
from mlq.system import memory
from mlq.system.service import Service, TroubleLog
from mlq.worker.presence import Presence
from mlq.worker.reaping import Question, Reaping
from mlq.worker.round_clock import RoundClock
from mlq.worker.shared import LEASE, RENEW, Shared

ANSWER = 1.5  # seconds for one reply
CHUNK = 1000  # leases per renewal
RETRY = 0.25  # seconds between rounds while the server is in trouble


class Renewer(Service):
    """Makes a round every 1.5 s, or sooner when the clock says so. Holds no lock while it talks to the server."""

    def __init__(
        self, shared: Shared, clock: RoundClock, reaping: Reaping, presence: Presence, lost: Callable[[str], None],
        died: Callable[[], None],
    ) -> None:  # fmt: skip
        """`lost` is called with each lease that this worker no longer holds."""
        super().__init__("renewer", died)
        self._shared = shared
        self._clock = clock
        self._reaping = reaping
        self._presence = presence
        self._lost = lost
        self._own_shell: Shell | None = None
        self._trouble = TroubleLog("can't renew leases")
        self._halfway = False  # between two rounds
        self._had_large_buffers = False

    @property
    def _shell(self) -> Shell:
        """Its own connection: no listener's 64 MiB delay a renewal, and two lost replies still leave time."""
        if self._own_shell is None:
            self._own_shell = Shell(self._shared.shell.target, most=1, patience=RENEW, answer=ANSWER)
        return self._own_shell

    def turn(self) -> None:
        """Make one round, then rest; halfway to the next round, look for news that this worker may have missed."""
        started = time.monotonic()
        try:
            if self._halfway:
                self._ask([*self._news(), *self._presence.holding()])
            else:
                self._renew()
                self._ask([*self._reaping.look(), *self._presence.due(self._shell), *self._presence.holding()])
            self._trouble.over()
            self._halfway = not self._halfway
            pause = RENEW / 2
        except ServerError as error:
            self._trouble.log(error)
            self._halfway = False
            pause = RETRY
        self._give_memory_back()
        self._shared.successes.flush()
        if self._clock.rest(started + pause):
            self._halfway = False

    def hurry(self) -> None:
        """Send a heartbeat at once: the slots or listeners changed."""
        self._presence.hurry()
        self._clock.hurry()

    def stop(self, timeout: float | None = None) -> None:
        """End."""
        self.stopping.set()
        self._clock.hurry()
        super().stop(timeout)
        if self._own_shell is not None:
            self._own_shell.close()

    def _renew(self) -> None:
        held = self._shared.held()
        for start in range(0, len(held), CHUNK):
            part = [attempt.claimed for attempt in held[start : start + CHUNK]]
            for lease in self._shell.run(work_ops.renew(self._shared.keys, part, LEASE)):
                self._lost(lease)
        self._shared.wake_for_free_slot()

    def _news(self) -> list[Question]:
        """Questions about news it may have missed: jobs, if it is idle; uploads, if it can't read its inbox."""
        if self._shared.idle():
            return self._reaping.missed()
        return [self._presence.uploads()] if self._shared.accepts_uploads else []

    def _ask(self, questions: list[Question]) -> None:
        """Ask all questions in one round trip."""
        if not questions:
            return
        replies = self._shell.run_many([op for op, _ in questions])
        for (_, heed), reply in zip(questions, replies, strict=True):
            heed(reply)

    def _give_memory_back(self) -> None:
        """Free memory one round after a large value went through this process: most likely it is recorded by now."""
        had_large_buffers, self._had_large_buffers = self._had_large_buffers, self._shared.has_large_buffers
        self._shared.has_large_buffers = False
        if had_large_buffers:
            self._shared.shell.close()  # an idle connection's buffer is as large as the last message that came over it
            memory.give_back()
