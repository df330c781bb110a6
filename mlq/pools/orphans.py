"""Collects orphaned processes of listeners if the worker is the first process of a container.

There, a process that loses its parent becomes the worker's child, and after its end it is a zombie until collected.
"""

import contextlib
import ctypes
import os
import sys
import weakref
from collections.abc import Container
from typing import ClassVar

_GET_CHILD_SUBREAPER = 37  # prctl(2)


class Orphans:
    """Collects orphans that this process adopts. It must not start children other than those passed as `known`."""

    _all: ClassVar["weakref.WeakSet[Orphans]"] = weakref.WeakSet()  # a worker has a second pool while a shadow is set

    def __init__(self) -> None:
        """Find out whether this process adopts orphans."""
        self._known: Container[int] = ()
        self._all.add(self)
        self._come = os.getpid() == 1 or _is_subreaper()

    def collect(self, known: Container[int]) -> None:
        """Collect orphans that have ended, but no process that any pool knows, since that waits for it."""
        self._known = known
        while self._come:
            try:
                ended = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            except ChildProcessError:
                return
            if ended is None or any(ended.si_pid in one._known for one in tuple(self._all)):  # noqa: SLF001
                return
            with contextlib.suppress(ChildProcessError):
                os.waitpid(ended.si_pid, 0)


def _is_subreaper() -> bool:
    if sys.platform != "linux":
        return False
    told = ctypes.c_int(0)
    ctypes.CDLL(None).prctl(_GET_CHILD_SUBREAPER, ctypes.byref(told))
    return bool(told.value)
