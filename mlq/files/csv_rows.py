"""Rows of CSV: read from a chunk by its columns, and written with the predictions."""

import contextlib
import csv
import io
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from operator import itemgetter
from typing import Any, NamedTuple

from mlq.core.checks import MESSAGE_LIMIT
from mlq.core.chunk import Chunk, Predicted
from mlq.core.json_values import to_json
from mlq.errors import InputError
from mlq.files.columns import MISSING, Column, Unfit
from mlq.files.rows import New, R, Row, failed, lack_of, one_line, texts_of

PLAIN = ("prediction",)  # the columns of predictions that are no objects
_END = "\0"  # in a line of its own behind the last one: an open quote swallows it
_AS_THEY_ARE = frozenset({str, int, float, type(None)})  # types that csv writes as we want them

Cells = list[str]


def read_csv(chunk: Chunk, columns: Mapping[str, Column], new: New[R], size: int) -> Iterator[list[R]]:
    """Blocks of `size` rows, with an object of the mapped columns as value. Raises InputError if one is not there.

    `columns`: of the model's schema; without any, values are texts.
    """
    named = dict(chunk.fields) or {name: name for name in chunk.columns if not columns or name in columns}
    places = [_place(chunk, column) for column in named.values()]
    kept = _getter([_place(chunk, column) for column in chunk.keep])
    for block in _blocks(chunk, size):
        rows = good = list(map(new, block.lines))
        cells = block.records
        if block.lacks:
            for at, lack in block.lacks.items():
                rows[at].refuse(lack)
            good = [row for row in rows if not row.reason]
            cells = [found for at, found in enumerate(cells) if at not in block.lacks]
        if kept is not None:
            for row, found in zip(good, cells, strict=True):
                row.kept = kept(found)
        _fill(good, cells, list(named), places, columns)
        yield rows


def _place(chunk: Chunk, column: str) -> int:
    try:
        return chunk.columns.index(column)
    except ValueError:
        raise InputError(f"there is no column {column!r:.80} in the file") from None


def _getter(places: Sequence[int]) -> Callable[[Cells], tuple[str, ...]] | None:
    """What takes the cells at these places out of a record; None if there are none."""
    if len(places) > 1:
        return itemgetter(*places)
    return (lambda cells: (cells[places[0]],)) if places else None


class _Block(NamedTuple):
    """Some records; blank lines are none."""

    lines: Sequence[int]  # of the file, where they begin
    records: list[Cells]
    lacks: dict[int, str]  # what is wrong with some of them, by their position


def _blocks(chunk: Chunk, size: int) -> Iterator[_Block]:
    if csv.field_size_limit() < MESSAGE_LIMIT:  # one for the whole process, so it is never lowered
        csv.field_size_limit(MESSAGE_LIMIT)
    text = texts_of(chunk.data)
    if '"' in text or lack_of(text):
        yield from _looked_at(chunk, text, chunk.line, size)
        return
    lines = text.split("\n")
    for start in range(0, len(lines), size):
        part, first = lines[start : start + size], chunk.line + start
        yield _simple(chunk, part, first) or next(_looked_at(chunk, "\n".join(part), first, size), _NOTHING)


_NOTHING = _Block((), [], {})


def _simple(chunk: Chunk, lines: list[str], first: int) -> _Block | None:
    """The usual case, a record in each line and nothing wrong: it takes a third of the time. None if it is not that."""
    try:
        records = list(csv.reader(lines, delimiter=chunk.delimiter))
    except csv.Error:
        return None
    lengths = set(map(len, records))
    if lengths == {len(chunk.columns)}:
        return _Block(range(first, first + len(lines)), records, {})
    if lengths - {len(chunk.columns), 0}:
        return None
    return _Block([line for line, cells in enumerate(records, first) if cells], list(filter(None, records)), {})


def _looked_at(chunk: Chunk, text: str, first: int, size: int) -> Iterator[_Block]:
    """Blocks of any records."""
    records = _each_record(chunk, text, first)
    while found := list(islice(records, size)):
        lacks = {at: lack for at, (_, _, lack) in enumerate(found) if lack}
        yield _Block([line for line, _, _ in found], [cells for _, cells, _ in found], lacks)


