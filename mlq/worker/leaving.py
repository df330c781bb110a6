"""Ends a process though something in it goes on: a thread, an executor's task, a function that was to run at the end.

An interpreter that ends waits for all of these, however long that takes. Whoever stops a worker (a person, systemd,
Kubernetes) wants its process gone, and would have to kill it.
"""

import _thread
import contextlib
import logging
import os
import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from multiprocessing.process import BaseProcess

LEAVE_AFTER = 1.0  # seconds that the interpreter has to end by itself
WRITE_OUT = 0.5  # seconds for what was logged and printed


class Stopped(SystemExit):
    """A signal ends the main program, with exit code 0; what imports a module must not take it for the module's own."""


def leave_soon(code: Callable[[], int]) -> None:
    """Call `code`, which returns the exit code when it is time; end the process with it a second later.

    The threads for that start now, since an interpreter that ends starts no more of them; and without `threading`,
    whose locks the main thread may hold where a signal interrupts it.
    """
    decided = _thread.allocate_lock()
    decided.acquire()
    codes: list[int] = []

    def leave() -> None:
        codes.append(code())
        time.sleep(LEAVE_AFTER)
        decided.release()
        _write_out()
        os._exit(codes[0])

    def leave_at_last() -> None:
        decided.acquire()
        _leave_later(codes[0])

    start_thread(leave)
    start_thread(leave_at_last)


def leave_now(code: int) -> None:
    """End the process; what was logged and printed is written out before, if that is possible."""
    start_thread(_leave_later, code)
    _write_out()
    os._exit(code)


def start_thread(function: Callable[..., object], *arguments: Any) -> bool:
    """Start a thread from wherever: a signal's handler may have interrupted `threading` while it held its lock.

    False where there is none: the interpreter ends, or the system has no room.
    """
    try:
        _thread.start_new_thread(function, arguments)
    except RuntimeError:
        return False
    return True


def _leave_later(code: int) -> None:
    """A thread that was left may hold a lock, or a pipe be full, for ever."""
    time.sleep(WRITE_OUT)
    os._exit(code)


def _write_out() -> None:
    helpers = _end_helpers()
    with contextlib.suppress(Exception):  # of a handler or a stream that is not what it should be
        logging.shutdown()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(Exception):  # as above; or None
            stream.flush()
    for helper in helpers:
        with contextlib.suppress(OSError):
            helper.kill()


def _end_helpers() -> "list[BaseProcess]":
    """Tell processes of `multiprocessing` to end, for which the interpreter would wait."""
    if "multiprocessing" not in sys.modules:
        return []
    from multiprocessing import active_children

    helpers = active_children()
    for helper in helpers:
        helper.terminate()
    return helpers
