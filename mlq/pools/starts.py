"""Decides when a pool starts children, and keeps the first child's result: whether it could load the listeners."""

import logging
import threading
import time
from typing import Any

from mlq.errors import InputError, MLQError

log = logging.getLogger("mlq.worker")

FAILURES = 5  # failed starts in a row after which the worker gives up
PAUSES = (0.0, 1.0, 2.0, 5.0, 10.0)  # seconds before a start, by the number of failures before it


class Starts:
    """Counts failed starts in a row, and waits longer after each."""

    def __init__(self) -> None:
        """No starts yet."""
        self._failures = 0
        self._next_at = 0.0
        self._found: list[Any] | None = None
        self._refusal: str | None = None
        self._known = threading.Event()

    def due(self) -> bool:
        """Whether a child may be started now."""
        return time.monotonic() >= self._next_at

    def succeeded(self, found: list[Any]) -> None:
        """A child is ready, and found these listeners; see `frames`."""
        self._failures = 0
        if self._found is None:
            self._found = found
        self._known.set()

    def failed(self, why: str, *, refused: bool) -> None:
        """A child ended before it was ready; `refused`: it could not load the listeners."""
        self._failures += 1
        if refused and self._found is None:
            self._refusal = why
        else:
            log.error("a child can't start: %s", why)
        self._next_at = time.monotonic() + PAUSES[min(self._failures, len(PAUSES) - 1)]

    def hopeless(self) -> bool:
        """Whether too many starts failed in a row."""
        return self._failures >= FAILURES

    def useless(self) -> bool:
        """Whether no child will ever be ready."""
        return self._refusal is not None or (self.hopeless() and self._found is None)

    def over(self) -> None:
        """No more children are started: let `first` return."""
        self._known.set()

    def first(self) -> list[Any]:
        """Wait for the first child that is ready; returns the listeners that it found.

        Raises InputError if the listeners can't be loaded, MLQError if children die before they report.
        """
        self._known.wait()
        if self._refusal is not None:
            raise InputError(self._refusal)
        if self._found is None:
            raise MLQError("no child process can be started")
        return self._found
