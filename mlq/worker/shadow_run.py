"""One prediction that a shadow repeats, as a pool runs it: it is no job, so nothing of it reaches the queue."""

import threading
import time
from typing import TYPE_CHECKING, Any

from mlq.core.job import Claimed, Outcome, Record
from mlq.core.job_options import PLAIN
from mlq.core.shadow import Sample
from mlq.errors import InputError
from mlq.pools.contract import Supervisor
from mlq.running.listeners import Listener

if TYPE_CHECKING:
    from mlq.running.context import Channel


class NoQueue:
    """The channel of such a run: what it prints goes nowhere, and it can post and keep nothing."""

    def holds(self) -> bool:
        """As an attempt that holds its job."""
        return True

    def report(self, packed: bytes) -> None:
        """Progress is of no use."""

    def add_entry(self, kind: str, data: bytes) -> None:
        """Neither are partial results and logs."""

    def full(self) -> bool:
        """It takes everything."""
        return False

    def _refuse(self, *_: object, **__: object) -> Any:
        raise InputError("a shadow only repeats a prediction: it can't post, wait for or keep anything")

    store: Any = _refuse
    fetch = post = post_parts = parts = outcomes = wait = leave = go_on = store


class ShadowRun:
    """Runs once."""

    def __init__(self, listener: Listener, worker: str, sample: Sample) -> None:
        """`listener`: that of the shadow."""
        lane = f"{listener.queue}:{listener.name}"
        packed = b"%b\n0\n0\n%b" % (lane.encode(), sample.message)
        self.sample = sample
        self.listeners: tuple[Listener, ...] = (listener,)
        self.claimed = Claimed(sample.job_id, 1, "", worker, time.time(), packed)
        self.record = Record(lane, 0.0, PLAIN, sample.message)
        self.channel: Channel = NoQueue()
        self.began: float | None = None
        self.ended = threading.Event()
        self.outcome: Outcome | None = None  # none of one whose process died
        self.died = False

    def is_over(self) -> bool:
        """Whether nobody waits for it any more."""
        return self.ended.is_set()

    def finish(self, outcome: Outcome | None) -> None:
        """It has ended, or is given up."""
        self.outcome = self.outcome or outcome
        self.ended.set()


class ShadowSupervisor(Supervisor[ShadowRun]):
    """What the pool reports to."""

    def __init__(self) -> None:
        """The pool works."""
        self.is_broken = False

    def resize(self, change: int) -> None:
        """There is one run at a time, whatever the pool could run."""

    def broken(self) -> None:
        """The pool can run nothing any more."""
        self.is_broken = True

    def begin(self, task: ShadowRun) -> bool:
        """From now on, its time counts."""
        task.began = time.monotonic()
        return not task.is_over()

    def ended(self, run: ShadowRun, outcome: Outcome) -> None:
        """It has an outcome."""
        run.finish(outcome)

    def settle(self, run: ShadowRun, outcome: Outcome) -> None:
        """The same."""
        run.finish(outcome)

    def died(self, run: ShadowRun, reason: str, words: str, beside: int) -> None:  # noqa: ARG002 - part of the contract
        """Its process died."""
        run.died = True
        run.finish(None)
