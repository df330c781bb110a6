"""Handles signals around a fork, in a process that uses `exit.py`."""

import signal
import threading
from collections.abc import Iterable


class Forking:
    """Blocks signals in a forked process until it has dropped its parent's signal handling.

    The two processes share the file descriptor to which Python writes the number of a signal. Until the new process
    drops it, the parent would receive the new process's signals.
    """

    def __init__(self, signals: Iterable[int]) -> None:
        """`signals`: the numbers of those that MLQ handles."""
        self._signals = tuple(signals)
        self._masks = threading.local()  # per thread that forks

    def begins(self) -> None:
        """Call it before the fork."""
        self._masks.before = signal.pthread_sigmask(signal.SIG_BLOCK, self._signals)

    def ends(self) -> None:
        """Call it after the fork, in both processes."""
        signal.pthread_sigmask(signal.SIG_SETMASK, self._masks.before)
