"""The duty that keeps time: renews leases, looks for those that ran out anywhere, and says that the worker lives."""

import os
import platform
import socket
import threading
import time
from collections.abc import Callable
from typing import Any

from mlq.errors import ServerError
from mlq.ops import Op
from mlq.ops import work as work_ops
from mlq.service import Service, log
from mlq.shell.sync import Shell
from mlq.worker.attempt import Attempt, Stage
from mlq.worker.desk import GRACE, LEASE, LOSSES, PAUSE, RENEW, Desk

ALIVE_EVERY = 2  # rounds
ALIVE = 10.0  # seconds that one sign of life lasts
STUCK = 16.0  # seconds without a turn of the claimer (it takes 5) after which the worker counts as unable to claim
ANSWER = 1.5  # seconds for one reply
CHUNK = 1000  # leases of one renewal


class Renewer(Service):
    """Renews every 1.5 s. Holds no lock while it talks to the server."""

    def __init__(
        self, desk: Desk, claimer_turned: Callable[[], float], callbacks_due: Callable[[], None],
        abandoned: Callable[[Attempt], None], died: Callable[[], None],
    ) -> None:  # fmt: skip
        """`claimer_turned`: when the claimer last went round; `abandoned`: told of each listener that lost its job."""
        super().__init__("renewer", died)
        self._desk = desk
        self._own_shell: Shell | None = None
        self._claimer_turned = claimer_turned
        self._callbacks_due = callbacks_due
        self._abandoned = abandoned
        self._round = 0
        self._hurry = threading.Event()
        self._began = time.time()

    @property
    def _shell(self) -> Shell:
        """A connection of its own: no listener's 64 MiB stand before a renewal, and two lost replies leave time."""
        if self._own_shell is None:
            self._own_shell = Shell(self._desk.shell.target, most=1, patience=RENEW, answer=ANSWER)
        return self._own_shell

    def turn(self) -> None:
        """One round, then rest."""
        started = time.monotonic()
        try:
            self._renew()
            self._look_round()
            self._desk.reached = time.monotonic()
            pause = RENEW
        except ServerError as error:
            log.warning("can't renew leases: %s", error)
            pause = 0.25
        self._hurry.wait(max(0.0, started + pause - time.monotonic()))
        self._hurry.clear()

    def hurry(self) -> None:
        """Say at once what this worker is: its listeners changed."""
        self._round = 0
        self._hurry.set()

    def stop(self, timeout: float | None = None) -> None:
        """End."""
        self.stopping.set()
        self._hurry.set()
        super().stop(timeout)
        if self._own_shell is not None:
            self._own_shell.close()

    def _renew(self) -> None:
        held = self._desk.held()
        for start in range(0, len(held), CHUNK):
            part = [attempt.claimed for attempt in held[start : start + CHUNK]]
            for lease in self._shell.run(work_ops.renew(self._desk.keys, part, LEASE)):
                attempt = self._desk.find(lease)
                if attempt is not None and self._desk.lose(attempt) is Stage.BEGUN:
                    self._abandoned(attempt)
        self._desk.wake_if_deaf()

    def _look_round(self) -> None:
        desk = self._desk
        ops: list[Op[Any]] = [work_ops.reap(desk.keys, PAUSE, GRACE, LOSSES)]
        if self._round % ALIVE_EVERY == 0 and time.monotonic() - self._claimer_turned() < STUCK:
            ops.append(work_ops.alive(desk.keys, desk.name, ALIVE, self._about()))
        self._round += 1
        reaped = self._shell.run_many(ops)[0]
        if reaped.taken:
            log.info("%d jobs of lapsed leases were taken back", reaped.taken)
        if reaped.callbacks_due:
            self._callbacks_due()

    def _about(self) -> dict[str, str | int | float]:
        desk = self._desk
        return {
            "host": socket.gethostname(),
            "pid": os.getpid(),
            "pool": "thread",
            "slots": desk.total,
            "running": len(desk.held()),
            "functions": ",".join(desk.listeners.names()),
            "python": platform.python_version(),
            "began": self._began,
        }
