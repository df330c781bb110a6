"""Parquet files as sources of chunks: their rows become JSON Lines here, so that no worker needs pyarrow."""

import base64
import json
from collections.abc import Collection, Iterator
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pyarrow as pa  # type: ignore[import-untyped]
import pyarrow.compute as pc  # type: ignore[import-untyped]
import pyarrow.parquet as pq  # type: ignore[import-untyped]

from mlq.core.json_values import as_text
from mlq.errors import InputError, RunStopped
from mlq.files.places import Input
from mlq.files.text import MOST, ROW_LIMIT, Piece

BATCH = 1024  # rows that are decoded at once
PORTION = 16 << 20  # bytes of rows that become Python's objects at once


class ParquetSource:
    """A Parquet file. Its positions are numbers of rows."""

    kind, form, delimiter = "parquet", "jsonl", ","

    def __init__(self, file: Input) -> None:
        """Reads its schema. Raises InputError."""
        self.file = file
        try:
            with file.stream() as stream:
                self.schema = pq.ParquetFile(stream).schema_arrow
            texts = [field.name for field in self.schema if _is_text(field.type)]
            self._file = pq.ParquetFile(file.stream(), read_dictionary=texts)  # a text that rows share is there once
        except (pa.ArrowException, OSError) as error:
            raise InputError(f"{file.address} can't be read as Parquet: {_words(error)}") from None
        self.columns: tuple[str, ...] = ()
        self.begin, self.line, self.end = 0, 1, self._file.metadata.num_rows
        self._used: list[str] | None = None
        self._optional: frozenset[str] = frozenset()
        self._lines: Iterator[bytes] = iter(())
        self._at = -1  # the row that `_lines` gives next
        self._kept: bytes | None = None  # that row, if it was read already

    def names(self) -> tuple[list[str], bool]:
        """Its columns, which each row has."""
        return list(self.schema.names), True

    def use(self, columns: Collection[str], optional: Collection[str]) -> None:
        """Read these columns alone, or all if there are none; leave out nulls of the optional ones."""
        self._used = list(columns) or None
        self._optional = frozenset(optional)

    def cut(self, start: int, line: int, rows: int, before: int) -> Piece:
        """The next rows from `start` on, as `TextSource.cut` gives them. Raises RunStopped if the file is damaged."""
        if start != self._at:
            self._lines, self._at, self._kept = self._from(start), start, None
        taken: list[bytes] = []
        size = 0
        while self._at < before and len(taken) < rows:
            row = self._next(start + len(taken))
            if taken and size + len(row) > MOST:
                self._kept = row
                break
            taken.append(row)
            size += len(row)
            self._at += 1
        data = None if size > ROW_LIMIT else b"".join(taken)
        return Piece(start, start + len(taken), line, len(taken), data)

    def _next(self, number: int) -> bytes:
        if self._kept is not None:
            row, self._kept = self._kept, None
            return row
        try:
            return next(self._lines)
        except (pa.ArrowException, OSError, StopIteration) as error:
            self._at = -1
            self.file.check()
            raise RunStopped(f"{self.file.address} is damaged from row {number + 1:,} on: {_words(error)}") from None

    def _from(self, start: int) -> Iterator[bytes]:
        """The rows from one on."""
        metadata, skipped = self._file.metadata, 0
        groups: list[int] = []
        for group in range(metadata.num_row_groups):
            count = metadata.row_group(group).num_rows
            if groups or start < skipped + count:
                groups.append(group)
            else:
                skipped += count
        left = start - skipped
        for batch in self._file.iter_batches(BATCH, row_groups=groups, columns=self._used, use_threads=False):
            if left >= batch.num_rows:
                left -= batch.num_rows
                continue
            for some in _portions(batch.slice(left)):
                yield from map(self._line, some.to_pylist())
            left = 0

    def _line(self, row: dict[str, Any]) -> bytes:
        if self._optional:
            row = {name: value for name, value in row.items() if value is not None or name not in self._optional}
        return json.dumps(row, ensure_ascii=False, separators=(",", ":"), default=_plain).encode() + b"\n"


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_binary(kind))


def _portions(batch: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
    """The batch in parts that take `PORTION` at most, or one row: of a small file, a thousand rows may share 8 MB."""
    longest = sum(map(_longest, batch.columns))
    rows = max(1, PORTION // max(longest, 1))
    for start in range(0, batch.num_rows, rows):
        yield batch.slice(start, rows)


def _longest(column: pa.Array) -> int:
    """Bytes of a value: of the longest one, where rows share them."""
    if pa.types.is_dictionary(column.type):
        return int(pc.max(pc.binary_length(column.dictionary)).as_py() or 0)
    return int(column.nbytes) // max(1, len(column))


def _plain(value: Any) -> Any:
    """What JSON has for a value that it has no form of its own for."""
    if isinstance(value, bytes):
        return {"base64": base64.b64encode(value).decode()}
    if isinstance(value, timedelta):
        return value.total_seconds()
    return float(value) if isinstance(value, Decimal) else as_text(value)


def _words(error: Exception) -> str:
    return " ".join(str(error).split()) or "it ends too early"
