"""Ends a process even if something in it still runs: a thread, an executor's task, or an exit handler.

The interpreter waits for all of these at exit, however long that takes. Whoever stops a worker (a person, systemd,
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

LEAVE_AFTER = 1.0  # seconds that the interpreter has to exit by itself
WRITE_OUT = 0.5  # seconds to flush what was logged and printed


class Stopped(SystemExit):
    """Raised when a signal ends the main program, with exit code 0; importers must not take it for a module's own."""


def leave_soon(code: Callable[[], int]) -> None:
    """Call `code`, which returns the exit code when it is time to leave; end the process with it a second later.

    The threads for that start now, since a thread can't start while the interpreter exits. They start without
    `threading`, whose locks the main thread may hold when a signal interrupts it.
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
    """End the process; first flush what was logged and printed, if that is possible."""
    start_thread(_leave_later, code)
    _write_out()
    os._exit(code)


def start_thread(function: Callable[..., object], *arguments: Any) -> bool:
    """Start a thread from anywhere, even a signal handler that interrupted `threading` while it held its lock.

    False if the interpreter is exiting, or the system has no room for another thread.
    """
    try:
        _thread.start_new_thread(function, arguments)
    except RuntimeError:
        return False
    return True


def _leave_later(code: int) -> None:
    """End the process even if flushing never returns: a leftover thread may hold a lock, or a pipe may be full."""
    time.sleep(WRITE_OUT)
    os._exit(code)


def _write_out() -> None:
    helpers = _end_helpers()
    with contextlib.suppress(Exception):  # from a broken handler or stream
        logging.shutdown()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(Exception):  # as above, or the stream is None
            stream.flush()
    for helper in helpers:
        with contextlib.suppress(OSError):
            helper.kill()


def _end_helpers() -> "list[BaseProcess]":
    """Terminate processes of `multiprocessing`, since the interpreter would wait for them."""
    if "multiprocessing" not in sys.modules:
        return []
    from multiprocessing import active_children

    helpers = active_children()
    for helper in helpers:
        helper.terminate()
    return helpers
