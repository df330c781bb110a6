"""What a worker and its pool know of each other."""

from collections.abc import Callable, Sequence
from typing import Protocol

from mlq.core.job import Claimed, Outcome, Record
from mlq.running.context import Line
from mlq.running.execution import execute
from mlq.running.listeners import Listener


class Run(Protocol):
    """One attempt, as a pool sees it."""

    claimed: Claimed
    record: Record
    listeners: tuple[Listener, ...]

    @property
    def line(self) -> Line:
        """What the attempt's listeners may ask of the worker."""

    def begin(self) -> bool:
        """Say that its listeners run from now on; False when it is no longer this worker's to run."""

    def done(self, outcome: Outcome) -> None:
        """Say what it ended in. Returns at once."""

    def settle(self, outcome: Outcome) -> None:
        """Say what it ended in, and if nobody else is about it record that in this thread: two thread switches less."""

    def died(self, reason: str, words: str, beside: int) -> None:
        """Say that it ended with its process, and with so many others that ran there and did not merely wait.

        `reason` is one of `states.REASONS`.
        """


Told = Callable[[str, Listener | None, str], None]  # the upload's name, its listener, or why there is none


class Loader(Protocol):
    """Loads uploaded listeners where they will run; in the worker's own process only where its pool runs them there."""

    def learn(self, name: str, code: bytes, told: Told) -> None:
        """Load it; `told` says what came of that, at once or later, on any thread."""

    def forget(self, name: str) -> None:
        """It is needed no more."""


class Pool(Protocol):
    """Runs attempts. The worker bounds how many: its slots, and what the pool says of itself with `capacity`."""

    name: str

    def start(self, capacity: Callable[[int], None], broken: Callable[[], None]) -> None:
        """Begin. `capacity(n)`: n more (or fewer) may run; `broken`: nothing will ever run here again."""

    def submit(self, runs: Sequence[Run]) -> None:
        """Run these as soon as may be."""

    def leave(self, run: Run) -> None:
        """The run waits for another job: its place is another run's meanwhile."""

    def back(self, run: Run) -> None:
        """The run that had left goes on."""

    def end(self, run: Run) -> bool:
        """The worker has given this run up: end its listeners. False where they can't be, and may go on."""

    def close(self) -> None:
        """End. What still runs is abandoned."""


def perform(run: Run) -> None:
    """One run, in this thread."""
    if run.begin():
        run.settle(execute(run.line, run.claimed, run.record, run.listeners))
