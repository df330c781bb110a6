"""CSV and JSON Lines files as sources of chunks: their bytes, cut at ends of records."""

import csv
import json
from collections.abc import Collection
from typing import NamedTuple

from mlq.errors import InputError
from mlq.files.cutting import QUOTE, LongRecord, lines_end, records_end
from mlq.files.kinds import BOM, delimiter_of
from mlq.files.places import Input

MOST = 1 << 20  # bytes of a chunk of several rows
ROW_LIMIT = 32 << 20  # bytes of one row: a message may have 64 MiB, and its job holds it more than once
LOOK = 100  # lines of JSON from which the names of its fields are taken


class Piece(NamedTuple):
    """Some rows of a file. `start` and `end` are bytes, or rows of a Parquet file."""

    start: int
    end: int
    line: int  # number of its first physical line, from 1
    lines: int  # how many of these it has
    data: bytes | None  # None: a row that is too long to be sent


class TextSource:
    """A CSV or JSON Lines file."""

    def __init__(self, file: Input, kind: str) -> None:
        """Reads the header of a CSV file. `kind`: csv, jsonl or batch. Raises InputError."""
        self.file = file
        self.kind = self.form = kind
        self.delimiter = ","
        self.columns: tuple[str, ...] = ()
        self.begin, self.line, self.end = 0, 1, file.size
        head = file.read(0, MOST)
        if head.startswith(BOM):
            self.begin = len(BOM)
        if kind == "csv":
            self._read_header(head[self.begin :])

    def _read_header(self, head: bytes) -> None:
        address = self.file.address
        if not head.strip():
            raise InputError(f"{address} is empty: a CSV file begins with a header")
        first = head.partition(b"\n")[0].decode("utf-8", "replace")
        self.delimiter = delimiter_of(address, first)
        end = records_end(head, 1, self.delimiter, last=self.begin + len(head) >= self.end)
        if not end:
            raise InputError(f"the header of {address} does not end within {MOST:,} bytes")
        try:
            words = head[:end].decode()
            names = next(csv.reader(words.splitlines(keepends=True), delimiter=self.delimiter), [])
        except UnicodeDecodeError:
            raise InputError(f"the header of {address} is not UTF-8") from None
        except csv.Error as error:
            raise InputError(f"the header of {address} can't be read: {error}") from None
        if "\0" in words:
            raise InputError(f"the header of {address} has NUL bytes")
        if not names:
            raise InputError(f"{address} begins with an empty line, where a CSV file has its header")
        self.columns = tuple(names)
        self.begin += end
        self.line = 1 + head[:end].count(b"\n")

    def names(self) -> tuple[list[str], bool]:
        """The columns, and whether each row has these: for JSON Lines, the fields of its first lines."""
        if self.kind == "csv":
            return list(self.columns), True
        found: dict[str, None] = {}
        for line in self.file.read(self.begin, MOST).split(b"\n")[:LOOK]:
            try:
                row = json.loads(line)
            except (ValueError, RecursionError):
                continue
            found |= dict.fromkeys(row if isinstance(row, dict) else ())
        return list(found), False

    def use(self, columns: Collection[str], optional: Collection[str]) -> None:
        """Nothing to do: workers take the columns from whole rows."""

    def cut(self, start: int, line: int, rows: int, before: int) -> Piece:
        """The next rows from `start` on: at most `rows` of them, or `MOST` bytes, and none that begins at `before`.

        `before` must be the end of a row, or of the file. A row that is longer than `MOST` is alone.
        """
        size = MOST
        while size <= ROW_LIMIT:
            data = self.file.read(start, min(size, before - start))
            self._check_whole(data, start, min(size, before - start))
            end = self._end(data, rows if size == MOST else 1, last=start + len(data) >= before)
            if end:
                return Piece(start, start + end, line, data.count(b"\n", 0, end), data[:end])
            size *= 2
        return self._too_long(start, line, before, quoted=self.form == "csv" and QUOTE in data)

    def _end(self, data: bytes, rows: int, *, last: bool) -> int:
        if self.form == "csv":
            return records_end(data, rows, self.delimiter, last=last)
        return lines_end(data, rows, last=last)

    def _too_long(self, start: int, line: int, before: int, *, quoted: bool) -> Piece:
        record, at, lines = LongRecord(quoted=quoted), start, 0
        while at < before:
            data = self.file.read(at, min(MOST, before - at))
            self._check_whole(data, at, min(MOST, before - at))
            end = record.end_in(data)
            lines += data.count(b"\n", 0, end or len(data))
            at += end or len(data)
            if end:
                break
        return Piece(start, at, line, lines, None)

    def _check_whole(self, data: bytes, start: int, size: int) -> None:
        """A file that shrank gives less than it should."""
        if len(data) < size:
            self.file.check()
            raise InputError(f"{self.file.address} could not be read from byte {start:,} on")
