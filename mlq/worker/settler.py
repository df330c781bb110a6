"""The duty that settles outcomes and records reports: in batches, and in one round trip with the next claim."""

import queue
import threading
import time
from collections.abc import Callable, Sequence
from functools import partial

from mlq.core.states import State
from mlq.errors import ServerError
from mlq.ops import Op
from mlq.ops import settling as settle_ops
from mlq.ops.posting import stage, staging_name
from mlq.ops.settling import Ending
from mlq.ops.work import Claim
from mlq.running.spare_threads import Threads
from mlq.shell.known_ids import TRIES, known_ids_of, unstable
from mlq.shell.sync import Shell
from mlq.system.service import Service, log
from mlq.worker.attempt import Attempt, Stage
from mlq.worker.claimer import MOST, Give, claim_now, next_claim
from mlq.worker.endings import calls_back, complain, ending_of, is_staged
from mlq.worker.outbox import Ended, Reported
from mlq.worker.shadow_offers import Offers
from mlq.worker.shared import Shared
from mlq.worker.unrecorded import Unrecorded, record_reports

BATCH = 100  # outcomes per settle while jobs are short
FEW = 8  # outcomes per settle otherwise: if a hundred end together, the first slot would stay empty for 5 ms
BATCH_BYTES = 8 * 1024 * 1024
LARGE = 1024 * 1024  # bytes; a server may refuse to read more, and trying it here would delay all others by 10 s


