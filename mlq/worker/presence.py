"""What a worker says of itself: that it lives, what it serves and counted; and what changed on the server meanwhile."""

import contextlib
import os
import platform
import socket
import time
from collections.abc import Callable

from mlq.errors import ServerError
from mlq.ops import uploads as upload_ops
from mlq.ops import work as work_ops
from mlq.shell.known import known_of
from mlq.shell.sync import Shell
from mlq.version import __version__
from mlq.worker.desk import KNOWN, Desk
from mlq.worker.reaping import Question

ALIVE_EVERY = 2  # rounds
ALIVE = 10.0  # seconds that one sign of life lasts
REGISTER_EVERY = 30.0  # seconds, below half of KNOWN; not rounds, which begin anew when slots or listeners change
STUCK = 16.0  # seconds without a turn of the claimer (it takes 10) after which the worker counts as unable to claim
SHOWN = 20  # ids of running jobs that a worker tells of itself


class Presence:
    """What the renewer says, and asks, about this worker."""

    def __init__(self, desk: Desk, pool: str, claimer_turned: Callable[[], float]) -> None:
        """`pool`: its name; `claimer_turned`: when the claimer last went round."""
        self._desk = desk
        self._pool = pool
        self._claimer_turned = claimer_turned
        self._round = 0
        self._register_at = time.monotonic() + REGISTER_EVERY
        self._began = time.time()

    def hurry(self) -> None:
        """Say in the next round what this worker is: its slots or listeners changed."""
        self._round = 0

    def due(self, shell: Shell) -> list[Question]:
        """What is to be said and asked in this round."""
        desk, now = self._desk, time.monotonic()
        questions: list[Question] = []
        if desk.accepts_uploads and not desk.idle():  # else it listens to its inbox
            questions.append(self.uploads())
        if self._round % ALIVE_EVERY == 0:
            if now - self._claimer_turned() < STUCK:
                alive = work_ops.alive(desk.keys, desk.name, ALIVE, self._about())
                questions.append((alive, lambda told: self._compare(told, shell)))
            if (delivery := desk.tally.delivery(desk.keys, desk.name)) is not None:
                questions.append((delivery, lambda _: desk.tally.delivered()))
        if desk.registered and now >= self._register_at:
            questions.append((work_ops.register(desk.keys, desk.served, KNOWN), self._registered))
        self._round += 1
        return questions

    def uploads(self) -> Question:
        """Ask whether uploads changed."""
        return upload_ops.version(self._desk.keys), self._compare_uploads

    def _registered(self, whole: bool) -> None:  # noqa: FBT001 - a reply
        """The server knows this worker's class for longer; where something of it was lost, the claimer mends that."""
        self._register_at = time.monotonic() + REGISTER_EVERY
        if not whole:
            self._desk.registered = False
            self._desk.nudge()

    def _compare_uploads(self, version: str) -> None:
        if version != self._desk.uploads_version:
            self._desk.uploads_due.set()

    def _compare(self, told: tuple[str, str], shell: Shell) -> None:
        """See whether uploads changed, or the server lost its data: it must give out no id again that was seen here."""
        uploads_version, epoch = told
        self._compare_uploads(uploads_version)
        known = known_of(shell.target, self._desk.keys)
        if known.highest and epoch not in known.epochs.values():
            with contextlib.suppress(ServerError):  # a full one: the rest of this round is more urgent
                shell.run_here(known.fence)

    def _about(self) -> dict[str, str | int | float]:
        desk = self._desk
        held = desk.held()
        running = [attempt.claimed.id for attempt in held if attempt.holds()]
        return {
            "host": socket.gethostname(),
            "pid": os.getpid(),
            "pool": self._pool,
            "slots": desk.slots.total,
            "running": len(held),
            "busy": sum(attempt.holds() and attempt.holds_slot for attempt in held),
            "jobs": ",".join(running[:SHOWN]),
            "claimed": desk.claimed,
            "queues": ",".join(desk.queues()),
            "functions": ",".join(desk.listeners.names()),
            "open": ",".join(queue for queue in desk.queues() if desk.listeners.chosen(queue)),
            "uploads": "accepted" if desk.accepts_uploads else "refused",
            "version": __version__,
            "python": platform.python_version(),
            "began": self._began,
        }
