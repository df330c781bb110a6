"""Middleware: context managers that wrap each attempt, such as for timing, tracing, or a database session per job."""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager

from mlq.running.context import JobContext

# Takes the attempt's context; returns what is entered before the first listener and left after the last one.
Middleware = Callable[[JobContext], AbstractContextManager[object]]

_NOTHING = contextlib.nullcontext()


def wrapped(context: JobContext, hooks: Sequence[Middleware]) -> AbstractContextManager[object]:
    """One context manager of all hooks, the first one outermost."""
    return _all_around(context, hooks) if hooks else _NOTHING


@contextlib.contextmanager
def _all_around(context: JobContext, hooks: Sequence[Middleware]) -> Iterator[None]:
    """A hook may replace a listener's error with another one, but can't suppress it."""
    failed: BaseException | None = None
    with contextlib.ExitStack() as stack:
        for hook in hooks:
            stack.enter_context(hook(context))
        try:
            yield
        except BaseException as error:
            failed = error
            raise
    if failed is not None:
        raise failed
