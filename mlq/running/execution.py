"""Runs listeners on one message. User code is called here and nowhere else."""

import asyncio
import contextlib
import contextvars
import functools
import inspect
import logging
import sys
import threading
from collections.abc import Callable, Generator
from typing import Any

from mlq.core import codec
from mlq.core.job import Claimed, Outcome, Record
from mlq.running.answers import only_answer
from mlq.running.aside import arrive, aside
from mlq.running.becoming import handed_on, hands_on, outcome_of, post_split
from mlq.running.context import Channel, JobContext, Output
from mlq.running.listeners import Listener
from mlq.running.middleware import wrapped
from mlq.running.outcomes import failure
from mlq.running.pipeline import Split
from mlq.running.results import Results
from mlq.system.capture import capturing

log = logging.getLogger("mlq.worker")

_threads = threading.local()

Submit = Callable[[Callable[[], None]], None]

_at_start = contextvars.Context()  # copied for every job


def remember_context() -> None:
    """Let jobs start with the current context variables. Call this after the import of the listeners' module."""
    global _at_start  # noqa: PLW0603 - a process has one
    _at_start = contextvars.copy_context()


def own_context() -> contextvars.Context:
    """A context for one job, isolated from the context variables that other jobs set."""
    made = _at_start.copy()
    decimal: Any = sys.modules.get("decimal")
    if decimal is not None:  # its context is stored in a context variable, but is mutable
        made.run(lambda: decimal.setcontext(decimal.getcontext().copy()))
    return made


def execute(channel: Channel, claimed: Claimed, record: Record, listeners: tuple[Listener, ...]) -> Outcome:
    """Run `listeners` on one job's message, one after the other; the last one's value is the result.

    Never raises: any exception, SystemExit included, becomes the outcome.
    """
    return own_context().run(_execute, channel, claimed, record, listeners)


def _execute(channel: Channel, claimed: Claimed, record: Record, listeners: tuple[Listener, ...]) -> Outcome:
    listener = context = None
    try:
        message = codec.unpack(record.message)
        output = Output(channel, claimed.id)
        context = JobContext(channel, output, claimed, record, message)
        message = context.results if context.joins else message
        value: Any = None
        with capturing(output), wrapped(context, listeners[0].middleware if listeners else ()):
            for listener in listeners:
                value = _own_answer(listener, _finished(_called(listener, message, context), context))
            if isinstance(value, Split):
                value = post_split(value, channel, claimed, record, listeners[-1])
            listener = None
        return outcome_of(value, claimed, record, listeners)
    except BaseException as error:  # noqa: BLE001 - user code: a listener may raise anything
        return failure(error, again=listener is not None and listener.retries(error))
    finally:
        if context is not None:
            context.end()


async def execute_on_loop(
    channel: Channel, claimed: Claimed, record: Record, listeners: tuple[Listener, ...], submit: Submit
) -> Outcome:
    """The same on the running event loop; listeners that are not async run on threads, through `submit`.

    Call this in a task whose context is an `own_context`.
    """
    listener = context = None
    try:
        message = codec.unpack(record.message)
        output = Output(channel, claimed.id)
        context = JobContext(channel, output, claimed, record, message)
        context.shares_a_loop()
        message = context.results if context.joins else message
        value: Any = None
        with capturing(output), wrapped(context, listeners[0].middleware if listeners else ()):
            for listener in listeners:
                if listener.is_async:
                    reads = context.joins and listener.convert is not None
                    given = await aside(functools.partial(list, message)) if reads else message
                    value = await _awaited(_called(listener, given, context), context)
                else:
                    value = await _on_thread(listener, message, context, submit)
                value = _own_answer(listener, value)
            if isinstance(value, Split):
                parts = functools.partial(post_split, value, channel, claimed, record, listeners[-1])
                value = await on_thread(parts, submit)
            listener = None
            if hands_on(value):
                value = await aside(functools.partial(handed_on, value))
        return outcome_of(value, claimed, record, listeners)
    except BaseException as error:  # noqa: BLE001 - user code: a listener may raise anything
        return failure(error, again=listener is not None and listener.retries(error))
    finally:
        if context is not None:
            context.end()


