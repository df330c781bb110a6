"""The worker of one process: puts the duties together, starts and stops them."""

import contextlib
import logging
import threading
import time

from mlq.core.job import Claimed, Outcome, Record
from mlq.core.keys import Keys
from mlq.deliveries.sender import Sender
from mlq.errors import ServerError, Undecodable
from mlq.ops import work as work_ops
from mlq.pools.contract import Loader, Pool
from mlq.running import execution
from mlq.running.listeners import Listeners
from mlq.running.outcomes import failure, in_time, timeout
from mlq.shell.sync import Shell
from mlq.shell.target import Target
from mlq.system import capture
from mlq.worker.apart import Apart
from mlq.worker.attempt import Attempt, Stage
from mlq.worker.claimer import Claimer
from mlq.worker.desk import CALLS, Desk, Settings
from mlq.worker.line import RedisLine
from mlq.worker.outbox import Ended
from mlq.worker.renewer import Renewer
from mlq.worker.settler import Settler
from mlq.worker.timers import Timers
from mlq.worker.upload_watch import Uploads

log = logging.getLogger("mlq.worker")

STUCK_AFTER = 2.0  # seconds that a listener has to end when its job was taken, where it can't be killed
STUCK_LIMIT = 8  # listeners that go on though their job was lost; then a fresh process is better
STOP_PATIENCE = 1.0  # seconds that each call waits for a server that went away, once we stop
HOARD = 0.05  # seconds that a job which was claimed ahead may wait for its turn
JOIN = 5.0  # seconds to wait for a duty to end


