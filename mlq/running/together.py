"""Runs a listener that declares `batch` on the messages of many jobs, and gives each job an outcome of its own."""

import contextlib
from collections.abc import Callable, Coroutine, Sequence
from functools import partial
from typing import Any, Protocol, TypeVar

from mlq.core import codec
from mlq.core.job import Claimed, Outcome, Record
from mlq.running.becoming import outcome_of, post_split
from mlq.running.calls import Aside, Call, Calls
from mlq.running.context import Channel, JobContext, Output
from mlq.running.execution import Submit, on_thread, own_context, run_async
from mlq.running.listeners import Listener
from mlq.running.middleware import wrapped
from mlq.running.outcomes import failure
from mlq.running.pipeline import Split
from mlq.system.capture import capturing

T = TypeVar("T")


class OneRun(Protocol):
    """One attempt of a batch; see `contract.Run`."""

    @property
    def channel(self) -> Channel:
        """What its listener may ask of the worker."""

    @property
    def claimed(self) -> Claimed:
        """The attempt."""

    @property
    def record(self) -> Record:
        """What was posted."""

    @property
    def listeners(self) -> tuple[Listener, ...]:
        """Its one listener."""


class _Outputs:
    """Takes what the listener prints and logs: it belongs to all of the jobs."""

    def __init__(self, outputs: Sequence[Output]) -> None:
        self._outputs = outputs
        self.job_id = outputs[0].job_id

    def log(self, words: str) -> None:
        for output in self._outputs:
            output.log(words)


class _Member:
    """One job of the batch."""

    outcome: Outcome

    def __init__(self, run: OneRun) -> None:
        self._run = run
        self._listener = run.listeners[0]
        self._hooks = contextlib.ExitStack()
        self.output = Output(run.channel, run.claimed.id)
        self.message: Any = None
        self.group: Any = None
        self.cost = 1.0
        self.context: JobContext | None = None

    async def begin(self, aside: Aside) -> bool:
        """Make its message ready; False if that failed, which is its outcome."""
        try:
            message = codec.unpack(self._run.record.message)
            context = JobContext(self._run.channel, self.output, self._run.claimed, self._run.record, message)
            self.context = context
            self._hooks.enter_context(wrapped(context, self._listener.middleware))
            if context.joins:
                message = []
                await aside(partial(_read, context, message))
            self.message = message if self._listener.convert is None else self._listener.convert(message)
            if (split := self._listener.split) is not None:
                self.group = split.group and split.group(self.message)
                hash(self.group)  # one that has no hash, such as an array, is the error of this job alone
                self.cost = float(split.cost(self.message)) if split.cost else 1.0
        except BaseException as error:  # noqa: BLE001 - user code: middleware, and what types do when they are made
            self.fail(error)
            return False
        return True

    def holds(self) -> bool:
        """Whether it still holds its job."""
        return self._run.channel.holds()

    def fail(self, error: BaseException) -> None:
        """It ends with an error, which middleware sees, and may replace."""
        try:
            self._hooks.__exit__(type(error), error, error.__traceback__)
        except BaseException as instead:  # noqa: BLE001 - user code: middleware
            error = instead
        self.outcome = failure(error, again=self._listener.retries(error))

    def succeed(self, value: Any) -> None:
        """It ends with a value."""
        try:
            run = self._run
            if isinstance(value, Split):
                value = post_split(value, run.channel, run.claimed, run.record, self._listener)
            self._hooks.close()
            self.outcome = outcome_of(value, run.claimed, run.record, run.listeners)
        except BaseException as error:  # noqa: BLE001 - user code: middleware
            self.outcome = failure(error)

    def end(self) -> None:
        """Break reference cycles."""
        if self.context is not None:
            self.context.end()


def _read(context: JobContext, message: list[Any]) -> None:
    message.extend(context.results)


def execute_together(runs: Sequence[OneRun]) -> list[Outcome]:
    """Run the one listener of these runs; returns an outcome for each, in order. Never raises."""
    listener = runs[0].listeners[0]

    async def call(messages: list[Any], contexts: list[JobContext]) -> Any:
        return run_async(called(listener, messages, contexts))

    async def aside(act: Callable[[], None]) -> None:
        act()

    return own_context().run(lambda: at_once(_executed(runs, listener, call, aside)))


async def execute_together_on_loop(runs: Sequence[OneRun], submit: Submit) -> list[Outcome]:
    """The same on the running event loop; a listener that is not async runs on a thread, through `submit`."""
    listener = runs[0].listeners[0]

    async def call(messages: list[Any], contexts: list[JobContext]) -> Any:
        if listener.is_async:
            return await called(listener, messages, contexts)
        return await on_thread(lambda: run_async(called(listener, messages, contexts)), submit)

    async def aside(act: Callable[[], None]) -> None:
        await on_thread(act, submit)

    return await _executed(runs, listener, call, aside)


def called(listener: Listener, messages: list[Any], contexts: list[JobContext]) -> Any:
    """What the listener returns for these messages; it may be a coroutine."""
    assert listener.function is not None  # noqa: S101 - only the parent of child processes has listeners without one
    return listener.function(messages, contexts) if listener.takes_context else listener.function(messages)


def at_once(coroutine: Coroutine[Any, Any, T]) -> T:
    """The result of a coroutine that waits for nothing: the code is the same with and without an event loop."""
    try:
        coroutine.send(None)
    except StopIteration as end:
        value: T = end.value
        return value
    raise RuntimeError("it waits")


async def _executed(runs: Sequence[OneRun], listener: Listener, call: Call, aside: Aside) -> list[Outcome]:
    members, calls = [_Member(run) for run in runs], Calls(listener, call, aside)
    with capturing(_Outputs([member.output for member in members])):
        await calls.solve_all([member for member in members if await member.begin(aside)])
    for member in members:
        member.end()
    return [member.outcome for member in members]
