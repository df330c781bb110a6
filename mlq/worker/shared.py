"""What the duties of one worker share: its name, shell, listeners and slots, and the attempts that it holds."""

import contextlib
import itertools
import os
import secrets
import socket
import threading
from collections.abc import Callable
from typing import NamedTuple

from mlq.core.checks import DEFAULT_QUEUE, group_of, queue_of
from mlq.core.job import Claimed
from mlq.core.keys import Keys
from mlq.core.policy import AFFINITY_WAIT, LOSSES, Policy
from mlq.core.queue_order import QueueOrder
from mlq.errors import ServerError
from mlq.ops import data as data_ops
from mlq.ops import work as work_ops
from mlq.ops.work import WorkerClass
from mlq.running.listeners import Listener, Listeners
from mlq.shell.known_ids import known_ids_of
from mlq.shell.sync import Shell
from mlq.system import memory
from mlq.worker.affinity import Affinity
from mlq.worker.attempt import Attempt
from mlq.worker.batch import slots_of
from mlq.worker.classes import Classes
from mlq.worker.describing import declare_uses, describe_models
from mlq.worker.inbox import Inbox
from mlq.worker.limits import Limits
from mlq.worker.outbox import Outbox
from mlq.worker.slots import Slots
from mlq.worker.success_log import SuccessLog
from mlq.worker.survey import pauses_of, sizes_of
from mlq.worker.tally import Tally
from mlq.worker.turns import Turns

# A job of a dead worker runs again within 10 s: the lease, plus one look for expired leases, plus the grace period.
LEASE = 6.0  # seconds
RENEW = 1.5  # seconds between renewals: after three that fail, or two without an answer, there is still time
PAUSE = 3.0  # seconds without a look after which leases may have expired because the server was away, not the workers
GRACE = 2.0  # seconds that leases get in that case; a worker reconnects within 1 s
KNOWN = 100  # seconds that the server keeps the index of a class whose workers are gone; see register.lua
LANES_KEPT = 1000  # lanes whose listeners a worker remembers
CALLS = 1  # calls at a time; with the connection that waits for jobs and the renewer's, a worker has three connections


class Settings(NamedTuple):
    """What a user may configure about a worker."""

    order: QueueOrder = QueueOrder()  # of the queues that it serves
    name: str | None = None  # what the worker's name begins with; by default, host and process
    max_losses: int = LOSSES
    gpus: tuple[str, ...] = ()  # that its children use
    claims_ahead: bool = True  # False: jobs may wait here for their models, and are not handed back for that
    affinity_wait: float = AFFINITY_WAIT  # seconds for which jobs are for workers that hold their model; 0: for all


