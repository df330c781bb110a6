"""The message and the result of a job that predicts a chunk of a file: records as they stand in the file, and lines."""

from collections.abc import Sequence
from typing import Any, NamedTuple, Self

from mlq.core import codec
from mlq.errors import Undecodable

ROWS_QUEUE = "#rows"  # where these jobs wait, each naming one function; nobody else may post there
FORMS = ("csv", "jsonl", "batch")  # "batch": lines of OpenAI's batch API


class Chunk(NamedTuple):
    """The message of a chunk's job; posted as it is, or packed, it is the same."""

    form: str  # one of FORMS
    data: bytes  # whole records in UTF-8, without a header, BOM or trailing partial record
    line: int  # number of its first physical line in the file, from 1
    columns: tuple[str, ...] = ()  # csv: the header's names; else none
    fields: tuple[tuple[str, str], ...] = ()  # fields of the input with their columns; (): they have the same names
    keep: tuple[str, ...] = ()  # columns, or fields of a line, that the output has before the prediction's own
    delimiter: str = ","  # csv
    outputs: tuple[str, ...] = ()  # csv: the columns of the predictions; (): its first prediction tells them

    def packed(self) -> bytes:
        """As it is stored. Raises Unserializable."""
        return codec.pack(self, "the chunk")

    @classmethod
    def parse(cls, packed: bytes) -> Self:
        """Raises Undecodable."""
        return cls.of(codec.unpack(packed))

    @classmethod
    def of(cls, message: Any) -> Self:
        """What a job's message says. Raises Undecodable."""
        form, data, line, columns, fields, keep, delimiter, outputs = _items(message, 8)
        pairs = tuple(_texts(pair) for pair in _items(fields))
        is_right = form in FORMS and isinstance(data, bytes) and _is_count(line) and line > 0
        is_right = is_right and isinstance(delimiter, str) and len(delimiter) == 1
        if not is_right or any(len(pair) != 2 for pair in pairs):
            raise Undecodable("this chunk of a file is damaged")
        named = tuple((field, column) for field, column in pairs)
        return cls(form, data, line, _texts(columns), named, _texts(keep), delimiter, _texts(outputs))


class Predicted(NamedTuple):
    """The result of a chunk's job."""

    output: bytes  # whole lines, in the chunk's order, of the rows that succeeded
    errors: bytes  # of those that failed: csv `line,error`, jsonl {"line": .., "error": ..}, batch: as OpenAI's API
    rows: int  # of the chunk, blank lines left out
    failed: int  # rows among these
    outputs: tuple[str, ...] = ()  # csv: the columns of the predictions; () if none succeeded, and none were given

    def packed(self) -> bytes:
        """As it is stored."""
        return codec.pack(self, "the result")

    @classmethod
    def parse(cls, packed: bytes) -> Self:
        """Raises Undecodable."""
        return cls.of(codec.unpack(packed))

    @classmethod
    def of(cls, result: Any) -> Self:
        """What a job's result says. Raises Undecodable."""
        output, errors, rows, failed, outputs = _items(result, 5)
        are_lines = isinstance(output, bytes) and isinstance(errors, bytes)
        if not are_lines or not _is_count(rows) or not _is_count(failed) or failed > rows:
            raise Undecodable("this result of a chunk of a file is damaged")
        return cls(output, errors, rows, failed, _texts(outputs))


def joined(parts: Sequence[Predicted], outputs: tuple[str, ...]) -> Predicted:
    """One result of those of consecutive parts of a chunk; `outputs`: the columns if there are no parts."""
    lines, errors = b"".join(part.output for part in parts), b"".join(part.errors for part in parts)
    rows, failed = sum(part.rows for part in parts), sum(part.failed for part in parts)
    return Predicted(lines, errors, rows, failed, parts[-1].outputs if parts else outputs)


def _items(given: Any, count: int | None = None) -> list[Any]:
    if not isinstance(given, (list, tuple)) or count not in (None, len(given)):
        raise Undecodable("this is not a chunk of a file, or its result")
    return list(given)


def _is_count(given: Any) -> bool:
    return isinstance(given, int) and not isinstance(given, bool) and given >= 0


def _texts(given: Any) -> tuple[str, ...]:
    if not isinstance(given, (list, tuple)) or not all(isinstance(one, str) for one in given):
        raise Undecodable("this chunk of a file, or its result, is damaged")
    return tuple(given)
