"""What wraps each attempt: hooks of the user, such as timing, tracing, or a database session for each job."""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager

from mlq.running.context import JobContext

# Gets the attempt's context; what it gives is entered before the first listener and left after the last one.
Middleware = Callable[[JobContext], AbstractContextManager[object]]

_NOTHING = contextlib.nullcontext()


def wrapped(context: JobContext, hooks: Sequence[Middleware]) -> AbstractContextManager[object]:
    """All hooks around one attempt, the first one outermost."""
    return _all_around(context, hooks) if hooks else _NOTHING


@contextlib.contextmanager
def _all_around(context: JobContext, hooks: Sequence[Middleware]) -> Iterator[None]:
    """A hook may replace the error of a listener by another one, but can't make a success of it."""
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
