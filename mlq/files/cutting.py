"""Finds where records end in the bytes of a CSV or JSON Lines file, without parsing their values. Pure."""

import functools
import re

QUOTE = b'"'


def lines_end(data: bytes, rows: int, *, last: bool) -> int:
    """Where the first `rows` lines of `data` end; before that if it has fewer whole ones, 0 if it has none.

    `last`: the file ends with `data`, so that what follows its last newline is a line, too.
    """
    if data.count(b"\n") < rows:
        return len(data) if last else data.rfind(b"\n") + 1
    low, high = 0, len(data)
    while high - low > 1:  # a third of the time of going from line to line
        middle = (low + high) // 2
        before = data.count(b"\n", low, middle)
        if before < rows:
            low, rows = middle, rows - before
        else:
            high = middle
    return high


def records_end(data: bytes, rows: int, delimiter: str, *, last: bool) -> int:
    """The same for records of CSV, whose quoted values may have newlines.

    A quote opens a value only where the value begins, as for Python's `csv`. Where no quotes are, newlines end
    records: looking for these alone is 10 times as fast.
    """
    if QUOTE not in data:
        return lines_end(data, rows, last=last)
    record, end = _record(delimiter), 0
    for _ in range(rows):
        found = record.match(data, end)
        if found is None:
            return len(data) if last else end
        end = found.end()
    return end


@functools.cache
def _record(delimiter: str) -> re.Pattern[bytes]:
    """Matches one record with its newline. No part of it is tried twice, so that its time is linear."""
    between = re.escape(delimiter).encode()
    rest = b"[^" + between + b"\n]*+"
    value = b'(?:"[^"]*+(?:""[^"]*+)*+"' + rest + b'|(?!")' + rest + b")"
    return re.compile(value + b"(?:" + between + value + b")*+\n")


class LongRecord:
    """Finds the end of a record that is too long to be kept, in pieces of it."""

    def __init__(self, *, quoted: bool) -> None:
        """`quoted`: newlines within quotes do not end it; in such a long record, all quotes are taken in pairs."""
        self._quoted = quoted
        self._open = False

    def end_in(self, piece: bytes) -> int:
        """Where it ends within the next piece; 0 if it goes on after it."""
        start = 0
        while (newline := piece.find(b"\n", start)) >= 0:
            self._pass(piece, start, newline)
            if not self._open:
                return newline + 1
            start = newline + 1
        self._pass(piece, start, len(piece))
        return 0

    def _pass(self, piece: bytes, start: int, end: int) -> None:
        if self._quoted and piece.count(QUOTE, start, end) % 2:
            self._open = not self._open
