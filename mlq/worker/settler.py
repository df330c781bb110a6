"""The duty that records outcomes: in batches, and in one round trip with the next claim."""

import itertools
import queue
import time
from collections.abc import Callable

from mlq.errors import NoServer, OutOfMemory, ServerError
from mlq.job import Claimed, Outcome
from mlq.listeners import failure
from mlq.ops import Op
from mlq.ops import work as work_ops
from mlq.ops.work import Lanes
from mlq.service import Service, log
from mlq.worker.attempt import Attempt
from mlq.worker.claimer import MOST, claim_now
from mlq.worker.desk import LEASE, Desk, Give

BATCH = 100  # outcomes of one settle
BATCH_BYTES = 8 * 1024 * 1024
REFUSALS = 30  # tries, most of them 1 s apart, before an error that the server answers with is taken for its last word

Ended = tuple[Attempt, Outcome]


class Settler(Service):
    """Takes what ended, settles it, and refills the slots."""

    def __init__(self, desk: Desk, give: Give, called_back: Callable[[], None], died: Callable[[], None]) -> None:
        """`give` takes a new attempt and has it run; `called_back` is told when a callback was queued."""
        super().__init__("settler", died)
        self._desk = desk
        self._give = give
        self._called_back = called_back
        self._ended: queue.SimpleQueue[Ended | None] = queue.SimpleQueue()
        self.refill = True  # False while the worker stops: settle, but claim nothing more

    def put(self, attempt: Attempt, outcome: Outcome) -> None:
        """Hand over what ended."""
        self._ended.put((attempt, outcome))

    def stop(self, timeout: float | None = None) -> None:
        """Settle what was put, then end."""
        self._ended.put(None)
        if self._thread.is_alive():
            self._thread.join(timeout)
        super().stop(timeout)

    def turn(self) -> None:
        """Settle one batch."""
        if batch := self._collect():
            self._settle(batch)

    def _settle(self, batch: list[Ended]) -> None:
        """Settle, again and again until the server has it; what it refuses becomes a failure, lest all else wait."""
        for failures in itertools.count(1):
            began = time.monotonic()
            try:
                return self._settled(batch)
            except ServerError as error:
                log.warning("can't settle %d outcomes yet: %s", len(batch), error)
                refused = self._is_refused(error, failures, began)
                if refused and len(batch) > 1:
                    for one in batch:
                        self._settle([one])
                    return None
                if refused and failures > 1:
                    log.error("job %s: the server does not take its outcome", batch[0][0].claimed.id)
                    batch = [(batch[0][0], failure(error))]
            if self.stopping.wait(min(1.0, 0.05 * 2 ** min(failures, 5))):
                return None  # the leases run out, and the jobs run again
        return None

    def _is_refused(self, error: ServerError, failures: int, began: float) -> bool:
        """Whether the server is there and will never take this, rather than away or in trouble for a while.

        One that cuts the connection on a result above its own limit looks like one that is away; so it counts whether
        the renewer had an answer meanwhile.
        """
        if isinstance(error, OutOfMemory):
            return False
        if isinstance(error, NoServer):
            return self._desk.reached > began
        return failures >= REFUSALS

    def _collect(self) -> list[Ended]:
        batch: list[Ended] = []
        size = 0
        while len(batch) < BATCH and size < BATCH_BYTES:
            try:
                one = self._ended.get(block=not batch)
            except queue.Empty:
                break
            if one is None:
                self.stopping.set()
                break
            batch.append(one)
            size += one[1].size
        return batch

    def _settled(self, batch: list[Ended]) -> None:
        desk = self._desk
        freed = sum(desk.let_go(attempt) for attempt, _ in batch)
        settle = work_ops.settle(desk.keys, [(attempt.claimed, outcome, attempt.record) for attempt, outcome in batch])
        stood = self._settle_and_claim(settle, freed)
        for (attempt, outcome), ok in zip(batch, stood, strict=True):
            desk.drop(attempt)
            if not ok:
                log.warning(
                    "job %s: the lease was lost, the outcome is refused (%s)", attempt.claimed.id, outcome.state
                )
        desk.wake_if_deaf()
        if any(attempt.record and "callback" in attempt.record.options for attempt, _ in batch):
            self._called_back()

    def _settle_and_claim(self, settle: Op[list[bool]], freed: int) -> list[bool]:
        """Settle; in the same round trip claim for the free slots, when nobody else claims and more may be there."""
        desk = self._desk
        if not self.refill or desk.drained or not desk.claiming.acquire(blocking=False):
            desk.slots.give(freed)
            return desk.shell.run(settle)
        try:
            wanted = desk.slots.swap(freed, MOST)
            return self._both(settle, wanted) if wanted else desk.shell.run(settle)
        finally:
            desk.claiming.release()

    def _both(self, settle: Op[list[bool]], wanted: int) -> list[bool]:
        desk = self._desk
        reply: list[Claimed] | Lanes = []
        try:
            claim = work_ops.claim(desk.keys, desk.name, next(desk.numbers), desk.lanes, LEASE, wanted)
            settled, got = desk.shell.run_each([settle, claim])
            reply = got()
        finally:
            claimed = reply if isinstance(reply, list) else []
            if len(claimed) < wanted:
                desk.slots.give(wanted - len(claimed))
        if isinstance(reply, Lanes):
            desk.choose_lanes(reply)
            claim_now(desk, self._give)
        else:
            desk.drained = len(claimed) < wanted
            for attempt in desk.hold(claimed):
                self._give(attempt)
        return settled()  # type: ignore[no-any-return]  # raises only now: what was claimed is in good hands
