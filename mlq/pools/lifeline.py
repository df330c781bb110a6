"""Ties a child process to its worker: it leaves signals to the worker, and does not outlive it."""

import ctypes
import os
import signal
import sys
from functools import partial
from typing import NoReturn

from mlq.pools.frames import Wire
from mlq.system import capture

_PDEATHSIG = 1  # prctl(2)
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def _leave_to_worker(*_: object) -> None:
    """Ignore a signal: the worker gets it, too, and decides what to do."""


def _forked(wire: Wire) -> None:
    """In a process that a listener forked: it is not the child, so it must send no frames for any job."""
    wire.close()
    capture.capture_nothing()
    for number in _SIGNALS:
        if signal.getsignal(number) is _leave_to_worker:
            signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)


def tie_to_worker(wire: Wire) -> None:
    """Leave signals to the worker, and don't outlive it, not even while a listener is busy in C code."""
    for number in _SIGNALS:
        signal.signal(number, _leave_to_worker)  # not SIG_IGN: programs that listeners start would inherit it
    os.register_at_fork(after_in_child=partial(_forked, wire))
    if sys.platform == "linux":
        parent = os.getppid()
        ctypes.CDLL(None).prctl(_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            orphaned()


def orphaned() -> NoReturn:
    """The worker is gone: end at once."""
    os._exit(1)
