"""What a process that uses `exit.py` does about signals while it forks."""

import signal
import threading
from collections.abc import Iterable


class Forking:
    """Keeps signals from a process that is just being forked until it has forgotten what is its parent's.

    The two share the descriptor through which Python tells that a signal came. Until the new one forgets it, its
    signals would be heard in the old one.
    """

    def __init__(self, signals: Iterable[int]) -> None:
        """`signals`: the numbers of those that MLQ handles."""
        self._signals = tuple(signals)
        self._masks = threading.local()  # of each thread that forks

    def begins(self) -> None:
        """Before the fork."""
        self._masks.before = signal.pthread_sigmask(signal.SIG_BLOCK, self._signals)

    def ends(self) -> None:
        """After it, in either process."""
        signal.pthread_sigmask(signal.SIG_SETMASK, self._masks.before)
