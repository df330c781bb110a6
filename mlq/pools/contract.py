"""What a worker and its pool know of each other."""

from collections.abc import Callable, Sequence
from typing import Any, Protocol, TypeVar

from mlq.core.job import Claimed, Outcome, Record
from mlq.running.context import Channel
from mlq.running.execution import execute
from mlq.running.listeners import Listener


class Run(Protocol):
    """One attempt, as a pool sees it."""

    claimed: Claimed
    record: Record
    listeners: tuple[Listener, ...]
    channel: Channel  # what its listeners may ask of the worker, once it has begun


R = TypeVar("R", bound=Run)


class Supervisor(Protocol[R]):
    """The worker, as its pool sees it. It says which attempts run; each that ends names the one to run instead."""

    def resize(self, change: int) -> None:
        """So many attempts more may run at a time, or fewer."""

    def broken(self) -> None:
        """Nothing will ever run here again."""

    def begin(self, run: R) -> bool:
        """Its listeners run from now on; False when it is no longer this worker's to run."""

    def ended(self, run: R, outcome: Outcome) -> R | None:
        """Its listeners are through. Returns the next one to run, at once."""

    def settle(self, run: R, outcome: Outcome) -> R | None:
        """The same, from a thread that may record the outcome itself: two thread switches less."""

    def died(self, run: R, reason: str, words: str, beside: int) -> R | None:
        """It ended with its process, and with so many others that ran there and did not merely wait.

        `reason` is one of `states.REASONS`.
        """


Told = Callable[[str, Listener | None, str], None]  # the upload's name, its listener, or why there is none


class Loader(Protocol):
    """Loads uploaded listeners where they will run; in the worker's own process only where its pool runs them there."""

    def load_upload(self, name: str, code: bytes, told: Told) -> None:
        """Load it; `told` says what came of that, at once or later, on any thread."""

    def unload(self, name: str) -> None:
        """It is needed no more."""


class Pool(Protocol):
    """Runs attempts: all that it is handed, at once. The worker's slots bound how many that are."""

    name: str

    def start(self, supervisor: Supervisor[Any]) -> None:
        """Begin, and tell the supervisor how many may run at a time."""

    def submit(self, runs: Sequence[Run]) -> None:
        """Run these now."""

    def leave(self, run: Run) -> None:  # noqa: ARG002 - few pools have anything to do here
        """The run waits for another job: another one runs meanwhile."""
        return

    def back(self, run: Run) -> None:  # noqa: ARG002
        """The run that had left goes on."""
        return

    def end(self, run: Run) -> bool:
        """The worker has given this run up: end its listeners. False where they can't be, and may go on."""

    def close(self) -> None:
        """End. What still runs is abandoned."""


def perform(supervisor: Supervisor[Any], run: Run) -> Run | None:
    """One run, in this thread; the one to run next."""
    if not supervisor.begin(run):
        return None
    outcome = execute(run.channel, run.claimed, run.record, run.listeners)
    following: Run | None = supervisor.settle(run, outcome)
    return following
