"""The interfaces between a worker and its pool."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, Protocol, TypeVar

from mlq.core.job import Claimed, Outcome, Record
from mlq.running.attempts import execute
from mlq.running.context import Channel
from mlq.running.listeners import Listener
from mlq.running.loads import Load, LoadCount
from mlq.running.together import execute_together


class Run(Protocol):
    """One attempt, as a pool sees it."""

    claimed: Claimed
    record: Record
    listeners: tuple[Listener, ...]
    channel: Channel  # what its listeners may ask of the worker, once it has begun

    def is_over(self) -> bool:
        """Whether the worker does not hold its job any more."""


class Together(ABC):
    """Attempts that run in one call of their listener."""

    members: list[Any]  # each a Run

    @abstractmethod
    def is_over(self) -> bool:
        """Whether no member holds its job any more."""


R = TypeVar("R", bound=Run)
Task = Run | Together


class Supervisor(Protocol[R]):
    """The worker, as its pool sees it. It decides what runs; when an attempt ends, it returns what to run next."""

    def resize(self, change: int) -> None:
        """`change` more attempts may run at a time; fewer, if it is negative."""

    def broken(self) -> None:
        """The pool can run nothing any more."""

    def begin(self, task: Any) -> bool:
        """The listeners are about to run; False if the worker holds none of the jobs any more.

        Members of a batch that it no longer holds have left the batch.
        """

    def ended(self, run: R, outcome: Outcome) -> "R | Together | None":
        """The run's listeners have ended. Returns what to begin next, at once."""

    def settle(self, run: R, outcome: Outcome) -> "R | Together | None":
        """Like `ended`, from a thread that may settle the outcome itself, which saves two thread switches."""

    def died(self, run: R, reason: str, words: str, beside: int) -> "R | Together | None":
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

    def submit(self, tasks: Sequence[Task]) -> None:
        """Run these now."""

    def leave(self, run: Run) -> None:  # noqa: ARG002 - few pools have anything to do here
        """The run waits for another job: another run may take its place meanwhile."""
        return

    def back(self, run: Run) -> None:  # noqa: ARG002
        """A run that had left goes on."""
        return

    def end(self, run: Run) -> bool:
        """The worker has given this run up: end its listeners. False if they can't be ended and may run on."""

    def loads(self) -> list[dict[str, Load]]:
        """What became of models, in each process but this one."""
        return []

    def load_counts(self) -> dict[str, LoadCount]:
        """How often models were loaded and unloaded in other processes than this one, since the last call."""
        return {}

    def close(self) -> None:
        """End. Runs that are left are abandoned."""


def perform(supervisor: Supervisor[Any], task: Task) -> Task | None:
    """Execute a run or a batch in this thread; returns what to begin next."""
    if not supervisor.begin(task):
        return None
    if not isinstance(task, Together):
        return supervisor.settle(task, execute(task.channel, task.claimed, task.record, task.listeners))
    following: Task | None = None
    for run, outcome in zip(task.members, execute_together(task.members), strict=True):
        following = supervisor.ended(run, outcome) or following
    return following
