"""How far a run is."""

import time
from collections import deque
from typing import NamedTuple

WINDOW = 30.0  # seconds over which the rate is measured


class Report(NamedTuple):
    """How far a run is, and how it ended."""

    rows: int  # that were predicted, or failed
    failed: int  # rows among these
    done: int  # bytes of the input (rows of a Parquet file) that are in parts
    size: int  # bytes or rows of the input
    rate: float  # rows a second, lately; 0 if that is not known
    left: float | None  # seconds until the end, as it seems
    output: str
    errors: str  # where the rows that failed are, or would be
    waits: str | None = None  # why nothing is predicted now
    is_whole: bool = False  # the output is written


class Progress:
    """Counts what a run has done."""

    def __init__(self, size: int, output: str, errors: str) -> None:
        """Nothing yet."""
        self._size, self._output, self._errors = size, output, errors
        self._rows = self._failed = self._done = 0
        self._seen: deque[tuple[float, int, int]] = deque()

    def before(self, rows: int, failed: int, done: int) -> None:
        """Count a part of an earlier process, which says nothing about the rate."""
        self._rows, self._failed, self._done = self._rows + rows, self._failed + failed, self._done + done

    def add(self, rows: int, failed: int, done: int) -> None:
        """Count a part."""
        now = time.monotonic()
        if not self._seen:
            self._seen.append((now, self._rows, self._done))  # its own time is not known: the rate begins after it
        self.before(rows, failed, done)
        self._seen.append((now, self._rows, self._done))
        while now - self._seen[0][0] > WINDOW and len(self._seen) > 2:
            self._seen.popleft()

    def report(self, waits: str | None = None, *, is_whole: bool = False) -> Report:
        """As of now."""
        rate, left = 0.0, None
        if self._seen:
            (began, rows, done), seconds = self._seen[0], time.monotonic() - self._seen[0][0]
            if seconds > 0 and self._done > done and self._seen[-1][0] > began:
                rate = (self._rows - rows) / seconds
                left = (self._size - self._done) * seconds / (self._done - done)
        return Report(self._rows, self._failed, self._done, self._size, rate, left, self._output, self._errors,
                      waits, is_whole)  # fmt: skip
