"""Runs a listener that declares `batch` on the messages of many jobs, and gives each job an outcome of its own.

If the call raises, it is repeated with halves of the messages, down to the one that is to blame. If the number of
answers is wrong, nobody knows which answer belongs to which message: it is repeated with each message alone.
"""

import contextlib
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from functools import partial
from typing import Any, Protocol, TypeVar

from mlq.core import codec
from mlq.core.job import Claimed, Outcome, Record
from mlq.running.answers import WrongNumber, answers_of
from mlq.running.becoming import outcome_of, post_split
from mlq.running.context import Channel, JobContext, Output
from mlq.running.execution import Submit, on_thread, own_context, run_async
from mlq.running.listeners import Listener
from mlq.running.middleware import wrapped
from mlq.running.outcomes import failure
from mlq.running.pipeline import Split
from mlq.running.portions import portions
from mlq.system.capture import capturing

T = TypeVar("T")
Call = Callable[[list[Any], list[JobContext]], Awaitable[Any]]
Aside = Callable[[Callable[[], None]], Awaitable[None]]  # runs what waits for the server, not on an event loop

_most: dict[str, int] = {}  # messages per call of listeners that ran out of memory with more


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

    def begin(self) -> bool:
        """Make its message ready; False if that failed, which is its outcome."""
        try:
            message = codec.unpack(self._run.record.message)
            context = JobContext(self._run.channel, self.output, self._run.claimed, self._run.record, message)
            self.context = context
            self._hooks.enter_context(wrapped(context, self._listener.middleware))
            if context.joins:
                message = list(context.results)
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
                value = post_split(value, run.channel, run.claimed, run.record, self._listener.retries)
            self._hooks.close()
            self.outcome = outcome_of(value, run.claimed, run.record, run.listeners)
        except BaseException as error:  # noqa: BLE001 - user code: middleware
            self.outcome = failure(error)

    def end(self) -> None:
        """Break reference cycles."""
        if self.context is not None:
            self.context.end()


def execute_together(runs: Sequence[OneRun]) -> list[Outcome]:
    """Run the one listener of these runs; returns an outcome for each, in order. Never raises."""
    listener = runs[0].listeners[0]

    async def call(messages: list[Any], contexts: list[JobContext]) -> Any:
        return run_async(_called(listener, messages, contexts))

    async def aside(act: Callable[[], None]) -> None:
        act()

    return own_context().run(lambda: _at_once(_executed(runs, listener, call, aside)))


async def execute_together_on_loop(runs: Sequence[OneRun], submit: Submit) -> list[Outcome]:
    """The same on the running event loop; a listener that is not async runs on a thread, through `submit`."""
    listener = runs[0].listeners[0]

    async def call(messages: list[Any], contexts: list[JobContext]) -> Any:
        if listener.is_async:
            return await _called(listener, messages, contexts)
        return await on_thread(lambda: run_async(_called(listener, messages, contexts)), submit)

    async def aside(act: Callable[[], None]) -> None:
        await on_thread(act, submit)

    return await _executed(runs, listener, call, aside)


def _called(listener: Listener, messages: list[Any], contexts: list[JobContext]) -> Any:
    assert listener.function is not None  # noqa: S101 - only the parent of child processes has listeners without one
    return listener.function(messages, contexts) if listener.takes_context else listener.function(messages)


def _at_once(coroutine: Coroutine[Any, Any, T]) -> T:
    """The result of a coroutine that waits for nothing: the code is the same with and without an event loop."""
    try:
        coroutine.send(None)
    except StopIteration as end:
        value: T = end.value
        return value
    raise RuntimeError("it waits")


async def _executed(runs: Sequence[OneRun], listener: Listener, call: Call, aside: Aside) -> list[Outcome]:
    members, calls = [_Member(run) for run in runs], _Calls(listener, call, aside)
    with capturing(_Outputs([member.output for member in members])):
        await calls.solve_all([member for member in members if member.begin()])
    for member in members:
        member.end()
    return [member.outcome for member in members]


class _Calls:
    """The calls for one batch. Each gives its members their outcomes."""

    def __init__(self, listener: Listener, call: Call, aside: Aside) -> None:
        self._listener = listener
        self._call = call
        self._aside = aside
        self._ran_out = False  # of memory
        self._alone = False  # with a single message, which is to blame for it
        self._largest = 1  # messages of a call that succeeded

    async def solve_all(self, members: list[_Member]) -> None:
        """Call the listener as often as it takes."""
        name, split = self._listener.name, self._listener.split
        groups, costs = [member.group for member in members], [member.cost for member in members]
        most = _most.get(name, len(members))
        for portion in portions(members, groups, costs, most, split and split.max_cost):
            await self._solve(portion)
        if self._ran_out and not self._alone:
            _most[name] = min(self._largest, _most.get(name, self._largest))

    async def _solve(self, members: list[_Member]) -> None:
        contexts, count = [member.context for member in members if member.context is not None], len(members)
        try:
            returned = await self._call([member.message for member in members], contexts)
            answers = answers_of(returned, count, self._listener.name)
        except BaseException as error:  # noqa: BLE001 - user code: a listener may raise anything
            await self._divide(members, error)
            return
        self._largest = max(self._largest, count)
        for member, answer in zip(members, answers, strict=True):
            if isinstance(answer, BaseException):
                member.fail(answer)
            elif isinstance(answer, Split):
                await self._aside(partial(member.succeed, answer))
            else:
                member.succeed(answer)

    async def _divide(self, members: list[_Member], error: BaseException) -> None:
        """The call raised: repeat it with fewer messages, if there are any for whom that matters."""
        count = len(members)
        if _is_out_of_memory(error):
            self._ran_out, self._alone = True, self._alone or count == 1
        left = [member for member in members if member.holds()] if count > 1 else []
        for member in members:
            if member not in left:
                member.fail(error)
        size = 1 if isinstance(error, WrongNumber) else (count + 1) // 2
        for start in range(0, len(left), size):
            await self._solve(left[start : start + size])


def _is_out_of_memory(error: BaseException) -> bool:
    """Also for the errors of frameworks, which need not be imported here: `torch.cuda.OutOfMemoryError`."""
    return isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError"
