"""Parquet files as sources of chunks: their rows become JSON Lines here, so that no worker needs pyarrow."""

import base64
import json
from collections.abc import Collection, Iterable, Iterator
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
                texts = list(_texts(pq.ParquetFile(stream).schema))
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
                yield from self._written(some)
            left = 0

    def _written(self, rows: pa.RecordBatch) -> Iterator[bytes]:
        if _total(rows.columns) > ROW_LIMIT:  # it is one row, which is too long to be sent: not even its line is made
            yield bytes(ROW_LIMIT + 1)
        else:
            yield from map(self._line, rows.to_pylist())

    def _line(self, row: dict[str, Any]) -> bytes:
        if self._optional:
            row = {name: value for name, value in row.items() if value is not None or name not in self._optional}
        return json.dumps(row, ensure_ascii=False, separators=(",", ":"), default=_plain).encode() + b"\n"


def _texts(schema: pq.ParquetSchema) -> Iterator[str]:
    """The paths of texts and bytes, also within lists and structs."""
    for column in map(schema.column, range(len(schema))):
        if column.physical_type == "BYTE_ARRAY" and column.logical_type.type != "DECIMAL":
            yield column.path


def _portions(batch: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
    """The batch in parts that take `PORTION` at most, or one row: of a small file, a thousand rows may share 8 MB."""
    if batch.num_rows <= 1 or _total(batch.columns) <= PORTION:
        yield batch
        return
    half = batch.num_rows // 2
    yield from _portions(batch.slice(0, half))
    yield from _portions(batch.slice(half))


def _total(columns: Iterable[pa.Array]) -> int:
    """Bytes of all values: what rows share is counted for each of them."""
    return sum(map(_size, columns))


def _size(column: pa.Array) -> int:
    kind = column.type
    if pa.types.is_dictionary(kind):
        lengths = pc.binary_length(column.dictionary)
        return int(pc.sum(pc.take(lengths, column.indices)).as_py() or 0)
    if pa.types.is_struct(kind):
        return _total(column.flatten())
    if pa.types.is_map(kind):
        first, last = column.offsets[0].as_py(), column.offsets[-1].as_py()
        return _total(one.slice(first, last - first) for one in (column.keys, column.items))
    if pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind):
        return _size(column.flatten())
    return int(column.nbytes)


def _plain(value: Any) -> Any:
    """What JSON has for a value that it has no form of its own for."""
    if isinstance(value, bytes):
        return {"base64": base64.b64encode(value).decode()}
    if isinstance(value, timedelta):
        return value.total_seconds()
    return float(value) if isinstance(value, Decimal) else as_text(value)


def _words(error: Exception) -> str:
    return " ".join(str(error).split()) or "it ends too early"
