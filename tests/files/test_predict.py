"""What `mlq predict` makes of good files, and of files with bad rows: with a worker in this process."""

import csv
import datetime as dt
import json
import shutil

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mlq.files.text import MOST, ROW_LIMIT
from tests.models.zoo import Iris, Number
from tests.programs import until


@pytest.fixture(autouse=True)
def hosted(mlq):
    """Two models, and two listeners."""

    def whole(row):
        return row

    def length(row):
        return len(str(row))

    mlq.add_model(Iris)
    mlq.add_model(Number)
    mlq.listener(whole)
    mlq.listener(length)
    mlq.create_listener()
    until(lambda: len(mlq.models()) == 2 and mlq.workers())


@pytest.fixture
def made(predict, tmp_path):
    """Predicts a file of some bytes; the exit code, and the bytes of the output and of the errors."""

    def run(data, *words, model="iris", end="csv"):
        (tmp_path / f"in.{end}").write_bytes(data)
        found = predict(model, f"in.{end}", "-o", f"out.{end}", *words)
        names = {"csv": "out.errors.csv", "jsonl": "out.errors.jsonl"}
        errors = tmp_path / names.get(end, f"out.{end}.errors.jsonl")
        assert not (tmp_path / f"out.{end}.partial").exists(), found.output
        assert found.exit_code in (0, 5), found.output
        output = (tmp_path / f"out.{end}").read_bytes()
        return found.exit_code, output, errors.read_bytes() if errors.exists() else None

    return run


@pytest.mark.parametrize(
    "data",
    [
        b"length,width\n1,2\n9,3\n", b"length,width\n1,2\n9,3", b"length,width\r\n1,2\r\n9,3\r\n",
        b"\xef\xbb\xbflength,width\n1,2\n9,3\n", b"width,more,length\n2,x,1\n3,y,9\n", b"length;width\n1;2\n9;3\n",
        b'"length","width"\n"1","2"\n9,3\n\n', b'length,more,width\n1,"a,b\nc",2\n9,"5""",3\n',
    ],
)  # fmt: skip
def test_csv(made, data):
    assert made(data) == (0, b"species\nshort\nlong on cpu\n", None)


def test_rows_that_fail_are_told_with_line_and_reason(made):
    code, output, errors = made(
        b'length,width,x\n1,2,"a\nb"\n-1,2,\n1\n13,1,\nx,1,\n1,2,\n1,7,\n1,\x00,\n\xff,1,\n1,2,"half'
    )
    assert (code, output) == (5, b"species\nshort\nshort\n")
    told = list(csv.reader(errors.decode().splitlines()))
    assert [line for line, _ in told] == ["line", "4", "5", "6", "7", "9", "10", "11", "12"]
    assert "greater than 0" in told[1][1]
    assert "1 column, and the header has 3" in told[2][1]
    assert told[3][1] == "ArithmeticError: thirteen"
    assert "never closed" in told[-1][1]


def test_columns_are_mapped_and_kept(made):
    data = b'id,Length,width,note\n7,1,2,"x,y"\n8,9,3,\n'
    code, output, _ = made(data, "--map", "length=Length", "--keep", "note", "--keep", "id")
    assert (code, output) == (0, b'note,id,species\n"x,y",7,short\n,8,long on cpu\n')


def test_json_lines(made):
    data = (
        b'{"length": 1, "width": 2, "id": "\xc3\xa9"}\n\n{"width": 1}\n[1]\n{"length": 9, "width": 3, "id": null}\n{"le'
    )
    code, output, errors = made(data, "--keep", "id", end="jsonl")
    assert (code, output.decode()) == (5, '{"id": "é", "species": "short"}\n{"id": null, "species": "long on cpu"}\n')
    told = [json.loads(line) for line in errors.splitlines()]
    assert [one["line"] for one in told] == [3, 4, 6]
    assert "length" in told[0]["error"]


def test_inputs_that_are_no_objects(made):
    assert made(b"1\n41\n", model="number", end="ndjson")[1] == b'{"prediction": 2}\n{"prediction": 42}\n'


def test_lines_of_the_batch_api(made):
    line = {"custom_id": "a", "method": "POST", "url": "/models/iris/predict", "body": {"length": 1, "width": 2}}
    lines = [line, line | {"custom_id": "b", "url": "/models/other/predict"}, line | {"custom_id": "c", "body": {}}]
    code, output, errors = made("\n".join(map(json.dumps, lines)).encode(), end="jsonl")
    (good,) = map(json.loads, output.splitlines())
    assert (code, good["custom_id"], good["response"]["body"]) == (5, "a", {"species": "short"})
    assert [json.loads(each)["custom_id"] for each in errors.splitlines()] == ["b", "c"]


def test_listeners_get_texts_and_tell_the_columns(made):
    assert made(b"a,b\n1,\n2,x\n", model="whole")[1] == b"a,b\n1,\n2,x\n"


