"""The duty that keeps time: renews leases, looks for those that ran out anywhere, and says that the worker lives."""

import contextlib
import os
import platform
import socket
import threading
import time
from collections.abc import Callable
from functools import partial
from typing import Any

from mlq.errors import ServerError
from mlq.ops import Op
from mlq.ops import uploads as upload_ops
from mlq.ops import work as work_ops
from mlq.shell.known import known_of
from mlq.shell.sync import Shell
from mlq.system import memory
from mlq.system.service import Complaint, Service, log
from mlq.version import __version__
from mlq.worker.desk import GRACE, KNOWN, LEASE, PAUSE, RENEW, Desk

ALIVE_EVERY = 2  # rounds
ALIVE = 10.0  # seconds that one sign of life lasts
REGISTER_EVERY = 30.0  # seconds, below half of KNOWN; not rounds, which begin anew when slots or listeners change
STUCK = 16.0  # seconds without a turn of the claimer (it takes 10) after which the worker counts as unable to claim
ANSWER = 1.5  # seconds for one reply
CHUNK = 1000  # leases of one renewal
LEAST = 0.05  # seconds of a rest before a retry that is due: many of them must not become a busy loop
SHOWN = 20  # ids of running jobs that a worker tells of itself


class Renewer(Service):
    """Renews every 1.5 s, and sooner when a retry is due. Holds no lock while it talks to the server."""

    def __init__(
        self, desk: Desk, pool: str, claimer_turned: Callable[[], float], deliveries_due: Callable[[], None],
        lost: Callable[[str], None], apart_due: Callable[[], None], died: Callable[[], None],
    ) -> None:  # fmt: skip
        """`claimer_turned`: when the claimer last went round; `lost`: told of each lease that is no longer ours.

        `apart_due`: told while jobs wait to run apart.
        """
        super().__init__("renewer", died)
        self._desk = desk
        self._pool = pool
        self._own_shell: Shell | None = None
        self._claimer_turned = claimer_turned
        self._deliveries_due = deliveries_due
        self._lost = lost
        self._apart_due = apart_due
        self._trouble = Complaint("can't renew leases")
        self._round = 0
        self._register_at = time.monotonic() + REGISTER_EVERY
        self._halfway = False  # between two rounds
        self._was_swollen = False
        self._changed = threading.Condition()
        self._hurried = False
        self._retry_at: float | None = None  # when the next retry is due, by the monotonic clock
        self._began = time.time()

    @property
    def _shell(self) -> Shell:
        """A connection of its own: no listener's 64 MiB stand before a renewal, and two lost replies leave time."""
        if self._own_shell is None:
            self._own_shell = Shell(self._desk.shell.target, most=1, patience=RENEW, answer=ANSWER)
        return self._own_shell

    def turn(self) -> None:
        """One round, then rest; halfway to the next one, look whether a wake-up was lost."""
        started = time.monotonic()
        try:
            if self._halfway:
                self._look_for_news()
            else:
                self._renew()
                self._look_round()
            self._trouble.over()
            self._halfway = not self._halfway
            pause = RENEW / 2
        except ServerError as error:
            self._trouble.tell(error)
            self._halfway = False
            pause = 0.25
        was_swollen, self._was_swollen = self._was_swollen, self._desk.swollen
        self._desk.swollen = False
        if was_swollen:  # and is now recorded, most likely
            self._desk.shell.close()  # an idle connection's buffer is as large as the last message that came over it
            memory.give_back()
        if self._rest(started + pause):
            self._halfway = False

    def _rest(self, until: float) -> bool:
        """Wait; True when a whole round is due before: there is news, or a retry is due, in 50 ms at least."""
        soonest = time.monotonic() + LEAST
        with self._changed:
            while not self._hurried:
                due = until if self._retry_at is None else max(soonest, min(until, self._retry_at))
                left = due - time.monotonic()
                if left <= 0:
                    return due < until
                self._changed.wait(left)
            self._hurried = False
            return True

    def expects_retry(self) -> bool:
        """Whether a job of this namespace waits for the time of its retry."""
        return self._retry_at is not None

    def retry_in(self, seconds: float) -> None:
        """A retry is due then, as far as is known."""
        at = time.monotonic() + seconds
        with self._changed:
            if self._retry_at is None or at < self._retry_at:
                self._retry_at = at
                self._changed.notify()

    def hurry(self) -> None:
        """Say at once what this worker is: its listeners changed."""
        self._round = 0
        self._wake()

    def stop(self, timeout: float | None = None) -> None:
        """End."""
        self.stopping.set()
        self._wake()
        super().stop(timeout)
        if self._own_shell is not None:
            self._own_shell.close()

    def _wake(self) -> None:
        with self._changed:
            self._hurried = True
            self._changed.notify()

    def _renew(self) -> None:
        held = self._desk.held()
        for start in range(0, len(held), CHUNK):
            part = [attempt.claimed for attempt in held[start : start + CHUNK]]
            for lease in self._shell.run(work_ops.renew(self._desk.keys, part, LEASE)):
                self._lost(lease)
        self._desk.wake_if_deaf()

    def _look_for_news(self) -> None:
        """What this worker should have heard: of jobs, while it is idle; of uploads, while it has no time to listen.

        A wake-up goes to one idle worker, whose host may freeze at that very moment; the others would sleep on.
        """
        desk = self._desk
        if desk.idle():
            self._wake_if_missed(rests=self._shell.run(work_ops.rests(desk.keys, desk.served.name)))
        elif desk.accepts_uploads:
            self._compare_uploads(self._shell.run(upload_ops.version(desk.keys)))

    def _wake_if_missed(self, *, rests: bool) -> None:
        if not rests and self._desk.idle():
            self._desk.nudge()

    def _look_round(self) -> None:
        """Look for leases that ran out; in the same round trip, say and ask what else is due."""
        desk, now = self._desk, time.monotonic()
        look = work_ops.look(desk.keys, PAUSE, GRACE, desk.settings.max_losses - 1, desk.served.name)
        asked: list[tuple[Op[Any], Callable[[Any], None]]] = [(look, partial(self._looked, self._retry_at))]
        if desk.accepts_uploads and not desk.idle():  # else it listens to its inbox
            asked.append((upload_ops.version(desk.keys), self._compare_uploads))
        if self._round % ALIVE_EVERY == 0:
            if now - self._claimer_turned() < STUCK:
                asked.append((work_ops.alive(desk.keys, desk.name, ALIVE, self._about()), self._compare))
            if (delivery := desk.tally.delivery(desk.keys, desk.name)) is not None:
                asked.append((delivery, lambda _: desk.tally.delivered()))
        if desk.registered and now >= self._register_at:
            asked.append((work_ops.register(desk.keys, desk.served, KNOWN), self._registered))
        self._round += 1
        replies = self._shell.run_many([op for op, _ in asked])
        for (_, heed), reply in zip(asked, replies, strict=True):
            heed(reply)

    def _looked(self, retry_at: float | None, found: tuple[work_ops.Reaped, bool]) -> None:
        """What the look for leases found; `retry_at` is when, before it, the next retry was due."""
        reaped, rests = found
        self._wake_if_missed(rests=rests)
        with self._changed:
            if self._retry_at == retry_at:  # else the settler has scheduled one meanwhile
                self._retry_at = None
        if reaped.retry_in is not None:
            self.retry_in(reaped.retry_in)
        if reaped.taken:
            log.info("jobs of lapsed leases taken back: %d", reaped.taken)
        if reaped.apart:
            self._apart_due()
        if reaped.deliveries_due:
            self._deliveries_due()

    def _registered(self, whole: bool) -> None:  # noqa: FBT001 - a reply
        """The server knows this worker's class for longer; where something of it was lost, the claimer mends that."""
        self._register_at = time.monotonic() + REGISTER_EVERY
        if not whole:
            self._desk.registered = False
            self._desk.nudge()

    def _compare_uploads(self, version: str) -> None:
        if version != self._desk.uploads_version:
            self._desk.uploads_due.set()

    def _compare(self, told: tuple[str, str]) -> None:
        """See whether uploads changed, or the server lost its data: it must give out no id again that was seen here."""
        uploads_version, epoch = told
        self._compare_uploads(uploads_version)
        known = known_of(self._shell.target, self._desk.keys)
        if known.highest and epoch not in known.epochs.values():
            with contextlib.suppress(ServerError):  # a full one: the rest of this round is more urgent
                self._shell.run_here(known.fence)

    def _about(self) -> dict[str, str | int | float]:
        desk = self._desk
        held = desk.held()
        running = [attempt.claimed.id for attempt in held if attempt.holds()]
        return {
            "host": socket.gethostname(),
            "pid": os.getpid(),
            "pool": self._pool,
            "slots": desk.slots.total(),
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
