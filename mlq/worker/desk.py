"""What the duties of one worker share: who it is, its shell, listeners, slots, and the attempts that it holds."""

import contextlib
import itertools
import logging
import os
import secrets
import socket
import threading
from collections.abc import Callable, Iterable

from mlq.errors import ServerError
from mlq.job import Claimed
from mlq.keys import Keys
from mlq.listeners import Listeners
from mlq.ops import data as data_ops
from mlq.ops.work import Lanes
from mlq.shell.sync import Shell
from mlq.worker.attempt import Attempt, Stage
from mlq.worker.inbox import Inbox
from mlq.worker.slots import Slots

log = logging.getLogger("mlq.worker")

# A job of a dead worker runs again within 10 s: the lease, plus one look for lapsed ones, plus the grace after a pause.
LEASE = 6.0  # seconds
RENEW = 1.5  # seconds between renewals: three refused ones, or two never answered, still leave time
PAUSE = 3.0  # seconds without a look after which leases may have run out for want of a server, not of workers
GRACE = 2.0  # seconds that leases get then; a worker reconnects within 1 s
LOSSES = 2  # leases that a job may lose and still run again: the third loss makes it a dead letter
CALLS = 1  # at a time: with the connection that waits for jobs and the renewer's own, a worker has three

Give = Callable[[Attempt], None]


class Desk:
    """Shared by the duties; each attribute is safe to use from any of their threads."""

    def __init__(self, keys: Keys, shell: Shell, listeners: Listeners, slots: int) -> None:
        """A new worker. Its name tells where it runs, and is new each time: no lease of an earlier one is its own."""
        self.name = f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(6)}"
        self.keys = keys
        self.shell = shell
        self.listeners = listeners
        self.total = slots
        self.slots = Slots(slots)
        self.inbox = Inbox()
        self.claiming = threading.Lock()  # one claim at a time: a caller has one call under way
        self.numbers = itertools.count(1)
        self.lanes = Lanes("", ())
        self.existing: tuple[str, ...] = ()
        self.reached = 0.0  # when the renewer last had an answer, by the monotonic clock
        self.deaf = False  # the claimer sleeps on its inbox alone, since no slot was free
        self.drained = False  # the last claim got less than it asked for: only a wake-up can bring more
        self._held: dict[str, Attempt] = {}
        self._lock = threading.Lock()
        self._dropped = threading.Condition(self._lock)

    def choose_lanes(self, found: Lanes | None = None) -> None:
        """Keep the lanes that our listeners can serve; `found` are all that exist, when they changed."""
        if found is not None:
            self.existing = found.names
            self.lanes = Lanes(found.version, ())
        served = tuple(name for name in self.existing if self.listeners.chosen(name))
        self.lanes = Lanes(self.lanes.version, served)

    def hold(self, claimed: Iterable[Claimed]) -> list[Attempt]:
        """Remember what was claimed."""
        attempts = [Attempt(one) for one in claimed]
        with self._lock:
            self._held.update((attempt.claimed.lease, attempt) for attempt in attempts)
        return attempts

    def held(self) -> list[Attempt]:
        """The attempts whose leases are to be renewed: those not settled yet."""
        with self._lock:
            return list(self._held.values())

    def find(self, lease: str) -> Attempt | None:
        """The attempt that holds `lease`."""
        return self._held.get(lease)

    def drop(self, attempt: Attempt) -> None:
        """Forget an attempt: settled, handed back or lost."""
        with self._dropped:
            self._held.pop(attempt.claimed.lease, None)
            self._dropped.notify_all()

    def wait_until_none_held(self, timeout: float) -> None:
        """Wait until all that was claimed is settled, `timeout` seconds at most."""
        with self._dropped:
            self._dropped.wait_for(lambda: not self._held, timeout)

    def lose(self, attempt: Attempt) -> Stage | None:
        """Another one holds this job now, or nobody may: free its slot; the stage it was in, None if it had ended."""
        before = attempt.end(Stage.LOST)
        self.drop(attempt)
        if before is not None:
            log.warning("job %s: the lease of attempt %d was lost; what it returns will be refused",
                        attempt.claimed.id, attempt.claimed.attempt)  # fmt: skip
            self.release(attempt)
        return before

    def release(self, attempt: Attempt) -> None:
        """Free the slot of an attempt, if it holds one."""
        if self.let_go(attempt):
            self.slots.give()

    def let_go(self, attempt: Attempt) -> bool:
        """Whether the attempt held a slot; it is the caller's now."""
        with self._lock:
            holds, attempt.holds_slot = attempt.holds_slot, False
        return holds

    def wake_if_deaf(self) -> None:
        """A slot may have become free: have a claimer that listens to its inbox alone look again."""
        if self.deaf and self.slots.free():
            self.deaf = False
            with contextlib.suppress(ServerError):  # its sleep ends by itself, too
                self.shell.run_many(data_ops.wake_up(self.keys, self.name))

    def take_back(self, attempt: Attempt, *, at_once: bool) -> None:
        """Give an attempt its slot again, as soon as one is free, or `at_once`; not when it is no longer ours."""
        if attempt.stage is not Stage.BEGUN:
            return
        if at_once:
            self.slots.overdraw()
        else:
            self.slots.retake()
        with self._lock:
            attempt.holds_slot = attempt.stage is Stage.BEGUN
        if not attempt.holds_slot:
            self.slots.give()