def test_columns_of_listeners_are_mapped(made):
    assert made(b"a,b\n1,\n", "--map", "c=a", model="whole")[1] == b"c,b\n1,\n"


def test_predictions_that_are_no_objects_are_one_column(made):
    sizes = [len(str({"a": value})) for value in ("1", "xyz")]
    assert made(b"a\n1\nxyz\n", model="length")[1] == f"prediction\n{sizes[0]}\n{sizes[1]}\n".encode()


def test_parquet(made, tmp_path):
    moment = dt.datetime(2026, 1, 2, 3, 4, 5, tzinfo=dt.UTC)
    table = pa.table({
        "id": pa.array([1, 2, 3, None], pa.int32()), "at": [moment, None, moment, None],
        "deep": [{"x": [1, 2]}, None, {"x": []}, None], "length": [1.0, -1.0, None, 9.0], "width": [1, 2, 3, 4],
        "raw": [b"\xff"] * 4,
    })  # fmt: skip
    pq.write_table(table, tmp_path / "made", row_group_size=2)
    code, output, errors = made((tmp_path / "made").read_bytes(), "--keep", "id", "--keep", "at", "--keep", "deep",
                                end="parquet")  # fmt: skip
    (tmp_path / "result").write_bytes(output)
    found = pq.read_table(tmp_path / "result")
    assert code == 5
    assert found.schema.field("id").type == pa.int32()
    assert found.schema.field("at").type == table.schema.field("at").type
    assert found.to_pylist() == [
        {"id": 1, "at": moment, "deep": {"x": [1, 2]}, "species": "short"},
        {"id": None, "at": None, "deep": None, "species": "long on cpu"},
    ]
    assert [json.loads(line)["line"] for line in errors.splitlines()] == [2, 3]


def test_urls(made, predict, tmp_path):
    memory = fsspec.filesystem("memory")
    memory.pipe_file("/in.csv", b"length,width\n1,2\n-1,2\n")
    assert predict("iris", "memory://in.csv", "-o", "memory://out.csv").exit_code == 5
    assert memory.cat_file("/out.csv") == b"species\nshort\n"
    assert memory.cat_file("/out.errors.csv").startswith(b"line,error\n3,")
    assert sorted(memory.ls("/", detail=False)) == ["/in.csv", "/out.csv", "/out.errors.csv"]
    (tmp_path / "in.csv").write_bytes(b"length,width\n1,2\n")
    assert predict("iris", f"file://{tmp_path}/in.csv", "-o", f"file://{tmp_path}/local.csv").exit_code == 0
    assert (tmp_path / "local.csv").read_bytes() == b"species\nshort\n"
    assert predict("iris", "memory://in.csv", "-o", "far.csv").exit_code == 5
    assert (tmp_path / "far.csv").read_bytes() == b"species\nshort\n"
    memory.rm("/", recursive=True)


def test_long_rows(made):
    """Longer than a chunk: it is alone; longer than a message: it fails alone."""
    long, longest = b"x" * (3 * MOST), b'"\n' + b"y" * ROW_LIMIT + b'"'
    data = b"length,more,width\n1,,2\n1," + long + b",2\n1," + longest + b",2\n1,,2\n"
    code, output, errors = made(data, "--keep", "more")
    assert (code, output) == (5, b"more,species\n,short\n" + long + b",short\n,short\n")
    assert errors == b'line,error\n4,"the row is too long: more than 33,554,432 bytes; is a quote never closed?"\n'


def test_it_tells_its_progress_as_json(predict, tmp_path):
    (tmp_path / "in.csv").write_bytes(b"length,width\n1,2\n-1,2\n")
    found = predict("iris", "in.csv", "-o", "out.csv", "--json")
    told = json.loads(found.stdout.splitlines()[-1])
    assert (told["rows"], told["failed"], told["is_whole"], told["done"]) == (2, 1, True, told["size"])


def test_a_model_that_can_not_be_loaded_stops_it(mlq, predict, tmp_path):
    class Unloadable(Iris):
        name = "unloadable"

        def load(self, device):
            if not (tmp_path / "weights").exists():
                raise FileNotFoundError("no weights")
            super().load(device)

    mlq.add_model(Unloadable)
    until(lambda: any("unloadable@1" in one["functions"] for one in mlq.workers()))
    (tmp_path / "in.csv").write_bytes(b"length,width\n1,2\n")
    found = predict("unloadable", "in.csv", "-o", "out.csv")
    assert found.exit_code == 1
    assert "no weights" in found.stderr
    assert not (tmp_path / "out.csv").exists()
    shutil.copy(tmp_path / "in.csv", tmp_path / "weights")
    until(lambda: predict("unloadable", "in.csv", "-o", "out.csv").exit_code == 0)
    assert (tmp_path / "out.csv").read_bytes() == b"species\nshort\n"
