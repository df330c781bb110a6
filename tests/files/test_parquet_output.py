"""Parquet is written alike, however its rows were cut into parts, with a type for each column."""

import io
import json
from contextlib import closing

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mlq.files import parquet_output
from mlq.files.parquet import ParquetSource, _portions
from mlq.files.parquet_output import write_parquet
from mlq.files.places import open_input


def made(rows, names=(), kept=None, declared=None):
    stream = io.BytesIO()
    lines = [json.dumps(row).encode() for row in rows]
    write_parquet(stream, lambda: iter(lines), names, kept or {}, declared or {})
    return stream.getvalue()


@pytest.mark.parametrize(
    ("values", "kind", "read"),
    [
        ([1, 2.5], pa.float64(), [1.0, 2.5]), ([1, None], pa.int64(), [1, None]), ([None], pa.string(), [None]),
        (["a", 1, [2]], pa.string(), ["a", "1", "[2]"]), ([[1], None], pa.list_(pa.int64()), [[1], None]),
        ([True, False], pa.bool_(), [True, False]), ([{"a": 1}], pa.struct([("a", pa.int64())]), [{"a": 1}]),
    ],
)  # fmt: skip
@pytest.mark.parametrize("group", [1, 100])
def test_types_are_those_of_the_values(monkeypatch, values, kind, read, group):
    monkeypatch.setattr(parquet_output, "GROUP", group)
    found = pq.read_table(io.BytesIO(made([{"x": value} for value in values])))
    assert (found.schema.field("x").type, found["x"].to_pylist()) == (kind, read)


def test_groups_have_a_limit_of_bytes_too(monkeypatch):
    """Rows of 1 MB each would take as many GB."""
    monkeypatch.setattr(parquet_output, "GROUP_BYTES", 100)
    with pq.ParquetFile(io.BytesIO(made([{"x": "a" * size} for size in (10, 10, 500, 10)]))) as file:
        assert [file.metadata.row_group(number).num_rows for number in range(file.num_row_groups)] == [2, 1, 1]


def test_types_that_are_declared_and_columns_that_some_rows_lack():
    declared = {"score": {"type": "number"}, "name": {"type": "string"}}
    found = pq.read_table(io.BytesIO(made([{"score": 1}, {"other": 2}], ["score", "name"], declared=declared)))
    assert found.schema.types == [pa.float64(), pa.string(), pa.int64()]
    assert found.to_pylist() == [
        {"score": 1.0, "name": None, "other": None}, {"score": None, "name": None, "other": 2},
    ]  # fmt: skip


def test_rows_that_share_a_long_text_are_read_few_at_a_time(tmp_path):
    """A file of some hundred bytes may stand for gigabytes."""
    text = "x" * 5_000_000
    pq.write_table(pa.table({"a": [text] * 40, "n": list(range(40))}), tmp_path / "in.parquet")
    with pq.ParquetFile(tmp_path / "in.parquet", read_dictionary=["a"]) as file:
        assert [part.num_rows for batch in file.iter_batches() for part in _portions(batch)] == [2, 3] * 8
    with closing(open_input(str(tmp_path / "in.parquet"))) as opened:
        piece = ParquetSource(opened).cut(0, 1, 2, 40)
    assert [json.loads(line) for line in piece.data.splitlines()] == [{"a": text, "n": 0}]


LARGE = "x" * 4_000_000


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ([[LARGE]] * 300, pa.list_(pa.string())),
        ([{"t": LARGE, "n": 1}] * 300, pa.struct([("t", pa.string()), ("n", pa.int64())])),
        ([[{"t": [LARGE]}, None]] * 300, pa.list_(pa.struct([("t", pa.list_(pa.large_string()))]))),
        ([[("key", LARGE)]] * 300, pa.map_(pa.string(), pa.string())),
        ([LARGE] * 300, pa.string()),
    ],
    ids=["list", "struct", "deep", "map", "plain"],
)
def test_texts_within_others_are_bounded_as_well(tmp_path, values, kind):
    """They are there once in the file, and would be there for each row in memory."""
    path = tmp_path / "in.parquet"
    pq.write_table(pa.table({"a": pa.array(values, kind)}), path)
    source = ParquetSource(open_input(str(path)))
    with closing(source.file):
        for batch in source._file.iter_batches(1024, use_threads=False):
            assert batch.nbytes < 100_000_000
            assert {len(one) for one in _portions(batch)} <= {2, 3, 4}
        piece = source.cut(0, 1, 10_000, source.end)
        assert (piece.end, LARGE[:100].encode() in piece.data) == (1, True)


def test_a_row_of_shared_texts_that_is_too_long_is_never_made(tmp_path):
    path = tmp_path / "in.parquet"
    pq.write_table(pa.table({"a": pa.array([["short"], [LARGE] * 12, ["end"]])}), path)
    source = ParquetSource(open_input(str(path)))
    with closing(source.file):
        found, at = [], 0
        while at < source.end:
            found.append(source.cut(at, 1, 10_000, source.end))
            at = found[-1].end
    assert [one.data and json.loads(one.data)["a"] for one in found] == [["short"], None, ["end"]]
