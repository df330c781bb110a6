"""The worker of one process: puts the duties together, starts and stops them."""

import contextlib
import logging
import threading

from mlq.core.keys import Keys
from mlq.deliveries.sender import Sender
from mlq.errors import ServerError
from mlq.ops import presence as presence_ops
from mlq.pools.contract import Loader, Pool
from mlq.running import execution
from mlq.running.listeners import Listeners
from mlq.shell.sync import Shell
from mlq.shell.target import Target
from mlq.system import capture
from mlq.worker.apart import Apart
from mlq.worker.attempt import Stage
from mlq.worker.claimer import Claimer
from mlq.worker.costly_unions import warn_of_unions
from mlq.worker.gpu_watch import GpuWatch
from mlq.worker.presence import Presence
from mlq.worker.reaping import Reaping
from mlq.worker.renewer import Renewer
from mlq.worker.round_clock import RoundClock
from mlq.worker.schedules import Schedules
from mlq.worker.settler import Settler
from mlq.worker.shadow_runner import Aside
from mlq.worker.shadows import Shadows
from mlq.worker.shared import CALLS, Settings, Shared
from mlq.worker.supervisor import Supervisor
from mlq.worker.upload_watch import Uploads

log = logging.getLogger("mlq.worker")

STOP_PATIENCE = 1.0  # seconds that each call waits for a server that went away, once we stop
JOIN = 5.0  # seconds to wait for a duty to end


class Worker:
    """Claims jobs and has a pool run their listeners, until stopped. Starts once."""

    def __init__(
        self, keys: Keys, named: Target | None, listeners: Listeners, pool: Pool, settings: Settings | None = None,
        loader: Loader | None = None, aside: Aside | None = None,
    ) -> None:  # fmt: skip
        """It does not connect to the server before `start`. It accepts uploads only with a `loader` for them.

        `aside`: where shadows of models run, if they can.
        """
        self.stopping = threading.Event()
        self.stopped = threading.Event()
        self.broken = False  # it stopped by itself: the process should end and be started again
        self._pool = pool
        self._changing = threading.Lock()  # held while the worker starts or stops
        shared = self._shared = Shared(
            keys, Shell(named, most=CALLS), listeners, settings or Settings(), accepts_uploads=loader is not None
        )
        sender = self._sender = Sender(keys, shared.shell, self._die)
        clock = self._clock = RoundClock()
        shared.look_in = clock.retry_in
        supervisor = self._supervisor = Supervisor(shared, pool, self._die)
        claimer = self._claimer = Claimer(shared, supervisor.give, supervisor.taken, self._die)
        shadows = self._shadows = Shadows(shared, aside, self._die)
        self._settler = Settler(shared, supervisor.give, sender.due, clock.retry_in, shadows.offers, self._die)
        self._apart = Apart(shared, supervisor.give, self._die, separates=pool.name == "process")
        self._schedules = Schedules(shared, clock.tick_in, self._die)
        reaping = Reaping(shared, clock, sender.due, self._apart.due, self._schedules.due)
        self._gpu_watch = GpuWatch(shared.settings.gpus, self._die)
        presence = self._presence = Presence(shared, pool, self._gpu_watch, shadows, lambda: claimer.turned)
        self._renewer = Renewer(shared, clock, reaping, presence, supervisor.lost, self._die)
        supervisor.settle_here, supervisor.resized = self._settler.settle_here, self._renewer.hurry
        self._uploads = None if loader is None else Uploads(shared, loader, self._die)

    @property
    def name(self) -> str:
        """The worker's name, unique for ever."""
        return self._shared.name

    def start(self) -> None:
        """Begin to work; a `stop` that is called meanwhile waits until the start is complete."""
        with self._changing:
            if self.stopped.is_set():
                return
            capture.begin()
            self._shared.listeners.watch(self._listeners_changed)
            execution.remember_context()
            self._pool.start(self._supervisor)
            for duty in (self._sender, self._settler, self._renewer, self._claimer):
                duty.start()
            if self._uploads is not None:
                self._uploads.start()
            self._schedules.code_changed()
            namespace = self._shared.keys.namespace
            log.info("worker %s of namespace %r started, with the %s pool", self.name, namespace, self._pool.name)
            warn_of_unions([one.about for one in self._shared.listeners.all() if one.about])

    def _listeners_changed(self) -> None:
        """The listeners changed: other lanes may be served now."""
        with self._shared.claiming:
            self._shared.listeners_changed()
        self._schedules.code_changed()
        self._shared.nudge()
        self._renewer.hurry()

    def idle(self) -> bool:
        """Whether nothing runs here, the last claim found no more jobs, and no retry is scheduled."""
        return self._shared.exhausted and not self._shared.held() and self._clock.retry_at is None

    def stop(self, grace: float) -> None:
        """Claim nothing more, let running jobs end within `grace` seconds, hand the rest back; then return."""
        with self._changing:
            if self.stopped.is_set():
                return
            self.stopping.set()
            self._shared.stopping = True
            self._shared.listeners.unwatch(self._listeners_changed)
            self._shared.shell.patience = STOP_PATIENCE
            self._settler.refill = False
            self._claimer.stopping.set()
            log.info("worker %s stops; running jobs have %.0f s; a second signal ends them at once", self.name, grace)
            try:
                self._wind_up(grace)
            except Exception:  # a process that neither works nor ends would be the worst
                log.critical("worker %s can't stop in order", self.name, exc_info=True)
                self.broken = True
            finally:
                capture.end()
                self.stopped.set()
            log.info("worker %s stopped", self.name)

    def _wind_up(self, grace: float) -> None:
        self._shadows.give_way()
        self._renewer.hurry()  # others are told that it claims no more
        self._shared.nudge()
        self._claimer.stop(JOIN)
        self._apart.stop(JOIN)
        self._schedules.stop(JOIN)
        self._presence.let_go()
        if self._uploads is not None:
            self._uploads.stop(JOIN)
        self._supervisor.hand_back_all(Stage.CLAIMED)
        self._shared.wait_until_none_held(grace)
        self._supervisor.hand_back_all(Stage.BEGUN)
        self._settler.stop(JOIN)
        self._shared.successes.flush(now=True)
        self._supervisor.hand_back_all(Stage.CLAIMED)  # jobs that a claim under way may have brought
        self._supervisor.hand_back_all(Stage.BEGUN)
        self._sender.stop(JOIN)
        self._supervisor.stop(JOIN)
        self._renewer.stop(JOIN)
        self._gpu_watch.stop()
        self._shadows.stop(JOIN)
        self._pool.close()
        with contextlib.suppress(ServerError):
            self._retire()
        self._shared.shell.close()

    def _retire(self) -> None:
        """Deliver the remaining counts, and remove this worker from the list."""
        shared = self._shared
        self._presence.count_loads()
        while (delivery := shared.tally.delivery(shared.keys, self.name)) is not None:
            shared.shell.run(delivery)
            shared.tally.delivered()
        shared.shell.run_many(presence_ops.retire(shared.keys, self.name))

    def _die(self) -> None:
        """Stop because something in this process is broken beyond repair."""
        self.broken = True
        threading.Thread(target=self.stop, args=(0.0,), name="mlq-stop", daemon=True).start()
