"""Rows of JSON Lines: read from a chunk, and written with the predictions; also lines of OpenAI's batch API."""

import json
from collections.abc import Callable, Iterator, Sequence
from functools import cache, partial
from itertools import islice
from typing import Any

from mlq.core.chunk import Chunk, Predicted
from mlq.core.json_values import MOST_PARTS, from_json, has_too_many_parts, to_json
from mlq.files.rows import New, R, Row, failed

_encode = json.JSONEncoder(ensure_ascii=False, allow_nan=False, check_circular=False).encode


def lines_of(chunk: Chunk, read: Callable[[Row, Any], None], new: New[R], size: int) -> Iterator[list[R]]:
    """Blocks of `size` rows, one for each line that is not blank; `read` makes a line's value the row's."""
    lines = enumerate(chunk.data.split(b"\n"), chunk.line)
    texts = ((line, text) for line, text in lines if text and text.strip(b" \t\r"))
    while block := list(islice(texts, size)):
        rows = [new(line) for line, _ in block]
        for row, (_, text) in zip(rows, block, strict=True):
            _read_line(row, text, read)
        yield rows


@cache
def _quick() -> Callable[[bytes], Any]:
    """What reads a line, and raises ValueError if it can't: pydantic's reader, where it is installed.

    It takes a quarter of the time, and reads nothing that `from_json` refuses, or otherwise than that does.
    """
    try:
        from pydantic_core import from_json as quick
    except ImportError:
        return lambda text: from_json(text.decode())
    return partial(quick, allow_inf_nan=False)


def _value(text: bytes) -> Any:
    """The value of a line. Raises ValueError."""
    try:
        return _quick()(text)
    except ValueError:
        return from_json(text.decode())  # it may be good, and if not, these are the words


def _read_line(row: Row, text: bytes, read: Callable[[Row, Any], None]) -> None:
    if has_too_many_parts(text):
        row.refuse(f"it has more than {MOST_PARTS:,} values and keys")
        return
    try:
        value = _value(text)
    except UnicodeDecodeError:
        row.refuse("it is not UTF-8")
    except ValueError as error:
        row.refuse(f"it is not JSON: {error}")
    else:
        read(row, value)


def read_jsonl(chunk: Chunk, new: New[R], size: int) -> Iterator[list[R]]:
    """Blocks of `size` rows. The last one of equal keys counts, as for any JSON that MLQ reads."""
    fields, keep = chunk.fields, chunk.keep

    def read(row: Row, value: Any) -> None:
        row.value = value
        if not (fields or keep):
            return
        if not isinstance(value, dict):
            row.refuse("it is no JSON object, so it has no fields")
            return
        row.kept = {name: value[name] for name in keep if name in value}
        if fields:
            row.value = {field: value[column] for field, column in fields if column in value}

    return lines_of(chunk, read, new, size)


def write_jsonl(rows: Sequence[Row]) -> Predicted:
    """The lines of the rows."""
    output = written((row for row in rows if not row.reason), _line)
    wrong = failed(rows)
    errors = written(wrong, lambda row: {"line": row.line, "error": row.reason})
    return Predicted(output, errors, len(rows), len(wrong))


def _line(row: Row) -> Any:
    if isinstance(row.value, dict):
        return {**row.kept, **row.value} if row.kept else row.value
    return {**(row.kept or {}), "prediction": row.value}


def written(rows: Iterator[Row] | Sequence[Row], shape: Callable[[Row], Any]) -> bytes:
    """A line for each row. A row whose value JSON can't hold fails, and has none."""
    lines: list[str] = []
    for row in rows:
        try:
            lines.append(as_line(shape(row)))
        except ValueError as error:
            row.refuse(str(error), "failed")
    try:
        return "".join(lines).encode()
    except UnicodeEncodeError:  # lone surrogates, which JSON can only hold as escapes
        return "".join(map(_escaped, lines)).encode()


def as_line(value: Any) -> str:
    """A value as a line of JSON. Raises ValueError."""
    try:
        return f"{_encode(value)}\n"
    except (ValueError, TypeError, RecursionError):  # rarely: NaN, or a type that JSON has not
        return f"{to_json(value)}\n"


def _escaped(line: str) -> str:
    return line if line.isascii() else json.dumps(json.loads(line)) + "\n"
