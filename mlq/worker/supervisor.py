"""Accompanies attempts from their claim to their end: the pool runs them; they wait, end, time out, or are lost."""

import logging
import threading
import time
from collections.abc import Callable
from functools import partial

from mlq.core.job import Claimed, Outcome, Record
from mlq.errors import ServerError, Undecodable
from mlq.ops import work as work_ops
from mlq.pools.contract import Pool
from mlq.running.outcomes import death, failure, in_time, timeout
from mlq.running.spare_threads import Threads
from mlq.shell.trouble import pause
from mlq.system.service import TroubleLog
from mlq.worker.attempt import Attempt, Stage
from mlq.worker.channel import RedisChannel
from mlq.worker.outbox import Ended
from mlq.worker.shared import Shared
from mlq.worker.stuck import Stuck
from mlq.worker.timers import Timers

log = logging.getLogger("mlq.worker")

AHEAD_LIMIT = 0.05  # seconds that a job claimed ahead may wait for its turn


class Supervisor:
    """What a pool reports to; see `contract.Supervisor`."""

    settle_here: Callable[[Ended], bool]  # settles one outcome in the calling thread, or returns False
    resized: Callable[[], None]  # called when the number of slots changed

    def __init__(self, shared: Shared, pool: Pool, died: Callable[[], None]) -> None:
        """`settle_here` and `resized` are set later, before use: their owners are created with this supervisor."""
        self._shared = shared
        self._pool = pool
        self._died = died
        self._timers = Timers(died)
        self._stuck = Stuck(shared.name, self._timers, died)
        self._fetches = Threads("mlq-fetch")
        self._watches_ahead = False

    def stop(self, timeout: float) -> None:
        """Stop watching timeouts and fetching records."""
        self._timers.stop(timeout)
        self._fetches.stop()

    def broken(self) -> None:
        """The pool can run nothing any more."""
        self._died()

    def resize(self, change: int) -> None:
        """The number of attempts that the pool can run at a time changed by `change`."""
        self._pool.submit(self._shared.slots.resize(change))
        self.resized()

    def give(self, claimed: list[Claimed]) -> None:
        """Have claimed jobs run, each as soon as a slot is free for it."""
        shared = self._shared
        attempts = [Attempt(one) for one in claimed]
        shared.hold(attempts)
        for attempt in attempts:
            if not attempt.claimed.record:
                self._fetches.submit(partial(self._fetch, attempt))
        self._admit([attempt for attempt in attempts if attempt.claimed.record])
        if shared.slots.overdrawn() and not self._watches_ahead:
            self._watches_ahead = True
            self._timers.after(AHEAD_LIMIT, lambda: True, self._watch_ahead)

    def _fetch(self, attempt: Attempt) -> None:
        """Get a large record, which claims leave out. Its lease is renewed meanwhile, and other jobs run."""
        try:
            record = self._record_of(attempt)
        except Exception as error:  # such as a lack of memory; without an end the attempt would be held forever
            log.exception("can't get the message of job %s", attempt.claimed.id)
            self.ended(attempt, failure(error))
            return
        attempt.fetched(record)
        self._shared.note_size(attempt.size)
        if self._shared.has_large_buffers:  # as in `Shared.hold`
            self._shared.shell.close()
        self._admit([attempt])

    def _record_of(self, attempt: Attempt) -> bytes:
        """The attempt's record; empty if it is gone, or the attempt is over."""
        failures, trouble = 0, TroubleLog(f"can't get the message of job {attempt.claimed.id}")
        while attempt.stage is Stage.CLAIMED:
            try:
                record = self._shared.shell.run(work_ops.record(self._shared.keys, attempt.claimed.id))
            except ServerError as error:
                if "WRONGTYPE" in str(error):  # somebody else wrote there
                    break
                failures += 1
                trouble.log(error)
                time.sleep(pause(failures))
            else:
                trouble.over()
                return record or b""
        return b""

    def _admit(self, attempts: list[Attempt]) -> None:
        self._pool.submit(self._shared.slots.admit([attempt for attempt in attempts if self._read(attempt)]))

    def _read(self, attempt: Attempt) -> bool:
        """Parse the attempt's record; returns whether the job can run here."""
        try:
            record = Record.parse(attempt.claimed.record)
        except Undecodable as error:
            self.ended(attempt, failure(error))
            return False
        listeners, declared = self._shared.serves(record.lane)
        attempt.read(record, listeners, declared)
        if not listeners:  # removed since the claim
            threading.Thread(target=self._hand_back, args=([attempt],), daemon=True).start()
        return bool(listeners)

    # What the pool reports

    def begin(self, attempt: Attempt) -> bool:
        """The pool is about to run it. False if it must not, because the job was handed back or lost meanwhile."""
        if not attempt.begin():
            self._finish(attempt)
            return False
        attempt.channel = RedisChannel(self._shared, attempt, self)
        claimed, record = attempt.claimed, attempt.record
        if claimed.attempt == 1:  # a pause before a retry is not a wait for a worker
            self._shared.tally.waited(record.lane, claimed.started - record.posted)
        if attempt.policy.timeout is not None:
            self._timers.after(attempt.policy.timeout, attempt.holds, lambda: self._time_out(attempt))
        return True

    def ended(self, attempt: Attempt, outcome: Outcome) -> Attempt | None:
        """Its listeners have ended; returns the attempt that the pool runs next."""
        return self._end(attempt, outcome, here=False)

    def settle(self, attempt: Attempt, outcome: Outcome) -> Attempt | None:
        """Like `ended`, in a thread that may wait for the server: it settles the outcome if no others wait."""
        return self._end(attempt, outcome, here=True)

    def died(self, attempt: Attempt, reason: str, words: str, beside: int) -> Attempt | None:
        """Its process died, with `beside` other attempts; returns the attempt that the pool runs next."""
        attempt.beside = beside
        if attempt.end(Stage.ENDED) is not None:
            self._shared.outbox.end(Ended(attempt, death(reason, words), lost=True))
        return self._through(attempt)

    def _end(self, attempt: Attempt, outcome: Outcome, *, here: bool) -> Attempt | None:
        if attempt.end(Stage.ENDED) is not None:
            self._shared.note_size(max(attempt.size, outcome.size))
            ended = Ended(attempt, in_time(outcome, attempt.took, attempt.policy.timeout))
            if not (here and self.settle_here(ended)):
                self._shared.outbox.end(ended)
        return self._through(attempt)

    def _through(self, attempt: Attempt) -> Attempt | None:
        attempt.is_done = True
        self._stuck.remove(attempt)
        return self._shared.slots.finish(attempt)

    # What its listeners do

    def leave(self, attempt: Attempt) -> None:
        """It waits for another job. The first such wait gives up its slot; another attempt may run at once."""
        with attempt.wait_lock:
            attempt.waited = True
            attempt.waits += 1
            if attempt.waits == 1:
                self._pool.leave(attempt)
                self._pool.submit(self._shared.slots.leave(attempt))
                self._shared.nudge()

    def go_on(self, attempt: Attempt, *, at_once: bool) -> None:
        """A wait is over; after the last one, it gets a slot again, `at_once` or when one is free."""
        with attempt.wait_lock:
            attempt.waits -= 1
            if not attempt.waits:
                self._shared.slots.go_on(attempt, at_once=at_once)
                self._pool.back(attempt)

    # When it must end

    def _time_out(self, attempt: Attempt) -> None:
        if attempt.end(Stage.ENDED) is not None:
            self._shared.outbox.end(Ended(attempt, timeout(attempt.policy.timeout or 0.0)))
            self._abandon(attempt)

    def taken(self, lease: str) -> None:
        """A job was taken from this worker, as a message in its inbox says."""
        self._lose(lease, logging.INFO, "was cancelled, or ran longer than the reaper's limit")

    def lost(self, lease: str) -> None:
        """A renewal shows that this worker no longer holds a lease: it expired, or the message about it was lost."""
        self._lose(lease, logging.WARNING, "is no longer this worker's")

    def _lose(self, lease: str, level: int, why: str) -> None:
        attempt = self._shared.find(lease)
        if attempt is None:
            return
        before = attempt.end(Stage.LOST)
        self._shared.drop(attempt)
        if before is None:  # it had ended, but is not settled yet
            return
        claimed = attempt.claimed
        log.log(level, "job %s %s: what attempt %d returns is refused", claimed.id, why, claimed.attempt)
        if before is Stage.BEGUN:
            self._abandon(attempt)
        self._shared.slots.release(attempt)

    def _abandon(self, attempt: Attempt) -> None:
        """Its listeners no longer hold the job: end them if the pool can, and run other attempts instead."""
        self._stuck.add(attempt)
        if self._pool.end(attempt) or attempt.is_done:
            self._stuck.remove(attempt)
        self._finish(attempt)

    def _finish(self, attempt: Attempt) -> None:
        following = self._shared.slots.finish(attempt)
        if following is not None:
            self._pool.submit([following])

    # Handing back

    def hand_back_all(self, stage: Stage) -> None:
        """Hand back the jobs whose attempts are at that stage, so that other workers start them at once."""
        self._hand_back([attempt for attempt in self._shared.held() if attempt.stage is stage])

    def _hand_back(self, attempts: list[Attempt]) -> None:
        shared = self._shared
        back = [(attempt, before) for attempt in attempts if (before := attempt.end(Stage.HANDED_BACK)) is not None]
        if not back:
            return
        log.info("worker %s hands jobs back: %d", shared.name, len(back))
        begun = [(attempt.claimed, before is Stage.BEGUN) for attempt, before in back]
        try:
            shared.shell.run(work_ops.hand_back(shared.keys, begun))
        except ServerError as error:
            ids = ", ".join(attempt.claimed.id for attempt, _ in back)
            log.warning("can't hand back jobs %s, whose leases run out instead: %s", ids, error)
        for attempt, before in back:
            if before is Stage.BEGUN:
                self._pool.end(attempt)
            shared.drop(attempt)
            shared.slots.release(attempt)
            self._finish(attempt)

    def _watch_ahead(self) -> None:
        """Hand back jobs that were claimed ahead, if a long job runs before them after all."""
        self._watches_ahead = False
        waiting = self._not_begun()
        if not waiting:
            return
        if time.monotonic() - waiting[0].since > AHEAD_LIMIT:
            threading.Thread(target=self._hand_back_ahead, daemon=True).start()
        else:
            self._watches_ahead = True
            self._timers.after(AHEAD_LIMIT, lambda: True, self._watch_ahead)

    def _hand_back_ahead(self) -> None:
        """Hand back all that has not begun, last first, before the next claim, so that jobs keep their order."""
        with self._shared.claiming:
            self._shared.slots.claim_none_ahead()
            self._hand_back(self._not_begun()[::-1])

    def _not_begun(self) -> list[Attempt]:
        """Attempts that have not begun, in the order in which they were claimed."""
        return [attempt for attempt in self._shared.held() if attempt.stage is Stage.CLAIMED]
