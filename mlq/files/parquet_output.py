"""Joins parts, which are JSON Lines, into a Parquet file: the same one, however the rows were cut into parts."""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import IO, Any

import pyarrow as pa  # type: ignore[import-untyped]
import pyarrow.parquet as pq  # type: ignore[import-untyped]

GROUP = 20_000  # rows of a row group
GROUP_BYTES = 64 << 20  # of its lines, if it has several rows
_TYPES = {"number": pa.float64(), "integer": pa.int64(), "string": pa.string(), "boolean": pa.bool_()}
Rows = list[dict[str, Any]]


def write_parquet(
    stream: IO[bytes],
    lines: Callable[[], Iterable[bytes]],
    names: Sequence[str],
    kept: Mapping[str, pa.DataType],
    declared: Mapping[str, Any],
) -> None:
    """Write the rows that `lines` gives, which is called twice: to learn the types, and to write.

    `names`: columns that are there even if no row has them; `kept`: the types of columns of the input; `declared`: the
    schemas of the model's fields. A column whose values are of several types is text, in JSON.
    """
    found = _types(lines(), names)
    for name in names:
        if name in kept and _can_hold(kept[name]):
            found[name] = kept[name]
        elif name in declared and found[name] in (None, pa.int64()):  # 1.0 of one file and 1 of another are alike
            found[name] = _TYPES.get(str(declared[name].get("type")), found[name])
    schema = pa.schema([(name, pa.string() if kind is None else kind) for name, kind in found.items()])
    with pq.ParquetWriter(stream, schema) as writer:
        for rows in _groups(lines()):
            columns = [_column([row.get(name) for row in rows], schema.field(name).type) for name in schema.names]
            writer.write_table(pa.Table.from_arrays(columns, schema=schema))


def _groups(lines: Iterable[bytes]) -> Iterator[Rows]:
    rows: Rows = []
    size = 0
    for line in lines:
        if rows and (len(rows) == GROUP or size + len(line) > GROUP_BYTES):
            yield rows
            rows, size = [], 0
        rows.append(json.loads(line))
        size += len(line)
    if rows:
        yield rows


def _types(lines: Iterable[bytes], names: Sequence[str]) -> dict[str, pa.DataType | None]:
    """The type of each column that some row has; None where all values are null."""
    found: dict[str, pa.DataType | None] = dict.fromkeys(names)
    for rows in _groups(lines):
        for name in dict.fromkeys(name for row in rows for name in row):
            found[name] = _joined(found.get(name), [row.get(name) for row in rows])
    return found


def _joined(known: pa.DataType | None, values: list[Any]) -> pa.DataType | None:
    try:
        here = pa.array(values).type
        if pa.types.is_null(here):
            return known
        if known is None:
            return here
        fields = [pa.schema([("x", kind)]) for kind in (known, here)]
        return pa.unify_schemas(fields, promote_options="permissive").field("x").type
    except (pa.ArrowException, OverflowError):
        return pa.string()


def _can_hold(kind: pa.DataType) -> bool:
    """Whether values come back from JSON as this type."""
    checks = (
        pa.types.is_integer, pa.types.is_floating, pa.types.is_boolean, pa.types.is_string, pa.types.is_large_string,
        pa.types.is_timestamp, pa.types.is_date32,
    )  # fmt: skip
    return any(check(kind) for check in checks)


def _column(values: list[Any], kind: pa.DataType) -> pa.Array:
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        return pa.array([one if one is None or isinstance(one, str) else json.dumps(one) for one in values], kind)
    if pa.types.is_timestamp(kind) or pa.types.is_date32(kind):
        return pa.array(values, pa.string()).cast(kind)
    return pa.array(values, kind)
