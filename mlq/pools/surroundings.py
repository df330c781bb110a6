"""Restores between two jobs what listeners changed in their process: its folder, its output, its signal handlers.

Used only where one job runs at a time. Some things stay as a job left them: whatever takes more than a few microseconds
to check, and whatever libraries set permanently on first use (the environment, random seeds, numpy or torch options).
"""

import _signal  # type: ignore[import-not-found]  # its getsignal takes 10 ns; that of `signal` 300
import contextlib
import fcntl
import locale
import os
import signal
import sys
import threading
from typing import Any

from mlq.system.descriptors import keep_standard_open

_SIGNALS = tuple(int(number) for number in signal.valid_signals())
_NAMES = ((sys, "stdout"), (sys, "stderr"), (sys, "excepthook"), (sys, "unraisablehook"), (threading, "excepthook"))
_NONE = (0.0, 0.0)


class Surroundings:
    """The state of a process before its first job. For the main thread only, since no other can set signal handlers."""

    def __init__(self) -> None:
        """Save the current state: with the listeners loaded, and after `capture` has installed its streams."""
        keep_standard_open()  # a module may have closed one
        self._folder = _folder()
        self._mask = os.umask(0o077)
        os.umask(self._mask)
        self._locale = locale.setlocale(locale.LC_ALL)
        self._handlers = _handlers()
        self._wakes = signal.set_wakeup_fd(-1)
        signal.set_wakeup_fd(self._wakes, warn_on_full_buffer=False)
        self._has_timer = signal.getitimer(signal.ITIMER_REAL) != _NONE
        self._named = [(place, name, getattr(place, name)) for place, name in _NAMES]
        self._files = [(number, _file(number), fcntl.fcntl(number, fcntl.F_DUPFD_CLOEXEC, 3)) for number in (0, 1, 2)]

    def put_back(self) -> None:
        """Restore the saved state. Takes 5 us if nothing has changed."""
        try:
            self._put_back()
        except Exception:  # noqa: BLE001 - raised by a job's signal handler before it was replaced
            self._put_back()

    def _put_back(self) -> None:
        if not self._has_timer:
            signal.setitimer(signal.ITIMER_REAL, 0)  # one that a job forgot would end another job, or the process
        if (handlers := _handlers()) != self._handlers:
            self._put_handlers_back(handlers)
        if self._wakes != -1:  # an event loop that handles signals resets it to none when it ends
            signal.set_wakeup_fd(self._wakes, warn_on_full_buffer=False)
        for place, name, value in self._named:
            if getattr(place, name, None) is not value:
                setattr(place, name, value)
        for number, file, copy in self._files:
            if _file(number) != file:
                self._put_file_back(number, copy)
        if locale.setlocale(locale.LC_ALL) != self._locale:
            locale.setlocale(locale.LC_ALL, self._locale)
        os.umask(self._mask)
        if self._folder is not None and _folder() != self._folder:
            with contextlib.suppress(OSError):  # it was removed
                os.chdir(self._folder)

    def _put_handlers_back(self, handlers: list[Any]) -> None:
        for number, before, now in zip(_SIGNALS, self._handlers, handlers, strict=True):
            if now is not before and before is not None:  # None: set by C code, which Python can't restore
                signal.signal(number, before)

    @staticmethod
    def _put_file_back(number: int, copy: int) -> None:
        stream = (sys.stdin, sys.stdout, sys.stderr)[number]
        with contextlib.suppress(OSError, ValueError, AttributeError):  # the job's output goes where the job sent it
            stream.flush()
        os.dup2(copy, number)


def _handlers() -> list[Any]:
    return list(map(_signal.getsignal, _SIGNALS))


def _file(number: int) -> tuple[int, int] | None:
    """Which file a descriptor refers to; None if it is closed."""
    try:
        found = os.fstat(number)
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _folder() -> str | None:
    try:
        return os.getcwd()  # noqa: PTH109 - a Path takes ten times as long
    except OSError:  # it was removed
        return None
