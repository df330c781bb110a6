"""The interfaces between a worker and its pool."""

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
    """The worker, as its pool sees it. It decides which attempts run; when one ends, it returns the one to run next."""

    def resize(self, change: int) -> None:
        """`change` more attempts may run at a time; fewer, if it is negative."""

    def broken(self) -> None:
        """The pool can run nothing any more."""

    def begin(self, run: R) -> bool:
        """The run's listeners are about to run; False if the worker no longer holds its job."""

    def ended(self, run: R, outcome: Outcome) -> R | None:
        """The run's listeners have ended. Returns the run to begin next, at once."""

    def settle(self, run: R, outcome: Outcome) -> R | None:
        """Like `ended`, from a thread that may settle the outcome itself, which saves two thread switches."""

    def died(self, run: R, reason: str, words: str, beside: int) -> R | None:
        """The run's process died, with `beside` other runs that did not merely wait for another job.

        `reason` is one of `states.REASONS`.
        """


Told = Callable[[str, Listener | None, str], None]  # the upload's name, its listener, or why there is none


class Loader(Protocol):
    """Loads uploads in the processes where they run; in the worker's own process only if its pool runs them there."""

    def load_upload(self, name: str, code: bytes, told: Told) -> None:
        """Load an upload; `told` is called with the result, at once or later, on any thread."""

    def unload(self, name: str) -> None:
        """Forget an upload, which is no longer needed."""


class Pool(Protocol):
    """Runs attempts: each begins as soon as it is submitted. The worker's slots limit how many there are."""

    name: str

    def start(self, supervisor: Supervisor[Any]) -> None:
        """Start, and tell the supervisor how many attempts may run at a time."""

    def submit(self, runs: Sequence[Run]) -> None:
        """Run these now."""

    def leave(self, run: Run) -> None:  # noqa: ARG002 - few pools have anything to do here
        """The run waits for another job: another run may take its place meanwhile."""
        return

    def back(self, run: Run) -> None:  # noqa: ARG002
        """A run that had left goes on."""
        return

    def end(self, run: Run) -> bool:
        """The worker has given this run up: end its listeners. False if they can't be ended and may run on."""

    def close(self) -> None:
        """End. Runs that are left are abandoned."""


def perform(supervisor: Supervisor[Any], run: Run) -> Run | None:
    """Execute one run in this thread; returns the run to begin next."""
    if not supervisor.begin(run):
        return None
    outcome = execute(run.channel, run.claimed, run.record, run.listeners)
    following: Run | None = supervisor.settle(run, outcome)
    return following
