"""The worker of one process: puts the duties together, starts and stops them."""

import contextlib
import logging
import threading

from mlq.callbacks import CallbackSender
from mlq.errors import ServerError, Undecodable
from mlq.job import Outcome, Record
from mlq.keys import Keys
from mlq.listeners import Listener, Listeners, execute, failure
from mlq.ops import work as work_ops
from mlq.pools.thread import ThreadPool
from mlq.shell.sync import Shell
from mlq.shell.target import Target
from mlq.worker.attempt import Attempt, Stage
from mlq.worker.claimer import Claimer
from mlq.worker.context import Helpers
from mlq.worker.desk import CALLS, Desk
from mlq.worker.renewer import Renewer
from mlq.worker.settler import Settler

log = logging.getLogger("mlq.worker")

STUCK_LIMIT = 8  # listeners that go on though their job was lost; then a fresh process is better
STOP_PATIENCE = 1.0  # seconds that each call waits for a server that went away, once we stop
JOIN = 5.0  # seconds to wait for a duty to end


class Worker:
    """Claims jobs and runs listeners on threads, until stopped. Starts once."""

    def __init__(self, keys: Keys, named: Target | None, listeners: Listeners, slots: int = 1) -> None:
        """Nothing is contacted before `start`."""
        self.stopping = threading.Event()
        self.stopped = threading.Event()
        self.broken = False  # it stopped by itself: the process should end and be started again
        self._pool = ThreadPool()
        self._stuck: set[Attempt] = set()
        self._stop_once = threading.Lock()
        self._desk = Desk(keys, Shell(named, most=CALLS), listeners, slots)
        self._callbacks = CallbackSender(keys, self._desk.shell, self._die)
        self._settler = Settler(self._desk, self._give, self._callbacks.due, self._die)
        self._claimer = Claimer(self._desk, self._give, self._die)
        self._renewer = Renewer(
            self._desk, lambda: self._claimer.turned, self._callbacks.due, self._abandon, self._die
        )  # fmt: skip

    @property
    def name(self) -> str:
        """The worker's name, unique for ever."""
        return self._desk.name

    def start(self) -> None:
        """Begin to work."""
        for duty in (self._callbacks, self._settler, self._renewer, self._claimer):
            duty.start()
        log.info(
            "worker %s of namespace %r started with %d slots", self.name, self._desk.keys.namespace, self._desk.total
        )

    def listeners_changed(self) -> None:
        """The listeners are not what they were: other lanes may be served now."""
        with self._desk.claiming:
            self._desk.choose_lanes()
        self._claimer.nudge()
        self._renewer.hurry()

    def stop(self, grace: float) -> None:
        """Claim nothing more, let running jobs end within `grace` seconds, hand the rest back; then return."""
        with self._stop_once:
            if self.stopped.is_set():
                return
            self.stopping.set()
            log.info("worker %s stops; running jobs have %.0f s; a second signal ends them at once", self.name, grace)
            self._desk.shell.patience = STOP_PATIENCE
            self._settler.refill = False
            self._claimer.stopping.set()
            self._claimer.nudge()
            self._claimer.stop(JOIN)
            self._hand_back_all(Stage.CLAIMED)
            self._desk.wait_until_none_held(grace)
            self._hand_back_all(Stage.BEGUN)
            self._settler.stop(JOIN)
            self._hand_back_all(Stage.CLAIMED)  # what a claim that was under way may have brought
            self._hand_back_all(Stage.BEGUN)
            self._callbacks.stop(JOIN)
            self._renewer.stop(JOIN)
            self._pool.stop()
            with contextlib.suppress(ServerError):
                self._desk.shell.run_many(work_ops.retire(self._desk.keys, self.name))
            self._desk.shell.close()
            self.stopped.set()
            log.info("worker %s stopped", self.name)

    def _hand_back_all(self, stage: Stage) -> None:
        """Give the jobs of that stage back, so that other workers start them at once."""
        self._hand_back(
            [attempt for attempt in self._desk.held() if attempt.stage is stage], begun=stage is Stage.BEGUN
        )

    def _hand_back(self, attempts: list[Attempt], *, begun: bool) -> None:
        back = [attempt for attempt in attempts if attempt.end(Stage.HANDED_BACK) is not None]
        if not back:
            return
        log.info("worker %s hands %d jobs back", self.name, len(back))
        with contextlib.suppress(ServerError):  # their leases run out instead
            self._desk.shell.run(work_ops.hand_back(self._desk.keys, [(attempt.claimed, begun) for attempt in back]))
        for attempt in back:
            self._desk.drop(attempt)
            self._desk.release(attempt)

    def _give(self, attempt: Attempt) -> None:
        self._pool.submit(lambda: self._run(attempt))

    def _run(self, attempt: Attempt) -> None:
        """One attempt, on a thread of the pool."""
        if attempt.stage is not Stage.CLAIMED:
            return
        try:
            record = attempt.record = Record.parse(attempt.claimed.record)
        except Undecodable as error:
            self._ended(attempt, failure(error))
            return
        chosen = self._desk.listeners.chosen(record.lane)
        if not chosen:  # removed since the claim
            self._hand_back([attempt], begun=False)
        elif attempt.begin():
            self._ended(attempt, self._execute(attempt, record, chosen))

    def _execute(self, attempt: Attempt, record: Record, chosen: tuple[Listener, ...]) -> Outcome:
        helpers = Helpers(self._desk, attempt, self._claimer.nudge)
        calls_back = "callback" in record.options
        return execute(record.message, chosen, lambda message: helpers.context(record, message), calls_back=calls_back)

    def _ended(self, attempt: Attempt, outcome: Outcome) -> None:
        if attempt.end(Stage.ENDED) is not None:
            self._settler.put(attempt, outcome)
        self._stuck.discard(attempt)

    def _abandon(self, attempt: Attempt) -> None:
        """A listener's job was lost under it; it can't be killed, and its slot was replaced."""
        self._stuck.add(attempt)
        if len(self._stuck) >= STUCK_LIMIT:
            log.critical(
                "%d listeners of worker %s run on though their jobs were taken; it stops", STUCK_LIMIT, self.name
            )
            self._die()

    def _die(self) -> None:
        """Stop because something is broken beyond repair in this process."""
        self.broken = True
        threading.Thread(target=self.stop, args=(0.0,), name="mlq-stop", daemon=True).start()