def keep_turning(loop: asyncio.AbstractEventLoop) -> None:
    """Run an event loop until it is stopped.

    `sys.exit` in a task that a listener created ends `run_forever`, as it would end a program; here it ends only the
    task.
    """
    while True:
        try:
            return loop.run_forever()
        except (SystemExit, KeyboardInterrupt):
            log.warning("a task of a listener tried to exit the process; only the task was ended", exc_info=True)


def _called(listener: Listener, message: Any, context: JobContext) -> Any:
    assert listener.function is not None  # noqa: S101 - only the parent of child processes has listeners without one
    if listener.convert is not None:  # this check costs 0.04 us
        message = listener.convert(list(message) if isinstance(message, Results) else message)
    if listener.batch:  # beside other listeners, it gets one message at a time
        return listener.function([message], [context]) if listener.takes_context else listener.function([message])
    return listener.function(message, context) if listener.takes_context else listener.function(message)


def _own_answer(listener: Listener, value: Any) -> Any:
    return only_answer(value, listener.name) if listener.batch else value


def _finished(value: Any, context: JobContext) -> Any:
    """The final result of a listener that returned `value`: awaits coroutines, and emits what generators yield."""
    if inspect.isgenerator(value):
        return drained(value, context.emit)
    if inspect.isawaitable(value) or inspect.isasyncgen(value):
        # In the current context: by default, a runner keeps that of its first use, which is another job's.
        return _runner().run(_awaited(value, context), context=contextvars.copy_context())
    return value


def run_async(value: Any) -> Any:
    """The value of a coroutine, run on this thread's event loop; any other value as it is."""
    if not inspect.isawaitable(value):
        return value

    async def awaited() -> Any:
        return await value

    return _runner().run(awaited(), context=contextvars.copy_context())


def drained(chunks: Generator[Any, Any, Any], emit: Callable[[Any], None]) -> Any:
    """Emit what a generator yields. Its value is what it returns, or if that is None, a list of all chunks."""
    emitted: list[Any] = []
    with contextlib.closing(chunks):  # if `emit` raises, closes the generator at once
        while True:
            try:
                chunk = next(chunks)
            except StopIteration as end:
                return emitted if end.value is None else end.value
            emit(chunk)
            emitted.append(chunk)


async def _awaited(value: Any, context: JobContext) -> Any:
    """The return value of a coroutine; of an async generator, the list of all chunks, which are emitted."""
    if not inspect.isasyncgen(value):
        return await value
    emitted: list[Any] = []
    async with contextlib.aclosing(value):
        async for chunk in value:
            context.emit(chunk)
            emitted.append(chunk)
    return emitted


async def _on_thread(listener: Listener, message: Any, context: JobContext, submit: Submit) -> Any:
    return await on_thread(lambda: _finished(_called(listener, message, context), context), submit)


async def on_thread(act: Callable[[], Any], submit: Submit) -> Any:
    """What `act` returns or raises on a thread."""
    loop = asyncio.get_running_loop()
    ended: asyncio.Future[None] = loop.create_future()
    results: list[tuple[Any, BaseException | None]] = []

    def run() -> None:
        try:
            results.append((act(), None))
        except BaseException as error:  # noqa: BLE001 - user code: a listener may raise anything
            results.append((None, error))
        loop.call_soon_threadsafe(arrive, ended, None)

    submit(functools.partial(contextvars.copy_context().run, run))
    await ended
    value, error = results.pop()
    try:
        if error is not None:
            raise error
        return value
    finally:
        del error  # its traceback refers to this frame: the message would stay until the collector runs


def _runner() -> asyncio.Runner:
    """This thread's event loop, reused for all its jobs, so that listeners can keep sessions that belong to it."""
    runner: asyncio.Runner | None = getattr(_threads, "runner", None)
    if runner is None:
        runner = _threads.runner = asyncio.Runner()
        contextvars.Context().run(runner.get_loop)  # the loop keeps the context it is created in, so not a job's
    return runner


def end_of_thread() -> None:
    """Close this thread's event loop, if it has one."""
    runner: asyncio.Runner | None = getattr(_threads, "runner", None)
    if runner is not None:
        _threads.runner = None
        runner.close()
