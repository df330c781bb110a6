"""Counts slots: how many jobs a worker may claim and run at a time, and which attempt runs next."""

import threading
from collections import deque
from collections.abc import Sequence

from mlq.worker.attempt import Attempt, Stage
from mlq.worker.batch import Unit

AHEAD = 0.005  # seconds of work that may be claimed ahead: if the worker dies, no more than that is held up
SHORT = 0.001  # seconds that jobs take on average when some are claimed ahead
MOST_AHEAD = 300  # jobs


class Slots:
    """Counts slots and the attempts that hold them; a batch of attempts holds one together.

    An attempt holds a slot from its claim until its outcome is on its way to the server. It runs in that slot until
    its listeners have ended. If jobs are short, some are claimed ahead: for a moment more attempts hold a slot than
    there are slots, and those that can't run yet wait here. A listener that waits for another job gives up its slot,
    and gets one again before new jobs do.
    """

    def __init__(self) -> None:
        """No slots yet: the pool says how many there are."""
        self._total = 0
        self._free = 0  # below 0 where jobs are claimed ahead
        self._running = 0
        self._waiting: deque[Unit] = deque()  # claimed ahead
        self._returning = 0  # listeners that want a slot again
        self._closed = False
        self._ahead = 0  # jobs that may be claimed beyond the free slots, since the running ones end soon
        self._changed = threading.Condition()

    @property
    def total(self) -> int:
        """How many slots there are."""
        return self._total

    @property
    def ahead(self) -> int:
        """Jobs that may be claimed ahead."""
        return self._ahead

    def free(self) -> int:
        """Slots that new jobs may take now."""
        return 0 if self._closed else max(0, self._free - self._returning)

    @property
    def closed(self) -> bool:
        """Whether it takes no new jobs, even if slots are free."""
        return self._closed

    def overdrawn(self) -> bool:
        """Whether more attempts hold a slot than there are slots."""
        return self._free < 0

    # Claiming

    def take(self, most: int) -> int:
        """Take up to `most` slots for new jobs; returns how many it took."""
        with self._changed:
            return self._take(most)

    def give(self, count: int = 1) -> None:
        """Give back slots for which no job came."""
        with self._changed:
            self._give(count)

    def exchange(self, freed: int, most: int) -> int:
        """Give `freed` slots back and take up to `most` in one step, so that no thread is woken needlessly."""
        with self._changed:
            self._free += freed
            taken = self._take(most)
            if self._free > 0:
                self._changed.notify_all()
            return taken

    def take_one(self) -> bool:
        """Take a free slot, if there is one, even while the slots are closed."""
        with self._changed:
            taken = self._free - self._returning > 0
            self._free -= taken
            return taken

    def overdraw(self) -> None:
        """Take a slot whether one is free or not: no new jobs come until the count is positive again."""
        with self._changed:
            self._free -= 1

    def claim_ahead(self, seconds: float) -> None:
        """Allow as many jobs ahead as end within 5 ms if each takes `seconds`; none if jobs are long."""
        self._ahead = min(MOST_AHEAD, int(AHEAD / seconds * self._total)) if 0 < seconds < SHORT else 0

    def claim_none_ahead(self) -> None:
        """Allow no jobs ahead until the next `claim_ahead`."""
        self._ahead = 0

    def close(self) -> bool:
        """Take no new jobs, even if slots are free; returns whether the slots were closed before."""
        closed, self._closed = self._closed, True
        return closed

    def open(self) -> bool:
        """Take new jobs again; returns whether the slots were closed before."""
        with self._changed:
            closed, self._closed = self._closed, False
            self._changed.notify_all()
        return closed

    def wait(self, timeout: float) -> bool:
        """Wait until a slot is free or `wake` is called; False if `timeout` seconds pass first."""
        with self._changed:
            return self.free() > 0 or self._changed.wait(timeout)

    def wake(self) -> None:
        """Wake the threads in `wait`."""
        with self._changed:
            self._changed.notify_all()

    # Running

    def resize(self, change: int) -> list[Unit]:
        """Add slots, or remove them if `change` is negative; returns what may run now."""
        with self._changed:
            self._total += change
            self._give(change)
            return self._admit()

    def admit(self, claimed: Sequence[Unit]) -> list[Unit]:
        """Take in what was claimed; returns what may run now. The rest waits for its turn."""
        with self._changed:
            self._waiting.extend(claimed)
            return self._admit()

    def finish(self, unit: Unit) -> Unit | None:
        """An attempt or batch ended but keeps its slot; returns what may run instead. A second call does nothing."""
        with self._changed:
            if self._returning:
                self._changed.notify_all()  # it may be one of those that want a slot again, and no longer need it
            if not unit.runs:
                return None
            admitted = self._stop(unit)
            return admitted[0] if admitted else None

    def leave(self, attempt: Attempt) -> list[Unit]:
        """An attempt waits for another job and gives up its slot; returns the attempts that may run now."""
        with self._changed:
            self._give(self._let_go(attempt))
            return self._stop(attempt) if attempt.runs else []

    def go_on(self, attempt: Attempt, *, at_once: bool) -> None:
        """Give an attempt that had left a slot again: wait for one, or take it `at_once`, whether one is free or not.

        It gets none if it has ended meanwhile.
        """
        with self._changed:
            self._returning += 1
            while not at_once and self._free < 1 and attempt.stage is Stage.BEGUN:
                self._changed.wait()
            self._returning -= 1
            if attempt.stage is Stage.BEGUN:
                self._free -= 1
                self._running += 1
                attempt.holds_slot = attempt.runs = True
            else:
                self._changed.notify_all()

    def let_go(self, attempts: Sequence[Attempt]) -> list[Attempt]:
        """Take these attempts' slots; returns those that had one. The caller must `give` the slots, or `hold_again`."""
        with self._changed:
            return [attempt for attempt in attempts if self._let_go(attempt)]

    def hold_again(self, attempts: Sequence[Attempt]) -> None:
        """Return slots to attempts that could not be settled after all, whether any are free or not."""
        with self._changed:
            for attempt in attempts:
                attempt.holds_slot = True
                if attempt.batch is not None:
                    attempt.batch.holding += 1
            self._free -= len(attempts)

    def release(self, attempt: Attempt) -> None:
        """Free the slot of an attempt, if it holds one."""
        with self._changed:
            self._give(self._let_go(attempt))

    # With the lock held

    def _take(self, most: int) -> int:
        """Take slots for new jobs; none ahead while a listener wants its slot again."""
        if self._closed:
            return 0
        ahead = 0 if self._returning else self._ahead
        taken = max(0, min(most, self._free + ahead - self._returning))
        self._free -= taken
        return taken

    def _give(self, count: int) -> None:
        if count:
            self._free += count
            self._changed.notify_all()

    def _let_go(self, attempt: Attempt) -> bool:
        held, attempt.holds_slot = attempt.holds_slot, False
        if held and attempt.batch is not None:
            attempt.batch.holding -= 1
            return attempt.batch.holding == 0
        return held

    def _stop(self, unit: Unit) -> list[Unit]:
        unit.runs = False
        self._running -= 1
        return self._admit()

    def _admit(self) -> list[Unit]:
        admitted = []
        while self._waiting and self._running < self._total:
            unit = self._waiting.popleft()
            if unit.stage is Stage.CLAIMED:  # else handed back, or lost
                unit.runs = True
                self._running += 1
                admitted.append(unit)
        return admitted