def _each_record(chunk: Chunk, text: str, first: int) -> Iterator[tuple[int, Cells, str]]:
    """The cells of each record, with its first line, and what is wrong with it."""
    is_suspect = bool(lack_of(text))
    ended = text if text.endswith("\n") or not text else text + "\n"
    reader = csv.reader(io.StringIO(f"{ended}{_END}\n", newline="\n"), delimiter=chunk.delimiter)
    width, begins, last = len(chunk.columns), first, ended.count("\n") + 1
    while True:
        line, lack = begins, ""
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            cells, lack = [], f"it is not CSV: {error}"
        begins = first + reader.line_num
        if reader.line_num == last and cells == [_END]:
            return
        if reader.line_num == last:
            lack = "a quote is never closed"
        elif is_suspect and not lack:
            lack = lack_of("".join(cells))
        if cells and len(cells) != width and not lack:
            lack = f"it has {len(cells)} column{'s' * (len(cells) != 1)}, and the header has {width}"
        if cells or lack:
            yield line, cells, lack


def _fill(
    rows: Sequence[Row], records: list[Cells], fields: list[str], places: list[int], columns: Mapping[str, Column]
) -> None:
    """Give rows their values, column by column: that takes a third of the time of row by row."""
    found: list[list[Any]] = []
    has_gaps = False
    for field, place in zip(fields, places, strict=True):
        texts = [cells[place] for cells in records]
        column = columns.get(field)
        values, is_full = (texts, True) if column is None else column.values(texts)
        has_gaps = has_gaps or not is_full
        found.append(values)
    of_rows = zip(*found) if found else iter([()] * len(rows))  # noqa: B905 - all are of one length; that check costs
    for row, own in zip(rows, of_rows):  # noqa: B905
        row.value = dict(zip(fields, own))  # noqa: B905
    if has_gaps:
        for row in rows:
            _check(row)


def _check(row: Row) -> None:
    wrong = [f"{field}: {value}" for field, value in row.value.items() if isinstance(value, Unfit)]
    if wrong:
        row.refuse("; ".join(wrong), "invalid_input")
    else:
        row.value = {field: value for field, value in row.value.items() if value is not MISSING}


def write_csv(chunk: Chunk, rows: Sequence[Row]) -> Predicted:
    """The lines of the rows. If the chunk has no `outputs`, its first prediction tells them."""
    good = [row for row in rows if not row.reason]
    outputs = chunk.outputs or (_told_by(good[0].value) if good else ())
    written = io.StringIO()
    csv.writer(written, delimiter=chunk.delimiter, lineterminator="\n").writerows(_lines(good, outputs))
    errors = io.StringIO()
    wrong = failed(rows)
    csv.writer(errors, lineterminator="\n").writerows((row.line, row.reason) for row in wrong)
    return Predicted(_bytes(written), _bytes(errors), len(rows), len(wrong), outputs)


def _bytes(written: io.StringIO) -> bytes:
    return written.getvalue().encode("utf-8", "replace")


def _told_by(value: Any) -> tuple[str, ...]:
    return tuple(map(str, value)) if isinstance(value, dict) and value else PLAIN


def _lines(rows: list[Row], outputs: tuple[str, ...]) -> Iterable[Sequence[Any]]:
    """The cells of each row's line; rows whose prediction does not fit fail, and have none."""
    width, values = len(outputs), [row.value for row in rows]
    if outputs != PLAIN and all(type(value) is dict and len(value) == width for value in values):
        with contextlib.suppress(KeyError):  # the usual case; column by column, it takes a third of the time
            columns = [_column([value[name] for value in values]) for name in outputs]
            cells = zip(*columns, strict=True)
            has_kept = bool(rows and rows[0].kept)
            return ([*row.kept, *own] for row, own in zip(rows, cells, strict=True)) if has_kept else cells
    lines = []
    for row in rows:
        try:
            lines.append([*row.kept, *_cells(row.value, outputs)])
        except ValueError as error:
            row.refuse(str(error), "failed")
    return lines


def _column(values: list[Any]) -> list[Any]:
    return values if _AS_THEY_ARE.issuperset(map(type, values)) else list(map(_cell, values))


def _cells(value: Any, outputs: tuple[str, ...]) -> list[Any]:
    if isinstance(value, dict) and outputs != PLAIN:
        found = [value.get(name) for name in outputs]
        if len(value) != len(outputs) or None in found:
            _check_fields(value, outputs)
    elif outputs == PLAIN:
        found = [value["prediction"] if isinstance(value, dict) and value.keys() == {"prediction"} else value]
    else:
        raise Unfit(f"the prediction is no object with the fields {one_line(', '.join(outputs))}")
    return _column(found)


def _check_fields(value: dict[Any, Any], outputs: tuple[str, ...]) -> None:
    if others := [name for name in value if name not in outputs]:
        raise Unfit(f"the prediction has a field {others[0]!r:.80}, for which there is no column; use JSON Lines")


def _cell(value: Any) -> Any:
    """What csv writes: a text, a number, or None for nothing."""
    return value if type(value) in _AS_THEY_ARE else to_json(value)
