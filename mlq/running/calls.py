"""The calls of a listener that declares `batch`, for messages of several jobs, or for rows of a file.

If the call raises, it is repeated with halves of the messages, down to the one that is to blame. If the number of
answers is wrong, nobody knows which answer belongs to which message: it is repeated with each message alone.
"""

from collections.abc import Awaitable, Callable, Iterable, Sequence
from functools import partial
from typing import Any, Protocol

from mlq.running.answers import WrongNumber, answers_of
from mlq.running.context import JobContext
from mlq.running.listeners import Listener
from mlq.running.pipeline import Split
from mlq.running.portions import portions

Call = Callable[[list[Any], list[JobContext]], Awaitable[Any]]
Aside = Callable[[Callable[[], None]], Awaitable[None]]  # runs what waits for the server, not on an event loop

_most: dict[str, int] = {}  # messages per call of listeners that ran out of memory with more


class Member(Protocol):
    """One message of the batch: that of a job, or a row of a file."""

    message: Any
    group: Any
    cost: float
    context: JobContext | None

    def holds(self) -> bool:
        """Whether its job is still held."""

    def fail(self, error: BaseException) -> None:
        """It ends with an error."""

    def succeed(self, value: Any) -> None:
        """It ends with a value."""


class Calls:
    """The calls of one listener. Each gives its members their answers."""

    def __init__(self, listener: Listener, call: Call, aside: Aside) -> None:
        """`call`: of the listener; `aside`: see there."""
        self._listener = listener
        self._call = call
        self._aside = aside
        self._ran_out = False  # of memory
        self._alone = False  # with a single message, which is to blame for it
        self._largest = 1  # messages of a call that succeeded

    async def solve_all(self, members: Sequence[Member], at_most: int = 0) -> None:
        """Call the listener as often as it takes, with `at_most` messages at a time; 0: with all of them."""
        name, split = self._listener.name, self._listener.split
        most = max(1, _most.get(name, at_most or len(members)))
        if split is None:
            calls: Iterable[Sequence[Member]] = (members[at : at + most] for at in range(0, len(members), most))
        else:
            groups, costs = [member.group for member in members], [member.cost for member in members]
            calls = portions(members, groups, costs, most, split.max_cost)
        for call in calls:
            await self._solve(call)
        if self._ran_out and not self._alone:
            _most[name] = min(self._largest, _most.get(name, self._largest))

    async def _solve(self, members: Sequence[Member]) -> None:
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

    async def _divide(self, members: Sequence[Member], error: BaseException) -> None:
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
