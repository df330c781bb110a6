"""Posts pipelines at a steady rate, cancels some of them midway, and requeues some that ended badly."""

import heapq
import itertools
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.chaos import effects
from benchmarks.chaos.mix import NAMESPACE
from benchmarks.chaos.pipelines.plans import Root, plan
from benchmarks.chaos.receiver import Receiver
from mlq import MLQ, MLQError, State, UnknownJob, WrongState
from mlq.core.states import FINISHED
from mlq.core.tree import Tree
from mlq.errors import AfterFailure

SHARE = 1 / 40  # plans among the other jobs; each is some seven jobs
AGAIN = 0.3  # seconds until something is tried once more


@dataclass
class Fate:
    """What was done to a root."""

    root: Root
    job_id: str | None = None  # None: its post failed with an error, or was not tried since that of another one did
    at: float = 0.0  # when it was acknowledged, by the monotonic clock
    refused: bool = False  # it was to come after one that had failed
    cancelled: str | None = None  # the "root" or a "step"
    may_be_cancelled: bool = False  # a try failed with an error
    requeued: bool = False
    done_before: dict[str, int] = field(default_factory=dict)  # steps that had succeeded then, with their attempts


Deed = Callable[[], float | None]  # seconds until it is to be called again; None when it is done


class Pipelines:
    """The poster of pipelines. One thread, which goes on after `stop` until all that it meant to do is done."""

    def __init__(self, url: str, seed: int, jobs_per_second: float, receiver: Receiver, file: Path) -> None:
        """Begins at once. `file`: of the effects."""
        self._rate = SHARE * jobs_per_second
        self._mlq = MLQ(NAMESPACE, url=url)
        self._seed, self._receiver, self._file = seed, receiver, file
        self._deeds: list[tuple[float, int, Deed]] = []
        self._numbers = itertools.count()
        self._stop, self._give_up = threading.Event(), threading.Event()
        self.fates: dict[str, Fate] = {}
        self.broken: BaseException | None = None
        self._thread = threading.Thread(target=self._work, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Post no more."""
        self._stop.set()

    def to_do(self) -> dict[str, int]:
        """What is still to be done after `stop`."""
        return {"cancellations and requeues": len(self._deeds)} if self._thread.is_alive() else {}

    def end(self) -> None:
        """Whatever is still to be done. Raises what went wrong here."""
        self._stop.set()
        self._give_up.set()
        self._thread.join()
        self._mlq.close()
        if self.broken:
            raise self.broken

    def _work(self) -> None:
        began = time.monotonic()
        posted = 0
        try:
            while not self._give_up.wait(0.02) and (self._deeds or not self._stop.is_set()):
                if not self._stop.is_set() and time.monotonic() >= began + posted / self._rate:
                    self._post_plan(posted)
                    posted += 1
                self._do_what_is_due()
        except BaseException as error:  # noqa: BLE001 - told by end()
            self.broken = error

    def _do_what_is_due(self) -> None:
        while self._deeds and self._deeds[0][0] <= time.monotonic():
            deed = heapq.heappop(self._deeds)[2]
            try:
                pause = deed()
            except UnknownJob:
                raise
            except MLQError:  # the server is in trouble
                pause = AGAIN
            if pause is not None:
                self._later(pause, deed)

    def _later(self, seconds: float, deed: Deed) -> None:
        heapq.heappush(self._deeds, (time.monotonic() + seconds, next(self._numbers), deed))

    def _post_plan(self, number: int) -> None:
        fates = [Fate(root) for root in plan(self._seed, number).roots]
        self.fates |= {fate.root.key: fate for fate in fates}
        for fate in fates:
            needed = [fates[i].job_id for i in fate.root.needs]
            if None not in needed:
                self._post(fate, needed)

    def _post(self, fate: Fate, needed: list[str | None]) -> None:
        root = fate.root
        callback = self._receiver.url(int(root.key.partition(".")[0])) if root.calls_back else None
        try:
            fate.job_id = self._mlq.post(root.message, callback=callback, after=needed or None, **root.options)
        except AfterFailure:
            fate.refused = True
        except MLQError:  # it may be there or not
            return
        fate.at = time.monotonic()
        if root.cancels and fate.job_id:
            self._later(root.after, lambda: self._cancel(fate))
        elif root.requeues and fate.job_id:
            self._later(AGAIN, lambda: self._requeue(fate))

    def _cancel(self, fate: Fate) -> float | None:
        job_id = str(fate.job_id)
        tree = self._mlq.tree(job_id)
        is_over, of_step = tree.state in FINISHED, fate.root.cancels == "step"
        waiting = [one for one in below(tree) if one.state not in FINISHED] if of_step else [tree]
        if not waiting and not is_over:
            return AGAIN
        if waiting and not self._is_cancelled(fate, waiting[0].id) and of_step:
            return AGAIN
        if fate.root.requeues:
            self._later(AGAIN, lambda: self._requeue(fate))
        return None

    def _is_cancelled(self, fate: Fate, job_id: str) -> bool:
        try:
            self._mlq.cancel(job_id)
        except WrongState:  # it has ended
            return False
        except MLQError:
            fate.may_be_cancelled = True
            raise
        fate.cancelled = fate.root.cancels
        return True

    def _requeue(self, fate: Fate) -> float | None:
        """When it has ended badly."""
        tree = self._mlq.tree(str(fate.job_id))
        if tree.state not in (State.FAILED, State.CANCELLED):
            return None if fate.requeued or tree.state == State.SUCCEEDED else AGAIN
        every = list(below(tree))
        if not fate.requeued:
            fate.done_before = {one.id: one.attempts for one in every if one.state == State.SUCCEEDED}
        fate.requeued = True
        effects.mend(self._file, fate.root.key)
        failed = [one for one in every if one.reason == "error"] if fate.root.requeues == "step" else []
        self._mlq.requeue([*failed, tree][0].id)
        return None


def below(tree: Tree) -> Iterator[Tree]:
    """All steps of a tree; not the jobs that its root comes after."""
    for one in tree.steps:
        if one.runs_as != "needed":
            yield one
            yield from below(one)