class Shared:
    """Shared by the duties; each attribute may be used from any of their threads."""

    look_in: Callable[[float], None]  # has an idle worker look for jobs in so many seconds; set before use

    def __init__(
        self, keys: Keys, shell: Shell, listeners: Listeners, settings: Settings, *, accepts_uploads: bool = False
    ) -> None:
        """A new worker. Its name shows where it runs, and is new each time: it holds no lease of an earlier worker."""
        stem = settings.name or f"{socket.gethostname()}-{os.getpid()}"
        self.name = f"{stem}-{secrets.token_hex(6)}"
        self.keys, self.shell = keys, shell
        self.listeners, self.settings = listeners, settings
        self.slots = Slots()
        self.inbox = Inbox()
        self.outbox = Outbox()
        self.tally = Tally()
        self.successes = SuccessLog()
        self.claiming = threading.Lock()  # one claim at a time: a caller makes one call at a time
        self.numbers = itertools.count(1)
        self.turns = Turns(settings.order)
        self.served = (WorkerClass.of((), (), ()),) * self.turns.groups  # as one class, or as one for each queue
        self.classes = Classes()
        self.limits = Limits()
        self.affinity = Affinity(self.settings.affinity_wait)
        self.batches = b""  # the sizes of batches, for claims
        self._sizes: dict[str, int] = {}
        self.pauses = pauses_of(listeners, {})  # after batches, by listener
        self.lacks_slot = False  # the claimer sleeps on its inbox alone, since no slot was free, or no listener open
        self.asleep_as: tuple[str, ...] = ()  # the classes on whose wake lists the claimer sleeps
        self.exhausted = False  # the last claim got less than it asked for: only a wake-up can bring more
        self.claimed = 0  # jobs since the start
        self.has_large_buffers = False  # a large value went through this process
        self.accepts_uploads = accepts_uploads
        self.uploads_version = ""  # as of the last look
        self.uploads_due = threading.Event()  # uploads may have changed
        self.stopping = False  # it claims no more
        self.complete = threading.Event()  # all listeners that were uploaded before the start are loaded
        if not accepts_uploads:
            self.complete.set()
        self._closed = self._claimed_without = frozenset[str]()  # listeners at their limits, now and at the last claim
        self._served: dict[str, tuple[tuple[Listener, ...], Policy]] = {}
        self._held: dict[str, Attempt] = {}
        self._lock = threading.RLock()  # `wait_until` looks under it
        self._dropped = threading.Condition(self._lock)

    def queues(self) -> tuple[str, ...]:
        """The queues that are served: those asked for, else the default one and those that listeners declare."""
        return self.settings.order.queues or tuple(dict.fromkeys((DEFAULT_QUEUE, *self.listeners.queues())))

    def serves(self, lane: str) -> tuple[tuple[Listener, ...], Policy]:
        """The listeners that run for jobs of `lane` (none if it is not served here), and their combined policy."""
        served = self._served  # replaced after each change: what is found for the old one must not get into the new one
        known = served.get(lane := group_of(lane))
        if known is None:
            here = queue_of(lane) in self.queues() or lane in self.listeners.own_lanes(self.queues())
            chosen = self.listeners.chosen(lane) if here else ()
            known = chosen, Policy().over(listener.policy for listener in chosen)
            if len(served) >= LANES_KEPT:
                served.clear()
            served[lane] = known
        return known

    def listeners_changed(self) -> None:
        """Other lanes may be served now. Call it with `claiming` held."""
        self._served = {}
        self.unknown()

    @property
    def registered(self) -> bool:
        """Whether the server knows the classes that are served now."""
        return all(map(self.classes.knows, self.served))

    def unknown(self) -> None:
        """The server may know none of the classes that were registered: register them again before the next claim."""
        self.classes.forget()

    def register(self) -> None:
        """Register this worker's classes, so that the server indexes their lanes. Call it with `claiming` held."""
        if news := self.classes.knows_none():
            self._survey()
            declare_uses(self.shell, self.keys, self.listeners, self.queues())
        served = [one for one in self.served if not self.classes.knows(one)]
        for one in served:
            while not self.shell.run(work_ops.register(self.keys, one, KNOWN)):
                pass
        if news:
            describe_models(self.shell, self.keys, self.listeners)
        for one in served:
            self.classes.registered(one)

    def _survey(self) -> None:
        """Find out what the listeners ask of claims and of pauses."""
        self._sizes = sizes_of(self.listeners, self.queues())
        self.batches = work_ops.batches(self._sizes)
        self.pauses = pauses_of(self.listeners, self.pauses)
        with self._lock:
            self.limits.declare(self.listeners.all())
            self.affinity.declare(self.listeners.all())
            self.classes.declare()
            self._closed = self._full()
            self.served = self._classes()

    def _classes(self) -> tuple[WorkerClass, ...]:
        """What is served now: all queues together, or each by itself if they have an order."""
        queues = self.queues()
        groups = [queues] if self.turns.groups == 1 else [(one,) for one in queues]
        return tuple(self.classes.without(self._closed, self.listeners, group) for group in groups)

    def _full(self) -> frozenset[str]:
        if not self.limits:
            return frozenset()
        return frozenset(name for name, room in self.limits.rooms(self._held.values()).items() if not room)

    # Limits; nothing of it is called where no listener has one

    def follow_limits(self) -> None:
        """Serve the listeners that are open now: as a class of workers without those that run all that they may.

        So a worker at a limit takes no wake-up for a job that it can't run.
        """
        with self._lock:
            before, self._closed = self._closed, self._full()
            if self._closed == before:
                return
            self.served = self._classes()
            if before - self._closed or not self.registered:
                self.exhausted = False

    def is_open(self, lane: str) -> bool:
        """Whether none of a lane's listeners runs as many units as it may."""
        return self._closed.isdisjoint(one.name for one in self.serves(lane)[0])

    def full(self) -> frozenset[str]:
        """The listeners of which it runs as many units as it may."""
        return self._closed

    def serves_any(self) -> bool:
        """Whether there are listeners that are open; if they changed, the next registration finds out."""
        names = self.listeners.names()
        return len(names) > len(self._closed) or (bool(names) and self.classes.knows_none())

    def for_claim(self) -> tuple[str, bytes]:
        """The class whose turn it is, and what a claim must know of its listeners. Call it with `claiming` held."""
        served, limits = self.served[self.turns.number].name, self.limits
        self.turns.asked.add(served)
        if not limits:
            return served, self.batches
        with self._lock:
            self._claimed_without = self._closed
            rooms = limits.rooms(self._held.values())
        chosen = {queue: self.listeners.chosen(queue) for queue in self.queues()}
        plain = {queue: [one.name for one in run if one.name in rooms] for queue, run in chosen.items()}
        return served, work_ops.batches(self._sizes, rooms, plain)

    def claim_ended(self, *, exhausted: bool) -> None:
        """A round of claims has filled all slots that it was for, or not (`exhausted`). With `claiming` held."""
        if self.turns.again is not None:
            self.look_in(self.turns.again)
        if not self.limits:
            self.exhausted = exhausted
            return
        with self._lock:
            self.follow_limits()
            opened = self._claimed_without - self._closed  # during the claim; and a class that is not registered has
            self.exhausted = exhausted and not opened and self.registered  # had no wake-ups, so it must look first

    def names(self) -> tuple[str, ...]:
        """The names of the classes that are served now."""
        return tuple(one.name for one in self.served)

    def slots_of(self, claimed: list[Claimed]) -> int:
        """How many slots a claim has filled."""
        return slots_of(claimed) if self.batches else len(claimed)

    def note_size(self, size: int) -> None:
        """Note that a value of `size` bytes goes through this process; memory for a large one is freed soon after."""
        if size > memory.LARGE:
            memory.expect_large()
            self.has_large_buffers = True

    def idle(self) -> bool:
        """Whether slots are free for which the last claim found no jobs: only a wake-up can bring more."""
        return self.exhausted and bool(self.slots.free() and self.serves_any())

    def hold(self, attempts: list[Attempt]) -> None:
        """Remember claimed attempts, and that their ids are taken, even if the server loses its data."""
        if attempts:
            known_ids_of(self.shell.target, self.keys).saw(attempt.claimed.id for attempt in attempts)
            self.note_size(max(attempt.size for attempt in attempts))
            if self.has_large_buffers:  # else the claimer would sleep on a connection that keeps a large buffer
                self.shell.close()
        with self._lock:
            self.claimed += len(attempts)
            self._held.update((attempt.claimed.lease, attempt) for attempt in attempts)

    def nudge(self) -> None:
        """Have the claimer look again at once: something changed that the server does not know about."""
        self.exhausted = False
        self.slots.wake()
        with contextlib.suppress(ServerError):
            self.shell.run_many(data_ops.wake_up(self.keys, self.name))

    def held(self) -> list[Attempt]:
        """The attempts that are not settled yet: their leases are renewed."""
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
        """Wait until `true` returns True, `timeout` seconds at most; it is called again when an attempt is dropped."""
        with self._dropped:
            self._dropped.wait_for(true, timeout)

    def wake_for_free_slot(self) -> None:
        """A slot may have become free, or a listener open: have a claimer that does not listen for that look again."""
        moves = False
        if self.limits:
            self.follow_limits()
            moves = self.asleep_as not in ((), self.names())
        if moves or (self.lacks_slot and self.slots.free() and self.serves_any()):
            self.lacks_slot, self.asleep_as = False, ()
            with contextlib.suppress(ServerError):  # its wait ends by itself, too
                self.shell.run_many(data_ops.wake_up(self.keys, self.name))
