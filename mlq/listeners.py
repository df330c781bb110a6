"""Listeners: which functions a worker runs, and how an attempt runs them. User code is called here, nowhere else."""

import asyncio
import inspect
import json
import logging
import threading
import traceback
from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple
from urllib.parse import quote

from mlq import codec
from mlq.job import Outcome
from mlq.options import check_functions, check_size, functions_of
from mlq.states import State

log = logging.getLogger("mlq.job")

TEXT_LIMIT = 64 * 1024  # characters kept of an error's text or its traceback
ARGS_LIMIT = 4 * 1024  # bytes kept of an exception's arguments
SAID_LIMIT = 1500  # bytes of a quoted short result in a callback: the whole URL should stay below 2,000

_threads = threading.local()


class Listener(NamedTuple):
    """A function as the worker calls it."""

    name: str
    function: Callable[..., Any]
    takes_context: bool

    @classmethod
    def of(cls, function: Callable[..., Any]) -> "Listener":
        """Raises InputError when the function has no usable name."""
        name = getattr(function, "__name__", None) or type(function).__name__
        check_functions([name])
        return cls(name, function, _takes_two(function))


def _takes_two(function: Callable[..., Any]) -> bool:
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):  # builtins without a signature
        return False
    positional = [p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    return len(positional) >= 2 or any(p.kind == p.VAR_POSITIONAL for p in parameters)


class Listeners:
    """The listeners of a worker, in order, unique by name. Threads may read while others change it."""

    def __init__(self) -> None:
        """With none."""
        self._all: tuple[Listener, ...] = ()
        self._lock = threading.Lock()

    def add(self, function: Callable[..., Any]) -> None:
        """Add a function; one of the same name is replaced in its place."""
        new = Listener.of(function)
        with self._lock:
            if new.name in self.names():
                log.info("the listener %r is replaced", new.name)
                self._all = tuple(new if old.name == new.name else old for old in self._all)
            else:
                self._all += (new,)

    def remove(self, function: Callable[..., Any] | str) -> bool:
        """Remove a function, by itself or its name; whether it was there."""
        name = function if isinstance(function, str) else Listener.of(function).name
        with self._lock:
            before = len(self._all)
            self._all = tuple(listener for listener in self._all if listener.name != name)
            return len(self._all) < before

    def names(self) -> tuple[str, ...]:
        """Their names, in order."""
        return tuple(listener.name for listener in self._all)

    def chosen(self, lane: str) -> tuple[Listener, ...]:
        """Those that run for a job of `lane`: all that it names, or every one; none where one of them is missing."""
        everyone, wanted = self._all, functions_of(lane)
        if not wanted:
            return everyone
        found = tuple(listener for listener in everyone if listener.name in wanted)
        return found if len(found) == len(wanted) else ()


def execute(
    packed: bytes, listeners: tuple[Listener, ...], make_context: Callable[[Any], Any], *, calls_back: bool = False
) -> Outcome:
    """Run `listeners` on one packed message, one after the other; the last one's value is the result.

    With `calls_back` the outcome also says what a callback tells of the result. Never raises: whatever goes wrong,
    SystemExit included, is the outcome.
    """
    try:
        message = codec.unpack(packed)
        context = make_context(message)
        value: Any = None
        for listener in listeners:
            value = _call(listener, message, context)
        return success(value, calls_back=calls_back)
    except BaseException as error:  # noqa: BLE001 - user code: a listener may raise anything
        return failure(error)


def _call(listener: Listener, message: Any, context: Any) -> Any:
    value = listener.function(message, context) if listener.takes_context else listener.function(message)
    return _runner().run(_awaited(value)) if inspect.isawaitable(value) else value


async def _awaited(value: Awaitable[Any]) -> Any:
    return await value


def _runner() -> asyncio.Runner:
    """This thread's event loop, kept, so that a listener may keep sessions that belong to it."""
    runner: asyncio.Runner | None = getattr(_threads, "runner", None)
    if runner is None:
        runner = _threads.runner = asyncio.Runner()
    return runner


def end_of_thread() -> None:
    """Close this thread's event loop, if it has one."""
    runner: asyncio.Runner | None = getattr(_threads, "runner", None)
    if runner is not None:
        _threads.runner = None
        runner.close()


def success(value: Any, *, calls_back: bool = False) -> Outcome:
    """The outcome of a listener that returned `value`. Raises Unserializable or TooLarge."""
    pair = isinstance(value, tuple) and len(value) == 2
    short, result = value if pair else (value, value)
    packed = check_size("the result", codec.pack(result, "result"))
    fields: dict[str, bytes | str] = {"result": packed}
    if pair:
        packed = fields["short"] = check_size("the short result", codec.pack(short, "short_result"))
    fits = len(packed) <= 4 * SAID_LIMIT  # spares turning a large value into text only to see that it does not fit
    return Outcome(State.SUCCEEDED, fields, said(short) if calls_back and fits else None)


def said(short: Any) -> str | None:
    """A short result as a callback's query says it; None for what is no text or does not fit."""
    if isinstance(short, bytes):
        short = short.decode("utf-8", "replace")
    if isinstance(short, (list, dict)) and len(short) <= SAID_LIMIT:
        try:
            short = json.dumps(short)
        except (TypeError, ValueError, RecursionError):
            return None
    if short is None or (isinstance(short, str) and len(short) > SAID_LIMIT):
        return None
    words = str(short)
    return words if len(quote(words)) <= SAID_LIMIT else None


def failure(error: BaseException) -> Outcome:
    """The outcome of a listener that raised."""
    kind = type(error)
    try:
        trace = "".join(traceback.format_exception(error))
    except BaseException:  # noqa: BLE001 - user code: the exception's own methods
        trace = ""
    fields: dict[str, bytes | str] = {
        "reason": "error",
        "error": _words(error),
        "error_type": f"{kind.__module__}.{kind.__qualname__}",
        "traceback": _plain(trace[-TEXT_LIMIT:]),
    }
    try:
        args = codec.pack(error.args)
    except BaseException:  # noqa: BLE001 - user code: `args` may be a property
        args = b""
    if args and len(args) <= ARGS_LIMIT:
        fields["error_args"] = args
    return Outcome(State.FAILED, fields, None, f"{kind.__name__}: {fields['error']!r:.200}")


def _words(error: BaseException) -> str:
    try:
        return _plain(str(error))[:TEXT_LIMIT] or type(error).__name__
    except BaseException:  # noqa: BLE001 - user code: the exception's __str__
        return type(error).__name__


def _plain(words: str) -> str:
    """Without lone surrogates, which no encoding carries."""
    return words.encode("utf-8", "replace").decode()
