"""What the duties of one worker share: who it is, its shell, listeners, slots, and the attempts that it holds."""

import contextlib
import itertools
import logging
import os
import secrets
import socket
import threading
from collections.abc import Callable
from typing import NamedTuple

from mlq.core.checks import DEFAULT_QUEUE, queue_of
from mlq.core.keys import Keys
from mlq.core.policy import LOSSES, Policy
from mlq.errors import ServerError
from mlq.ops import data as data_ops
from mlq.ops import work as work_ops
from mlq.ops.work import WorkerClass
from mlq.running.listeners import Listener, Listeners
from mlq.shell.known_ids import known_ids_of
from mlq.shell.sync import Shell
from mlq.system import memory
from mlq.worker.attempt import Attempt
from mlq.worker.inbox import Inbox
from mlq.worker.outbox import Outbox
from mlq.worker.slots import Slots
from mlq.worker.success_log import SuccessLog
from mlq.worker.tally import Tally

log = logging.getLogger("mlq.worker")

# A job of a dead worker runs again within 10 s: the lease, plus one look for lapsed ones, plus the grace after a pause.
LEASE = 6.0  # seconds
RENEW = 1.5  # seconds between renewals: three refused ones, or two never answered, still leave time
PAUSE = 3.0  # seconds without a look after which leases may have run out for want of a server, not of workers
GRACE = 2.0  # seconds that leases get then; a worker reconnects within 1 s
KNOWN = 100  # seconds that the server keeps the index of a class whose workers are gone; see register.lua
LANES_KEPT = 1000  # lanes of which a worker remembers who runs their jobs
CALLS = 1  # at a time: with the connection that waits for jobs and the renewer's own, a worker has three


class Settings(NamedTuple):
    """What a user may say of a worker."""

    queues: tuple[str, ...] = ()  # none: the default one, and those that listeners declare
    name: str | None = None  # how its own name begins; host and process where it is not said
    max_losses: int = LOSSES


class Shared:
    """Shared by the duties; each attribute is safe to use from any of their threads."""

    def __init__(
        self, keys: Keys, shell: Shell, listeners: Listeners, settings: Settings, *, accepts_uploads: bool = False
    ) -> None:
        """A new worker. Its name tells where it runs, and is new each time: no lease of an earlier one is its own."""
        stem = settings.name or f"{socket.gethostname()}-{os.getpid()}"
        self.name = f"{stem}-{secrets.token_hex(6)}"
        self.keys = keys
        self.shell = shell
        self.listeners = listeners
        self.settings = settings
        self.slots = Slots()
        self.inbox = Inbox()
        self.outbox = Outbox()
        self.tally = Tally()
        self.successes = SuccessLog()
        self.claiming = threading.Lock()  # one claim at a time: a caller has one call under way
        self.numbers = itertools.count(1)
        self.served = WorkerClass.of((), (), ())
        self.registered = False  # what is served now
        self.lacks_slot = False  # the claimer sleeps on its inbox alone, since no slot was free
        self.drained = False  # the last claim got less than it asked for: only a wake-up can bring more
        self.claimed = 0  # jobs, ever
        self.has_large_buffers = False  # since a large value went through this process
        self.accepts_uploads = accepts_uploads
        self.uploads_version = ""  # as of the last look at them
        self.uploads_due = threading.Event()  # they may have changed
        self.complete = threading.Event()  # no listener is missing any more that was uploaded before the start
        if not accepts_uploads:
            self.complete.set()
        self._served: dict[str, tuple[tuple[Listener, ...], Policy]] = {}
        self._held: dict[str, Attempt] = {}
        self._lock = threading.RLock()  # `wait_until` looks under it
        self._dropped = threading.Condition(self._lock)

    def queues(self) -> tuple[str, ...]:
        """The queues that are served: those asked for, else the default one and those that listeners declare."""
        return self.settings.queues or tuple(dict.fromkeys((DEFAULT_QUEUE, *self.listeners.queues())))

    def serves(self, lane: str) -> tuple[tuple[Listener, ...], Policy]:
        """The listeners that run for jobs of `lane`, none where it is not ours, and what they declare together."""
        served = self._served  # another one after each change: what is found for the old one must not get into it
        known = served.get(lane)
        if known is None:
            chosen = self.listeners.chosen(lane) if queue_of(lane) in self.queues() else ()
            known = chosen, Policy().over(listener.policy for listener in chosen)
            if len(served) >= LANES_KEPT:
                served.clear()
            served[lane] = known
        return known

    def listeners_changed(self) -> None:
        """Other lanes may be served now. Call it with `claiming` held."""
        self._served = {}
        self.registered = False

    def register(self) -> None:
        """Have the server know what is served here, and which lanes have such work. Call it with `claiming` held."""
        queues = self.queues()
        plain = [queue for queue in queues if self.listeners.chosen(queue)]
        self.served = WorkerClass.of(plain, queues, self.listeners.names())
        while not self.shell.run(work_ops.register(self.keys, self.served, KNOWN)):
            pass
        self.registered = True

    def note_size(self, size: int) -> None:
        """A value of so many bytes goes through this process. What it took is given back soon after, if it is large."""
        if size > memory.LARGE:
            memory.expect_large()
            self.has_large_buffers = True

    def idle(self) -> bool:
        """Whether slots are free for which the last claim found no jobs: only a wake-up can bring some."""
        return self.drained and bool(self.slots.free() and self.listeners.names())

    def hold(self, attempts: list[Attempt]) -> None:
        """Remember what was claimed, and that these ids are taken, whatever becomes of the server's data."""
        if attempts:
            known_ids_of(self.shell.target, self.keys).saw(attempt.claimed.id for attempt in attempts)
            self.note_size(max(attempt.size for attempt in attempts))
            if self.has_large_buffers:  # else the claimer would sleep on a connection whose buffer is as large
                self.shell.close()
        with self._lock:
            self.claimed += len(attempts)
            self._held.update((attempt.claimed.lease, attempt) for attempt in attempts)

    def nudge(self) -> None:
        """Have the claimer look again at once: something changed that the server does not know of."""
        self.drained = False
        self.slots.wake()
        with contextlib.suppress(ServerError):
            self.shell.run_many(data_ops.wake_up(self.keys, self.name))

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
        self.wait_until(lambda: not self._held, timeout)

    def wait_until(self, true: Callable[[], bool], timeout: float) -> None:
        """Wait until something is `true` of what is held, `timeout` seconds at most; looks when an attempt goes."""
        with self._dropped:
            self._dropped.wait_for(true, timeout)

    def wake_for_free_slot(self) -> None:
        """A slot may have become free: have a claimer that listens to its inbox alone look again."""
        if self.lacks_slot and self.slots.free():
            self.lacks_slot = False
            with contextlib.suppress(ServerError):  # its sleep ends by itself, too
                self.shell.run_many(data_ops.wake_up(self.keys, self.name))
