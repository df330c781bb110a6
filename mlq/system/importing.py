"""Knows whether a worker is importing the user's module: whoever waits for a job meanwhile would wait for ever."""

import contextlib
import threading
from collections.abc import Iterator

from mlq.errors import InputError

_thread: int | None = None  # the thread that imports it


@contextlib.contextmanager
def importing() -> Iterator[None]:
    """Within this block, the current thread imports the module."""
    global _thread  # noqa: PLW0603 - a worker imports one module, in one thread
    _thread = threading.get_ident()
    try:
        yield
    finally:
        _thread = None


def is_importing() -> bool:
    """Whether the current thread does that."""
    return _thread == threading.get_ident()


def refuse_to_wait() -> None:
    """Raises InputError if the caller's code runs because a worker imports it."""
    if is_importing():
        raise InputError(
            "this waits for a job while the worker still imports the module, before it runs any jobs: put it under "
            "if __name__ == '__main__':"
        )
