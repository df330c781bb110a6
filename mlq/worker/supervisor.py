"""Accompanies attempts from their claim to their end: the pool runs them; they wait, end, time out, or are lost."""

import logging
import threading
import time
from collections.abc import Callable, Sequence

from mlq.core.job import Claimed, Outcome, Record
from mlq.errors import InputError, ServerError, Undecodable
from mlq.ops import work as work_ops
from mlq.pools.contract import Pool
from mlq.running.outcomes import death, failure, in_time, timeout
from mlq.worker.attempt import Attempt, Stage
from mlq.worker.batch import Batch, Unit, batch_of, goes_on, parts_but_one, slots_of, units
from mlq.worker.channel import RedisChannel
from mlq.worker.fetches import Fetches
from mlq.worker.late import is_late, without_late
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
        self._fetches = Fetches(shared)
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
        attempts = [Attempt(one) for one in without_late(shared, claimed)]
        shared.hold(attempts)
        found = self._in_batches(attempts) if shared.batches else attempts
        complete = [unit for unit in found if unit.is_complete()]
        for attempt in attempts:
            if not attempt.claimed.record:
                self._fetches.begin(attempt, self._fetched)
        self._admit(complete)
        if shared.slots.overdrawn() and not self._watches_ahead:
            self._watches_ahead = True
            self._timers.after(AHEAD_LIMIT, lambda: True, self._watch_ahead)

    def _in_batches(self, attempts: list[Attempt]) -> list[Unit]:
        """Put what is to run together into batches; those that are halved need more slots than were taken for them."""
        found = list(units(attempts))
        for _ in range(len(found) - slots_of(attempt.claimed for attempt in attempts)):
            self._shared.slots.overdraw()
        if self._shared.limits and (excess := parts_but_one(found)):
            self._hand_back([member for part in excess for member in part.members])
            found = [unit for unit in found if unit not in excess]
        return found

    def _fetched(self, attempt: Attempt, error: Exception | None) -> None:
        """The attempt has its record, or can't get it."""
        if error is not None:
            self.ended(attempt, failure(error))
        elif is_late(self._shared, attempt.claimed):
            self._lose(attempt.claimed.lease, logging.INFO, "had expired")
        if attempt.batch is None:
            self._admit([attempt] if attempt.stage is Stage.CLAIMED else [])
        elif attempt.batch.is_last_fetched():
            self._admit([attempt.batch])
        self._shared.wake_for_free_slot()  # until now, it counted for every listener with a limit

    def _admit(self, claimed: Sequence[Unit]) -> None:
        self._pool.submit(self._shared.slots.admit([unit for unit in claimed if self._is_ready(unit)]))

    def _is_ready(self, unit: Unit) -> bool:
        """Whether it can run here; members of a batch that can't have left it then."""
        if isinstance(unit, Attempt):
            return self._read(unit)
        unit.members = [member for member in unit.members if member.stage is Stage.CLAIMED and self._read(member)]
        if all(batch_of(member.listeners) for member in unit.members):
            return bool(unit.members)
        self._hand_back_later(unit.members)  # the listener was declared anew since the claim, and takes no batches
        return False

    def _read(self, attempt: Attempt) -> bool:
        """Parse the attempt's record; returns whether the job can run here."""
        try:
            record = Record.parse(attempt.claimed.record)
        except Undecodable as error:
            self.ended(attempt, failure(error))
            return False
        attempt.read(record, *self._shared.serves(record.lane))
        self._shared.affinity.claimed(attempt.listeners)
        if not attempt.listeners:  # removed since the claim
            self._hand_back_later([attempt])
        return bool(attempt.listeners)

    def _hand_back_later(self, attempts: list[Attempt]) -> None:
        threading.Thread(target=self._hand_back, args=(attempts,), daemon=True).start()

    # What the pool reports

    def begin(self, task: Unit) -> bool:
        """The pool is about to run it. False if it must not, because the jobs were handed back or lost meanwhile."""
        if isinstance(task, Attempt):
            begins = self._begin(task)
        else:
            task.members = [member for member in task.members if self._begin(member)]
            if begins := bool(task.members):
                self._begin_batch(task)
        if not begins:
            self._finish(task)
        return begins

    def _begin_batch(self, batch: Batch) -> None:
        self._shared.tally.began(batch.members[0].record.lane, len(batch.members))
        if (pause := self._shared.pauses.get(batch.listener)) is not None:
            pause.begins(one.record.due for one in batch.members if one.claimed.attempt == 1)

    def _begin(self, attempt: Attempt) -> bool:
        if not attempt.begin():
            return False
        attempt.channel = RedisChannel(self._shared, attempt, self)
        if attempt.claimed.attempt == 1:  # a pause before a retry is not a wait for a worker
            self._shared.tally.waited(attempt.record.lane, attempt.claimed.started - attempt.record.due)
        if attempt.policy.timeout is not None:
            self._timers.after(attempt.policy.timeout, attempt.holds, lambda: self._time_out(attempt))
        return True

    def ended(self, attempt: Attempt, outcome: Outcome) -> Unit | None:
        """Its listeners have ended; returns what the pool runs next."""
        return self._end(attempt, outcome, here=False)

    def settle(self, attempt: Attempt, outcome: Outcome) -> Unit | None:
        """Like `ended`, in a thread that may wait for the server: it settles the outcome if no others wait."""
        return self._end(attempt, outcome, here=True)

    def died(self, attempt: Attempt, reason: str, words: str, beside: int) -> Unit | None:
        """Its process died, with `beside` other attempts; returns what the pool runs next."""
        attempt.beside = beside
        if attempt.end(Stage.ENDED) is not None:
            self._shared.outbox.end(Ended(attempt, death(reason, words), lost=True))
        return self._through(attempt)

    def _end(self, attempt: Attempt, outcome: Outcome, *, here: bool) -> Unit | None:
        if attempt.end(Stage.ENDED) is not None:
            self._shared.note_size(max(attempt.size, outcome.size))
            ended = Ended(attempt, in_time(outcome, attempt.took, attempt.policy.timeout))
            if not (here and self.settle_here(ended)):
                self._shared.outbox.end(ended)
        return self._through(attempt)

    def _through(self, attempt: Attempt) -> Unit | None:
        attempt.is_done = True
        unit = attempt.batch or attempt
        if isinstance(unit, Batch) and not unit.is_done():
            return None
        self._stuck.remove(unit)
        return self._shared.slots.finish(unit)

    # What its listeners do

    def leave(self, attempt: Attempt) -> None:
        """It waits for another job. The first such wait gives up its slot; another attempt may run at once.

        Raises InputError if it runs in a batch, since the others of that would wait, too.
        """
        if attempt.batch is not None:
            raise InputError("a listener that takes batches can't wait for other jobs")
        with attempt.wait_lock:
            if attempt.leave():
                self._pool.leave(attempt)
                self._pool.submit(self._shared.slots.leave(attempt))
                self._shared.nudge()

    def go_on(self, attempt: Attempt, *, at_once: bool) -> None:
        """A wait is over; after the last one, it gets a slot again, `at_once` or when one is free."""
        with attempt.wait_lock:
            if attempt.back():
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
        self._shared.wake_for_free_slot()

    def _abandon(self, attempt: Attempt) -> None:
        """Its listeners no longer hold the job: end them if the pool can, and run other attempts instead.

        A batch goes on while any of its members holds its job.
        """
        unit = attempt.batch or attempt
        self._stuck.add(unit)
        if self._pool.end(attempt) or attempt.is_done or goes_on(unit):
            self._stuck.remove(unit)
        self._finish(unit)

    def _finish(self, unit: Unit) -> None:
        if not goes_on(unit) and (following := self._shared.slots.finish(unit)) is not None:
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
            self._finish(attempt.batch or attempt)
        shared.wake_for_free_slot()

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