class Worker:
    """Claims jobs and has a pool run their listeners, until stopped. Starts once."""

    def __init__(
        self, keys: Keys, named: Target | None, listeners: Listeners, pool: Pool, settings: Settings | None = None,
        loader: Loader | None = None,
    ) -> None:  # fmt: skip
        """Nothing is contacted before `start`. Uploaded listeners are accepted where there is a `loader` for them."""
        self.stopping = threading.Event()
        self.stopped = threading.Event()
        self.broken = False  # it stopped by itself: the process should end and be started again
        self._pool = pool
        self._stuck: dict[Attempt, float] = {}  # since when
        self._changing = threading.Lock()  # starts, or stops
        desk = self._desk = Desk(
            keys, Shell(named, most=CALLS), listeners, settings or Settings(), accepts_uploads=loader is not None
        )
        self._sender = Sender(keys, desk.shell, self._die)
        self._claimer = Claimer(desk, self._give, self._taken, self._die)
        self._apart = Apart(desk, self._give, self._die, separates=pool.name == "process")
        self._renewer = Renewer(
            desk, pool.name, lambda: self._claimer.turned, self._sender.due, self._lost, self._apart.due, self._die
        )  # fmt: skip
        self._settler = Settler(desk, self._give, self._sender.due, self._renewer.retry_in, self._die)
        self._timers = Timers(self._die)
        self._uploads = None if loader is None else Uploads(desk, loader, self._die)
        self._looks = False  # for jobs that were claimed ahead and wait too long

    @property
    def name(self) -> str:
        """The worker's name, unique for ever."""
        return self._desk.name

    def start(self) -> None:
        """Begin to work; a stop that comes meanwhile waits until it can stop all of it."""
        with self._changing:
            if self.stopped.is_set():
                return
            capture.begin()
            self._desk.listeners.watch(self._listeners_changed)
            execution.remember_context()
            self._pool.start(self._resize, self._die)
            for duty in (self._sender, self._settler, self._renewer, self._claimer):
                duty.start()
            if self._uploads is not None:
                self._uploads.start()
            namespace = self._desk.keys.namespace
            log.info("worker %s of namespace %r started, with the %s pool", self.name, namespace, self._pool.name)

    def _resize(self, change: int) -> None:
        self._desk.slots.resize(change)
        self._renewer.hurry()

    def _listeners_changed(self) -> None:
        """The listeners are not what they were: other lanes may be served now."""
        with self._desk.claiming:
            self._desk.listeners_changed()
        self._desk.nudge()
        self._renewer.hurry()

    def idle(self) -> bool:
        """Whether nothing runs here, the last claim found nothing more, and no retry waits for its time."""
        return self._desk.drained and not self._desk.held() and not self._renewer.expects_retry()

    def stop(self, grace: float) -> None:
        """Claim nothing more, let running jobs end within `grace` seconds, hand the rest back; then return."""
        with self._changing:
            if self.stopped.is_set():
                return
            self.stopping.set()
            self._desk.listeners.unwatch(self._listeners_changed)
            self._desk.shell.patience = STOP_PATIENCE
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
        self._desk.nudge()
        self._claimer.stop(JOIN)
        self._apart.stop(JOIN)
        if self._uploads is not None:
            self._uploads.stop(JOIN)
        self._hand_back_all(Stage.CLAIMED)
        self._desk.wait_until_none_held(grace)
        self._hand_back_all(Stage.BEGUN)
        self._settler.stop(JOIN)
        self._hand_back_all(Stage.CLAIMED)  # what a claim that was under way may have brought
        self._hand_back_all(Stage.BEGUN)
        self._sender.stop(JOIN)
        self._timers.stop(JOIN)
        self._renewer.stop(JOIN)
        self._pool.close()
        with contextlib.suppress(ServerError):
            self._retire()
        self._desk.shell.close()

    def _retire(self) -> None:
        """Deliver what was counted since the last time, and be listed no more."""
        desk = self._desk
        while (delivery := desk.tally.delivery(desk.keys, self.name)) is not None:
            desk.shell.run(delivery)
            desk.tally.delivered()
        desk.shell.run_many(work_ops.retire(desk.keys, self.name))

    def _hand_back_all(self, stage: Stage) -> None:
        """Give the jobs of that stage back, so that other workers start them at once."""
        self._hand_back(
            [attempt for attempt in self._desk.held() if attempt.stage is stage], begun=stage is Stage.BEGUN
        )

    def _hand_back(self, attempts: list[Attempt], *, begun: bool) -> None:
        back = [attempt for attempt in attempts if attempt.end(Stage.HANDED_BACK) is not None]
        if not back:
            return
        log.info("worker %s hands jobs back: %d", self.name, len(back))
        try:
            self._desk.shell.run(work_ops.hand_back(self._desk.keys, [(attempt.claimed, begun) for attempt in back]))
        except ServerError as error:
            ids = ", ".join(attempt.claimed.id for attempt in back)
            log.warning("can't hand back jobs %s, whose leases run out instead: %s", ids, error)
        for attempt in back:
            if begun:
                self._pool.end(attempt)
            self._desk.drop(attempt)
            self._desk.release(attempt)

    def _give(self, claimed: list[Claimed]) -> None:
        """Have claimed jobs run."""
        attempts = [Attempt(one, self, self._line) for one in claimed]
        self._desk.hold(attempts)
        runs = [attempt for attempt in attempts if self._read(attempt)]
        self._pool.submit(runs)
        if self._desk.slots.overdrawn() and not self._looks:
            self._looks = True
            self._timers.after(HOARD, lambda: True, self._look_for_hoard)

    def _look_for_hoard(self) -> None:
        """Give back what was claimed ahead of short jobs, when a long one stands before it after all."""
        self._looks = False
        claimed = self._not_begun()
        if not claimed:
            return
        if time.monotonic() - claimed[0].since > HOARD:
            threading.Thread(target=self._give_hoard_back, daemon=True).start()
        else:
            self._looks = True
            self._timers.after(HOARD, lambda: True, self._look_for_hoard)

    def _give_hoard_back(self) -> None:
        """All that has not begun, the last first, before anything else is claimed: what is kept stays first in line."""
        with self._desk.claiming:
            self._desk.slots.ahead = 0
            self._hand_back(self._not_begun()[::-1], begun=False)

    def _not_begun(self) -> list[Attempt]:
        """Attempts that wait for their turn here, in the order in which they were claimed."""
        return [attempt for attempt in self._desk.held() if attempt.stage is Stage.CLAIMED]

    def _line(self, attempt: Attempt) -> RedisLine:
        return RedisLine(self._desk, attempt)

    def _read(self, attempt: Attempt) -> bool:
        """Whether the job can be run here."""
        try:
            record = Record.parse(attempt.claimed.record)
        except Undecodable as error:
            self.ended(attempt, failure(error))
            return False
        listeners, declared = self._desk.serves(record.lane)
        attempt.read(record, listeners, declared)
        if not listeners:  # removed since the claim
            threading.Thread(target=self._hand_back, args=([attempt],), kwargs={"begun": False}, daemon=True).start()
        return bool(listeners)

    def began(self, attempt: Attempt) -> None:
        """An attempt begins: the first one ends a wait. The pauses before the others are none."""
        claimed, record = attempt.claimed, attempt.record
        if claimed.attempt == 1:
            self._desk.tally.waited(record.lane, claimed.started - record.posted)

    def limit(self, attempt: Attempt, seconds: float) -> None:
        """An attempt began that may take so long."""
        self._timers.after(seconds, attempt.holds, lambda: self._over(attempt))

    def left(self, attempt: Attempt) -> None:
        """An attempt waits for another job: the slot is free, in the pool first, since a job may come at once."""
        self._pool.leave(attempt)
        self._desk.release(attempt)
        self._desk.nudge()

    def returned(self, attempt: Attempt, *, at_once: bool) -> None:
        """It goes on."""
        self._desk.take_back(attempt, at_once=at_once)
        self._pool.back(attempt)

    def ended(self, attempt: Attempt, outcome: Outcome, *, lost: bool = False, here: bool = False) -> None:
        """An attempt is through, or died with its process."""
        if attempt.end(Stage.ENDED) is not None:
            attempt.took = time.monotonic() - attempt.since
            self._desk.swells(max(attempt.size, outcome.size))
            if not lost:
                outcome = in_time(outcome, attempt.took, attempt.policy.timeout)
            ended = Ended(attempt, outcome, lost)
            if not (here and self._settler.settle_here(ended)):
                self._desk.outbox.end(ended)
        attempt.through = True
        self._stuck.pop(attempt, None)

    def _over(self, attempt: Attempt) -> None:
        """The attempt's time is up."""
        seconds = attempt.policy.timeout or 0.0
        if attempt.end(Stage.ENDED) is not None:
            attempt.took = time.monotonic() - attempt.since
            self._desk.outbox.end(Ended(attempt, timeout(seconds)))
            self._abandon(attempt)

    def _taken(self, lease: str) -> None:
        """Somebody took a job from this worker, and said so."""
        self._lose(lease, logging.INFO, "was cancelled, or ran longer than the reaper's limit")

    def _lost(self, lease: str) -> None:
        """A lease is found to be this worker's no more: it ran out, or what was said of it was lost on the way."""
        self._lose(lease, logging.WARNING, "is no longer this worker's")

    def _lose(self, lease: str, level: int, why: str) -> None:
        attempt = self._desk.find(lease)
        before = self._desk.lose(attempt) if attempt is not None else None
        if attempt is not None and before is not None:
            claimed = attempt.claimed
            log.log(level, "job %s %s: what attempt %d returns is refused", claimed.id, why, claimed.attempt)
            if before is Stage.BEGUN:
                self._abandon(attempt)

    def _abandon(self, attempt: Attempt) -> None:
        """A listener's job is no longer its own. Where it can't be killed, its slot was replaced."""
        self._stuck[attempt] = time.monotonic()
        if self._pool.end(attempt) or attempt.through:
            self._stuck.pop(attempt, None)
        else:
            self._timers.after(STUCK_AFTER, lambda: attempt in self._stuck, self._judge)

    def _judge(self) -> None:
        """Give up when too many listeners have had their time to end, and run on."""
        latest = time.monotonic() - STUCK_AFTER
        if sum(since <= latest for since in tuple(self._stuck.values())) >= STUCK_LIMIT:
            log.critical(
                "%d listeners of worker %s run on though their jobs were taken; it stops", STUCK_LIMIT, self.name
            )
            self._die()

    def _die(self) -> None:
        """Stop because something is broken beyond repair in this process."""
        self.broken = True
        threading.Thread(target=self.stop, args=(0.0,), name="mlq-stop", daemon=True).start()
