"""Collects what listeners' processes leave behind where the worker is the first process of a container.

There whatever loses its parent becomes the worker's own child, and stays a zombie after its end until it is collected.
"""

import contextlib
import ctypes
import os
import sys
from collections.abc import Container

_GET_CHILD_SUBREAPER = 37  # prctl(2)


class Orphans:
    """Those that may come to this process, which must start no children but those it knows of."""

    def __init__(self) -> None:
        """Learns whether any may come."""
        self._come = os.getpid() == 1 or _is_subreaper()

    def collect(self, known: Container[int]) -> None:
        """Collect those that have ended, but none that is `known`, for which somebody waits."""
        while self._come:
            try:
                ended = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            except ChildProcessError:
                return
            if ended is None or ended.si_pid in known:
                return
            with contextlib.suppress(ChildProcessError):
                os.waitpid(ended.si_pid, 0)


def _is_subreaper() -> bool:
    if sys.platform != "linux":
        return False
    told = ctypes.c_int(0)
    ctypes.CDLL(None).prctl(_GET_CHILD_SUBREAPER, ctypes.byref(told))
    return bool(told.value)
