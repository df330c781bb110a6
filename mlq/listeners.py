"""Listeners: which functions a worker runs, for which jobs, and what was declared of them."""

import inspect
import logging
import threading
from collections.abc import Callable, Collection, Iterable
from typing import Any, NamedTuple

from mlq.errors import InputError
from mlq.options import check_functions, check_queue, functions_of, queue_of
from mlq.policy import Policy

log = logging.getLogger("mlq.job")

RetryOn = tuple[type[BaseException] | str, ...]


class Listener(NamedTuple):
    """A function as the worker calls it. A parent of processes knows all but the function."""

    name: str
    function: Callable[..., Any] | None
    takes_context: bool = False
    is_async: bool = False
    queue: str | None = None  # the only one whose jobs it runs when they name no functions
    policy: Policy = Policy()
    retry_on: RetryOn | None = None  # None: whatever it raises

    @classmethod
    def of(
        cls,
        function: Callable[..., Any],
        name: str | None = None,
        queue: str | None = None,
        policy: Policy = Policy(),  # noqa: B008 - immutable
        retry_on: object = None,
    ) -> "Listener":
        """Raises InputError when the function has no usable name or parameters, or `retry_on` names no exceptions."""
        name = name or getattr(function, "__name__", None) or type(function).__name__
        check_functions([name])
        return cls(
            name, function, _takes_two(function, name), _is_async(function),
            None if queue is None else check_queue(queue), policy, check_retry_on(retry_on),
        )  # fmt: skip

    def retries(self, error: BaseException) -> bool:
        """Whether `error` is one after which this listener wants to be tried again."""
        if self.retry_on is None:
            return True
        names = {
            name for kind in type(error).__mro__ for name in (kind.__name__, f"{kind.__module__}.{kind.__qualname__}")
        }
        return any(kind in names if isinstance(kind, str) else isinstance(error, kind) for kind in self.retry_on)


def check_retry_on(retry_on: object) -> RetryOn | None:
    """Exceptions by class or by name, one or several; None for all."""
    if retry_on is None:
        return None
    given = retry_on if isinstance(retry_on, (list, tuple, set)) else (retry_on,)
    for kind in given:
        if not isinstance(kind, str) and not (isinstance(kind, type) and issubclass(kind, BaseException)):
            raise InputError(f"retry_on must hold exception classes or their names, not {kind!r:.80}")
    return tuple(given)


def _takes_two(function: Callable[..., Any], name: str) -> bool:
    """Whether it is called with the context, too. Raises InputError where it is known that it can't be called at all.

    Where a decorator wrapped it, the wrapper says what can be given, and the function inside, what is wanted.
    """
    try:
        outer = inspect.signature(function, follow_wrapped=False)
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):  # builtins without a signature
        return False
    one, two = _takes(outer, 1), _takes(outer, 2)
    if not (one or two or inspect.isclass(function)):
        raise InputError(
            f"{name}() can't be called as a listener: write {name}(msg), {name}(msg, ctx) or {name}(msg, *args)"
        )
    if one != two:
        return two
    positional = [p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    return len(positional) >= 2 or any(p.kind == p.VAR_POSITIONAL for p in parameters)


def _takes(signature: inspect.Signature, count: int) -> bool:
    try:
        signature.bind(*range(count))
    except TypeError:
        return False
    return True


def _is_async(function: Callable[..., Any]) -> bool:
    call = getattr(function, "__call__", None)  # noqa: B004 - an object's own __call__ may be `async def`
    kinds = (inspect.iscoroutinefunction, inspect.isasyncgenfunction)
    return any(kind(candidate) for kind in kinds for candidate in (function, call))


class Listeners:
    """The listeners of a worker, in order, unique by name. Threads may read while others change it."""

    def __init__(self, known: Iterable[Listener] = ()) -> None:
        """With `known`."""
        self._all = tuple(known)
        self._names = tuple(listener.name for listener in self._all)
        self._lock = threading.Lock()

    def add(self, new: Listener) -> Listener | None:
        """Add a listener; one of the same name is replaced in its place, and given."""
        with self._lock:
            before = next((old for old in self._all if old.name == new.name), None)
            if before is not None:
                log.info("the listener %r is replaced", new.name)
                self._all = tuple(new if old is before else old for old in self._all)
            else:
                self._all += (new,)
                self._names += (new.name,)
            return before

    def remove(self, name: str) -> bool:
        """Remove a listener; whether it was there."""
        with self._lock:
            before = len(self._all)
            self._all = tuple(listener for listener in self._all if listener.name != name)
            self._names = tuple(listener.name for listener in self._all)
            return len(self._all) < before

    def exchange(self, listener: Listener, instead: Listener | None) -> bool:
        """Put `instead`, if any, in the place of this very listener; whether it was there."""
        with self._lock:
            found = any(one is listener for one in self._all)
            kept = (instead if one is listener else one for one in self._all)
            self._all = tuple(one for one in kept if one is not None)
            self._names = tuple(one.name for one in self._all)
            return found

    def only(self, names: Collection[str]) -> "Listeners":
        """A copy with these alone. Raises InputError where one is missing."""
        if missing := set(names) - set(self.names()):
            there = ", ".join(self.names()) or "none"
            raise InputError(f"there is no listener {', '.join(sorted(missing))}; there are: {there}")
        return Listeners(listener for listener in self._all if listener.name in names)

    def all(self) -> tuple[Listener, ...]:
        """Each of them, in order."""
        return self._all

    def names(self) -> tuple[str, ...]:
        """Their names, in order."""
        return self._names

    def queues(self) -> tuple[str, ...]:
        """The queues that they declare."""
        return tuple(dict.fromkeys(listener.queue for listener in self._all if listener.queue is not None))

    def chosen(self, lane: str) -> tuple[Listener, ...]:
        """Those that run for a job of `lane`: all that it names, none where one of them is missing.

        For jobs that name none: those that declare the lane's queue, or where none does, all that declare no queue.
        """
        everyone, wanted = self._all, functions_of(lane)
        if wanted:
            found = tuple(listener for listener in everyone if listener.name in wanted)
            return found if len(found) == len(wanted) else ()
        queue = queue_of(lane)
        return tuple(one for one in everyone if one.queue == queue) or tuple(
            one for one in everyone if one.queue is None
        )


class Uploaded:
    """The uploaded ones among a worker's listeners. One that the program itself declared under such a name is hidden.

    Used by one thread.
    """

    def __init__(self, listeners: Listeners) -> None:
        """None yet."""
        self._listeners = listeners
        self._mine: dict[str, tuple[Listener, Listener | None]] = {}  # each with the one that it hides

    def put(self, new: Listener) -> None:
        """Add one, or replace an earlier one."""
        before = self._listeners.add(new)
        mine, hidden = self._mine.get(new.name, (None, None))
        self._mine[new.name] = new, hidden if before is mine and mine is not None else before

    def remove(self, name: str) -> bool:
        """Take one away; the one that it hid is back. Whether it was there."""
        if name not in self._mine:
            return False
        return self._listeners.exchange(*self._mine.pop(name))

    def clear(self) -> None:
        """Take all away."""
        for name in tuple(self._mine):
            self.remove(name)