class Settler(Service):
    """Empties the outbox, and refills the slots."""

    def __init__(
        self, shared: Shared, give: Give, deliveries_due: Callable[[], None], retry_in: Callable[[float], None],
        offers: Offers, died: Callable[[], None],
    ) -> None:  # fmt: skip
        """`deliveries_due` is called when a delivery was queued, `retry_in` with the seconds until a retry is due."""
        super().__init__("settler", died)
        self._shared = shared
        self._give = give
        self._deliveries_due = deliveries_due
        self._retry_in = retry_in
        self._offers = offers
        self._unrecorded = Unrecorded(shared, self._settle_kept, died)
        self._one_at_a_time = threading.Lock()
        self._pausing = Threads("mlq-pause")
        self._pace = 1.0  # seconds that a job takes, as a moving average
        self.refill = True  # False while the worker stops: settle, but claim nothing more

    def stop(self, timeout: float | None = None) -> None:
        """Settle everything in the outbox, then end."""
        give_up = None if timeout is None else time.monotonic() + timeout
        self._shared.outbox.close()
        if self._thread.is_alive():
            self._thread.join(timeout)
        super().stop(timeout)
        self._pausing.stop()
        self._unrecorded.stop(give_up and max(0.0, give_up - time.monotonic()))
        for attempt in self._shared.held():
            if attempt.stage is Stage.ENDED:
                log.error("job %s ended, but that can't be recorded: it runs again", attempt.claimed.id)

    def turn(self) -> None:
        """Record one batch."""
        said, ended = self._collect()
        with self._one_at_a_time:
            if said:
                self._record(said)
            if ended:
                self._settle(ended)

    def settle_here(self, ended: Ended) -> bool:
        """Settle one outcome in the calling thread; False if there are others to batch it with, or if it fails.

        While jobs are so short that some are claimed ahead, batches are faster, and the thread can run the next job.
        """
        shared = self._shared
        if ended.attempt.has_reported() or (shared.slots.ahead and not shared.exhausted) or shared.outbox.busy():
            return False  # its reports must be recorded first
        if ended.outcome.size > LARGE or is_staged(ended) or not self._one_at_a_time.acquire(blocking=False):
            return False
        try:
            self._settled([ended])
        except ServerError:
            return False
        except Exception:  # noqa: BLE001 - a defect must break the settler's own thread, not one that holds a slot
            log.exception("job %s: can't settle it in its own thread", ended.attempt.claimed.id)
            return False
        finally:
            self._one_at_a_time.release()
        return True

    def _collect(self) -> tuple[list[Reported], list[Ended]]:
        """Take a batch from the outbox. An attempt's reports are taken with its outcome at the latest."""
        said: list[Reported] = []
        ended: list[Ended] = []
        size, most = 0, BATCH if self._shared.slots.ahead or self._shared.batches else FEW
        while len(ended) < most and len(said) < BATCH and size < BATCH_BYTES:
            try:
                item = self._shared.outbox.take(block=not (said or ended))
            except queue.Empty:
                break
            if item is None:
                self.stopping.set()
                break
            if isinstance(item, Ended):
                if item.attempt.has_reported():
                    said.append(Reported(item.attempt))
                ended.append(item)
                size += item.outcome.size
            else:
                said.append(item)
        return said, ended

    def _record(self, said: list[Reported]) -> None:
        """Record reports; keep those that are large or can't be recorded yet, and later ones of the same attempt."""
        now: list[Attempt] = []
        later: list[Attempt] = []
        for (attempt,) in said:
            (later if self._unrecorded.has(attempt) or attempt.reports.size() > LARGE else now).append(attempt)
        for attempt in (*later, *record_reports(self._shared, now, self._shared.shell)):
            self._unrecorded.keep(Reported(attempt))

    def _settle(self, batch: list[Ended]) -> None:
        """Settle what can be settled now; the rest, and what is large, is kept, so that it delays nothing else."""
        now: list[Ended] = []
        later: list[Ended] = []
        for ended in batch:
            kept = self._unrecorded.has(ended.attempt) or ended.outcome.size > LARGE or is_staged(ended)
            (later if kept else now).append(ended)
        try:
            if now:
                self._settled(now)
        except ServerError:
            later = batch
        for ended in later:
            self._unrecorded.keep(ended)

    def _settle_kept(self, ended: Ended, shell: Shell) -> None:
        """Settle one outcome that was kept. Raises ServerError."""
        ending = ending_of(ended)
        settled = self._settle_one(ending, shell)
        self._shared.slots.release(ended.attempt)
        self._recorded([ended], [ending], [settled])

    def _settle_one(self, ending: Ending, shell: Shell) -> bool:
        """Settle one ending; where its job becomes another one, with the epoch of now, and a large body staged."""
        known = known_ids_of(shell.target, self._shared.keys)
        body, lane = ending.outcome.fields.get("body", b""), str(ending.outcome.fields.get("lane", ""))
        bodies = (body,) if isinstance(body, bytes) else ()
        ending = ending._replace(staged=staging_name(bodies)) if body else ending
        for _ in range(TRIES):
            shell.run_many(stage(self._shared.keys, ending.staged, lane, bodies))
            (settled,) = shell.run_here(lambda run: self._op([ending], known.epoch(run)))
            if settled is not None:
                return settled
            shell.run_here(known.sync_counter)
        raise unstable(shell.target)

    def _settled(self, batch: list[Ended]) -> None:
        shared = self._shared
        freed = shared.slots.let_go([ended.attempt for ended in batch])
        pauses = self._pauses(freed) if shared.batches else []
        self._pace += (sum(ended.attempt.took for ended in batch) / len(batch) - self._pace) * 0.2
        if shared.batches or not shared.settings.claims_ahead:  # it could not join the batch of the next claim
            shared.slots.claim_none_ahead()
        else:
            shared.slots.claim_ahead(self._pace)
        endings = [ending_of(ended) for ended in batch]
        if shared.limits:
            shared.follow_limits()
        try:
            settled = self._settle_and_claim(endings, len(freed) - len(pauses))
        except ServerError:
            shared.slots.give(len(pauses))
            shared.slots.hold_again(freed)
            for _, listener in pauses:
                shared.limits.rest(listener, -1)
            raise
        for seconds, listener in pauses:
            self._pausing.submit(partial(self._free_after, seconds, listener))
        again = [i for i, one in enumerate(settled) if one is None]
        for i in reversed(again):  # these wait for a new epoch
            self._unrecorded.keep(batch[i])
        left = [i for i in range(len(batch)) if i not in again] if again else range(len(batch))
        self._recorded([batch[i] for i in left], [endings[i] for i in left], [settled[i] for i in left])

    def _pauses(self, freed: list[Attempt]) -> list[tuple[float, str]]:
        """How long slots that batches freed wait for clients that come back, if they do; each with its listener."""
        found = []
        for attempt in freed:
            batch, at = attempt.batch, attempt.claimed.started + attempt.took
            if batch is not None and (pause := self._shared.pauses.get(batch.listener)) is not None:
                found.append((pause.ended(at, len(batch.members), attempt.took), batch.listener))
        found = [(seconds, listener) for seconds, listener in found if seconds > 0]
        for _, listener in found:
            self._shared.limits.rest(listener, 1)
        return found

    def _free_after(self, seconds: float, listener: str) -> None:
        """Let a slot wait, then have the claimer claim for it."""
        time.sleep(seconds)
        self._shared.limits.rest(listener, -1)
        self._shared.exhausted = False
        self._shared.slots.give()
        self._shared.wake_for_free_slot()

    def _op(self, endings: list[Ending], epoch: str) -> Op[list[bool | None]]:
        return settle_ops.settle(self._shared.keys, endings, self._shared.settings.max_losses - 1, epoch)

    def _recorded(self, batch: list[Ended], endings: list[Ending], settled: Sequence[bool | None]) -> None:
        """The server has recorded these: forget the attempts, log failures, and announce retries and deliveries."""
        shared, accepted = self._shared, [bool(one) for one in settled]
        shared.tally.settled(batch, accepted)
        shared.successes.add(
            [ended for ended, ok in zip(batch, accepted, strict=True) if ok and ended.outcome.state is State.SUCCEEDED]
        )
        if self._offers.on:
            self._offers.choose(batch, accepted)
        for ended, ending, ok in zip(batch, endings, accepted, strict=True):
            shared.drop(ended.attempt)
            if not ok:
                log.warning(
                    "job %s: the lease was lost, the outcome is refused (%s)", ending.claimed.id, ended.outcome.state
                )
            elif ended.outcome.state is State.FAILED:
                complain(ended, ending.retry_in, shared.settings.max_losses)
        shared.wake_for_free_slot()
        for ending in endings:
            if ending.retry_in is not None:
                self._retry_in(ending.retry_in)
            elif calls_back(ending):
                self._deliveries_due()

    def _settle_and_claim(self, endings: list[Ending], freed: int) -> list[bool | None]:
        """Settle, and claim for the free slots in the same round trip if nobody else claims and jobs may wait."""
        shared = self._shared
        may = self.refill and shared.registered and not shared.exhausted and shared.serves_any()
        known = known_ids_of(shared.shell.target, shared.keys)

        def settle(run: str) -> Op[list[bool | None]]:
            return self._op(endings, known.epoch(run))

        if not may or not shared.claiming.acquire(blocking=False):
            shared.slots.give(freed)
            return shared.shell.run_here(settle)
        try:
            wanted = shared.slots.exchange(freed, MOST)
            return self._both(settle, wanted) if wanted else shared.shell.run_here(settle)
        finally:
            shared.claiming.release()

    def _both(self, settle: Callable[[str], Op[list[bool | None]]], wanted: int) -> list[bool | None]:
        shared = self._shared
        reply: Claim | None = Claim()
        turns = shared.turns
        turns.begin()
        asked = turns.portion(wanted)
        claim = next_claim(shared, asked)
        try:
            settled, got = shared.shell.run_each_here(lambda run: (settle(run), claim))
            reply = got()
        finally:
            claimed = Claim() if reply is None else reply
            taken = shared.slots_of(claimed)
            if taken < wanted:
                shared.slots.give(wanted - taken)
        if reply is None:
            shared.unknown()
            claim_now(shared, self._give)
        else:
            turns.took(asked, taken, reply.again)
            if claimed:
                self._give(claimed)
            if taken < wanted and not turns.over():
                claim_now(shared, self._give, begun=True)
            else:
                shared.claim_ended(exhausted=taken < wanted)
        return settled()  # type: ignore[no-any-return]  # raises only now, when what was claimed has been handed to the pool
