"""The duty that has shadows repeat predictions: one at a time, in a child of their own, which is the first to go."""

import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from mlq.core.model import TIMEOUT
from mlq.core.shadow import Difference, Sample, compared
from mlq.core.states import State
from mlq.errors import MLQError, ServerError, Undecodable
from mlq.ops import Op
from mlq.ops import shadows as shadow_ops
from mlq.shell.sync import Shell
from mlq.system.service import Service, TroubleLog, log
from mlq.worker.shadow_run import ShadowRun, ShadowSupervisor
from mlq.worker.shared import Shared

if TYPE_CHECKING:
    from mlq.pools.process import ProcessPool
    from mlq.running.listeners import Listener

LOOK = 0.25  # seconds between looks: for predictions, and at a run
LONGEST_REST = 60.0  # seconds after a crash or a timeout; 1 s after the first one, doubled after each


class Aside(NamedTuple):
    """Where shadows of a worker run."""

    make: "Callable[[Sequence[str]], ProcessPool]"  # a pool for these functions alone, with one child
    spare: Callable[[], float]  # bytes that the worker's own children leave of the memory budget


class Verdict(NamedTuple):
    """How one prediction compares."""

    function: str
    word: str  # one of `shadow.COUNTED`
    difference: Difference | None = None


class ShadowRunner(Service):
    """It does nothing that an answer waits for: where it can't go on, predictions are dropped."""

    def __init__(self, shared: Shared, shell: Shell, aside: Aside, died: Callable[[], None]) -> None:
        """`shell`: used by nothing on which an answer waits."""
        super().__init__("shadow runner", died)
        self._shared = shared
        self._shell = shell
        self._aside = aside
        self.wanted: tuple[str, ...] = ()  # the shadows that this worker hosts
        self._runs: tuple[str, ...] = ()  # those for which the pool was made
        self._pool: ProcessPool | None = None
        self._supervisor = ShadowSupervisor()
        self._weights: dict[tuple[str, ...], int] = {}  # bytes that the child held
        self._verdicts: list[Verdict] = []
        self._losses = 0  # crashes and timeouts in a row
        self._rest_until = 0.0
        self._trouble = TroubleLog("can't compare shadows")
        self._no_room = TroubleLog("no shadow predicts here")

    def turn(self) -> None:
        """Repeat one prediction for each shadow, if there are any."""
        try:
            if not self._repeat():
                self.stopping.wait(LOOK)
            self._trouble.over()
        except ServerError as error:
            self._trouble.log(error)
            self.stopping.wait(1.0)
        except Exception:  # noqa: BLE001 - it must not stop the worker, as a defect of other duties does
            log.exception("a defect: shadows of this worker are interrupted, and nothing else")
            self.stopping.wait(LONGEST_REST)

    def stop(self, timeout: float | None = None) -> None:
        """End, and the child with it."""
        super().stop(timeout)
        self._close()

    def _repeat(self) -> bool:
        wanted = self.wanted
        if self._must_end():
            self._close()
        if not wanted or time.monotonic() < self._rest_until or not self._has_room(wanted):
            self._record([])
            return False
        samples = self._record(wanted)
        for function, sample in samples:
            self._verdicts.append(self._verdict(function, sample))
        return bool(samples)

    def _record(self, wanted: Sequence[str]) -> list[tuple[str, Sample]]:
        """Record the verdicts, and take a prediction for each shadow, in one round trip."""
        keys, verdicts, ops = self._shared.keys, self._verdicts, list[Op[Any]]()
        for one in verdicts:
            ops.append(shadow_ops.count(keys, one.function, one.word))
            ops += [] if one.difference is None else shadow_ops.keep(keys, one.function, one.difference)
        taking = [shadow_ops.take(keys, function) for function in wanted]
        self._verdicts = []  # if they can't be recorded, they are lost: repeating that could count them twice
        replies = self._shell.run_each([*ops, *taking]) if ops or taking else []
        found = []
        for function, reply in zip(wanted, replies[len(ops) :], strict=True):
            try:
                sample = reply()
            except Undecodable:
                sample = None
                self._verdicts.append(Verdict(function, "dropped"))
            found += [] if sample is None else [(function, sample)]
        return found

    def _verdict(self, function: str, sample: Sample) -> Verdict:
        listener = next((one for one in self._shared.listeners.all() if one.name == function), None)
        if listener is None or self.stopping.is_set():
            return Verdict(function, "dropped")
        try:
            run = self._predicted(listener, sample)
        except MLQError as error:
            self._lost(f"no child can be started: {error}")
            return Verdict(function, "failed")
        outcome = run.outcome
        if outcome is None:
            return Verdict(function, "failed" if run.died else "dropped")
        self._losses = 0
        result = outcome.fields.get("result", b"")
        if outcome.state is not State.SUCCEEDED or not isinstance(result, bytes):
            return Verdict(function, "failed")
        try:
            difference = compared(sample, result)
        except Undecodable:
            return Verdict(function, "failed")
        return Verdict(function, "same" if difference is None else "different", difference)

    def _predicted(self, listener: "Listener", sample: Sample) -> ShadowRun:
        """The run when it has ended; or is given up, as it takes too long or the child must go. Raises MLQError."""
        pool = self._pool or self._start()
        run = ShadowRun(listener, self._shared.name, sample)
        limit = listener.policy.timeout or TIMEOUT
        pool.submit([run])
        while not run.ended.wait(LOOK):
            if run.began is not None and time.monotonic() - run.began > limit:
                run.died = True
                run.finish(None)
                pool.end(run)
            elif self.stopping.is_set() or self._must_end():
                run.finish(None)
                self._close()
        self._weigh()
        if run.died:
            self._lost(f"{listener.name} crashed, or took longer than {limit:g} s")
        return run

    def _lost(self, why: str) -> None:
        """Rest for longer after each loss: a child that starts again and again costs more than it tells."""
        rest = min(LONGEST_REST, 2.0**self._losses)
        self._losses = min(self._losses + 1, 10)
        self._rest_until = time.monotonic() + rest
        log.warning("shadow: %s; the next try is in %.0f s", why, rest)

    # The child

    def _start(self) -> "ProcessPool":
        self._runs, self._supervisor = self.wanted, ShadowSupervisor()
        pool = self._pool = self._aside.make(self._runs)  # at once, so that `stop` can end it while it starts
        try:
            pool.load()
        except MLQError:
            self._close()
            raise
        pool.start(self._supervisor)
        return pool

    def _close(self) -> None:
        pool, self._pool = self._pool, None
        if pool is not None:
            pool.close()

    def _must_end(self) -> bool:
        """Whether the child is not wanted any more, is broken, or holds memory that others need."""
        if self._pool is None:
            return False
        self._weigh()
        is_other = self._runs != self.wanted
        return is_other or self._supervisor.is_broken or not self._has_room(self._runs)

    def _has_room(self, functions: tuple[str, ...]) -> bool:
        """Whether what others leave of the memory budget is enough for the child."""
        declared = {one.name: one.residency.memory or 0 for one in self._shared.listeners.all()}
        need = max(self._weights.get(functions, 1), *(declared.get(name, 0) for name in functions))
        if need <= self._aside.spare():
            self._no_room.over()
            return True
        self._no_room.log(MLQError("the memory budget has no room for it"))
        return False

    def _weigh(self) -> None:
        if self._pool is not None:
            held = sum(max((load.memory for load in loads.values()), default=0) for loads in self._pool.loads())
            self._weights[self._runs] = held or self._weights.get(self._runs, 1)
