"""A worker's heartbeat, class and counts, as it sends them to the server; and checks of what changed there."""

import contextlib
import json
import os
import platform
import socket
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from mlq.errors import ServerError
from mlq.ops import presence as presence_ops
from mlq.ops import uploads as upload_ops
from mlq.ops import work as work_ops
from mlq.ops.stats import OTHER
from mlq.pools.contract import Pool
from mlq.shell.known_ids import known_ids_of
from mlq.shell.sync import Shell
from mlq.version import __version__
from mlq.worker.gpu_watch import GpuWatch
from mlq.worker.reaping import Question
from mlq.worker.shadows import Shadows
from mlq.worker.shared import KNOWN, Shared

if TYPE_CHECKING:
    from mlq.running.loads import Load

ALIVE_EVERY = 2  # rounds
ALIVE = 10.0  # seconds that one heartbeat is valid
REGISTER_EVERY = 30.0  # seconds, below half of KNOWN; not rounds, whose count restarts when slots or listeners change
CLAIMER_PATIENCE = (
    16.0  # seconds without a turn of the claimer (one takes up to 10) until the worker counts as unable to claim
)
SHOWN = 20  # ids of running jobs in a heartbeat


class Presence:
    """What the renewer tells the server, and asks it, about this worker."""

    def __init__(
        self, shared: Shared, pool: Pool, gpu_watch: GpuWatch, shadows: Shadows, claimer_turned: Callable[[], float]
    ) -> None:
        """`claimer_turned`: when the claimer's last turn began."""
        self._shared = shared
        self._pool = pool
        self._gpu_watch = gpu_watch
        self._shadows = shadows
        self._claimer_turned = claimer_turned
        self._round = 0
        self._register_at = time.monotonic() + REGISTER_EVERY
        self._began = time.time()

    def hurry(self) -> None:
        """Send a heartbeat in the next round: the slots or listeners changed."""
        self._round = 0

    def due(self, shell: Shell) -> list[Question]:
        """What to tell and ask the server in this round."""
        shared, now = self._shared, time.monotonic()
        questions: list[Question] = []
        if shared.accepts_uploads and not shared.idle():  # an idle worker listens to its inbox
            questions.append(self.uploads())
        if self._round % ALIVE_EVERY == 0:
            if now - self._claimer_turned() < CLAIMER_PATIENCE:
                alive = presence_ops.alive(shared.keys, shared.name, ALIVE, self._about())
                questions.append((alive, lambda told: self._compare(told, shell)))
            if (shadows := self._shadows.question()) is not None:
                questions.append((shadows, self._shadows.learn))
            self.count_loads()
            if (delivery := shared.tally.delivery(shared.keys, shared.name)) is not None:
                questions.append((delivery, lambda _: shared.tally.delivered()))
        if shared.registered and now >= self._register_at:
            served = shared.classes.in_use(shared.served, REGISTER_EVERY)
            questions += [(work_ops.register(shared.keys, one, KNOWN), self._registered) for one in served]
        self._round += 1
        return questions

    def uploads(self) -> Question:
        """Ask whether uploads changed."""
        return upload_ops.version(self._shared.keys), self._compare_uploads

    def _registered(self, whole: bool) -> None:  # noqa: FBT001 - a reply
        """The server keeps this worker's class for longer; if parts of it were lost, have the claimer restore them."""
        self._register_at = time.monotonic() + REGISTER_EVERY
        if not whole:
            self._shared.unknown()
            self._shared.nudge()

    def _compare_uploads(self, version: str) -> None:
        if version != self._shared.uploads_version:
            self._shared.uploads_due.set()

    def _compare(self, told: tuple[str, str], shell: Shell) -> None:
        """See whether uploads changed, or the server lost data: it must not give out again an id that was seen here."""
        uploads_version, epoch = told
        self._compare_uploads(uploads_version)
        known = known_ids_of(shell.target, self._shared.keys)
        if known.highest and epoch not in known.epochs.values():
            with contextlib.suppress(ServerError):  # the server may be full; the rest of this round is more urgent
                shell.run_here(known.sync_counter)

    def count_loads(self) -> None:
        """Have what happened to models counted."""
        queues = {one.name: one.queue for one in self._shared.listeners.all()}
        for counts in (self._shared.listeners.loads.counts.take(), self._pool.load_counts()):
            for name, count in counts.items():
                self._shared.tally.loaded(f"{queues.get(name) or OTHER}:{name}", count)

    def _loads(self) -> "list[dict[str, Load]]":
        """What became of models, in each process."""
        return [self._shared.listeners.loads.all(), *self._pool.loads()]

    def holding(self) -> list[Question]:
        """Tell which models this worker holds, if that has changed."""
        shared, now = self._shared, time.monotonic()
        if not shared.affinity or (holding := shared.affinity.news(self._loads(), shared.held(), now)) is None:
            return []
        op = presence_ops.hold(shared.keys, shared.name, *holding)
        return [(op, lambda _: shared.affinity.told(holding, now))]

    def let_go(self) -> None:
        """Tell that this worker claims nothing more, so that others do not wait for it."""
        shared, holding = self._shared, self._shared.affinity.end()
        if holding.gone:
            with contextlib.suppress(ServerError):  # then it counts until this worker is gone
                shared.shell.run(presence_ops.hold(shared.keys, shared.name, *holding))

    def _models(self) -> str:
        """What became of models here, as JSON: a list of states for each, one of each process that met it."""
        found: dict[str, list[Load]] = {}
        for loads in self._loads():
            for name, load in loads.items():
                found.setdefault(name, []).append(load)
        return json.dumps(found) if found else ""

    def _gpus(self) -> str:
        """How full the GPUs are that children or models use, as JSON."""
        on_gpu = any(load.device.startswith("cuda") for loads in self._loads() for load in loads.values())
        if on_gpu or self._shared.settings.gpus:
            self._gpu_watch.start_once()
        return self._gpu_watch.seen

    def _about(self) -> dict[str, str | int | float]:
        shared = self._shared
        held = shared.held()
        running = [attempt.claimed.id for attempt in held if attempt.holds()]
        return {
            "host": socket.gethostname(),
            "pid": os.getpid(),
            "pool": self._pool.name,
            "slots": shared.slots.total,
            "running": len(held),
            "busy": sum(attempt.holds() and attempt.holds_slot for attempt in held),
            "jobs": ",".join(running[:SHOWN]),
            "claimed": shared.claimed,
            "claims": "stopping" if shared.stopping else "making room" if shared.slots.closed else "",
            "full": ",".join(sorted(shared.full())),
            "affinity_wait": shared.settings.affinity_wait,
            "queues": ",".join(shared.queues()),
            "order": str(shared.settings.order),
            "functions": ",".join(shared.listeners.names()),
            "open": ",".join(queue for queue in shared.queues() if shared.listeners.chosen(queue)),
            "models": self._models(),
            "gpus": self._gpus(),
            "memory": sum(max((load.memory for load in loads.values()), default=0) for loads in self._loads()),
            "uploads": "accepted" if shared.accepts_uploads else "refused",
            "version": __version__,
            "python": platform.python_version(),
            "began": self._began,
        }
