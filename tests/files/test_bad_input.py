"""Input that can't be predicted, and outputs that can't be written: one clear line each, and nothing is left behind."""

import gzip
import os
import re

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mlq.files import batch_ids
from mlq.files.text import MOST

pytestmark = pytest.mark.usefixtures("known")

GOOD = b"length,width\n1,2\n"


@pytest.fixture
def refused(predict, tmp_path):
    """What the command says of a file, which it must refuse before anything is written."""

    def run(*words, data=None, name="in.csv", model="iris", out="out.csv"):
        if data is not None:
            (tmp_path / name).write_bytes(data)
        before = sorted(tmp_path.rglob("*"))
        found = predict(model, name, "-o", out, *words)
        assert found.exit_code == 2, found.output
        assert re.fullmatch(r"mlq: [^\n]*\n", found.stderr)
        assert sorted(tmp_path.rglob("*")) == before
        return found.stderr

    return run


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "is empty: a CSV file begins with a header"),
        (b"\xef\xbb\xbf", "is empty"),
        (b"\n1,2\n", "begins with an empty line"),
        (b"length\n1\n", "lacks 'width', which the model needs; it has 'length'"),
        (b"Length,wdith\n1,2\n", r"'length' (did you mean 'Length'?), 'width' (did you mean 'wdith'?)"),
        (b"length,width,length\n1,2,3\n", "has the column 'length' twice"),
        ("length,width\n1,2\n".encode("utf-16"), "is UTF-16, not UTF-8"),
        ("length,width\n1,2\n".encode("utf-16-le"), "is UTF-16, not UTF-8"),
        (gzip.compress(GOOD), "is compressed (gzip)"),
        (b"PK\x03\x04", "is compressed (zip)"),
        (b"length,width\r1,2\r", "end with CR alone"),
        (b"length,\x00width\n1,2\n", "has NUL bytes"),
        (b"length,\xff\n1,2\n", "is not UTF-8"),
        (b'"length' + b"x" * MOST, "does not end within"),
        (b"PAR1" + b"\0" * 100, "can't be read as Parquet"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_csv(refused, data, reason):
    assert reason in refused(data=data)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b'{"length": 1}\n', "lacks 'width'"),
        (b"1\n2\n", "none of the first 100 lines"),
        (b'{"length": 1, "wid', "none of the first 100 lines"),
        ('{"length": 1}'.encode("utf-16"), "UTF-16"),
    ],
)
def test_json_lines(refused, data, reason):
    assert reason in refused(data=data, name="in.jsonl", out="out.jsonl")


REQUEST = b'{"custom_id": "%b", "method": "POST", "url": "/models/iris/predict", "body": {"length": 1, "width": 2}}\n'


def test_requests_with_one_id(refused, monkeypatch):
    monkeypatch.setattr(batch_ids, "AT_ONCE", 2)
    monkeypatch.setattr(batch_ids, "MOST", 100)
    ids = (b"a", b"b", b"c", b"d", b"b", b"a")
    said = refused(data=REQUEST % b"z" + b"\n{}\nno json\n" + b"".join(map(REQUEST.__mod__, ids)), name="in.jsonl",
                   out="out.jsonl")  # fmt: skip
    assert "have the same custom_id" in said
    assert "lines 5 and 10" in said or "lines 6 and 9" in said


def test_a_folder_that_is_a_link(refused, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "out.csv.partial").symlink_to("elsewhere")
    assert "out.csv.partial is a link" in refused(data=GOOD)
    assert list((tmp_path / "elsewhere").iterdir()) == []


def parquet(tmp_path, **columns):
    pq.write_table(pa.table(columns), tmp_path / "made.parquet")
    return (tmp_path / "made.parquet").read_bytes()


def test_parquet(refused, tmp_path):
    data = parquet(tmp_path, length=[1.0], width=[2.0])
    for broken in (data[: len(data) // 2], data[:-4], b"", b"not"):
        said = refused(data=broken, name="in.parquet", out="out.parquet")
        assert "can't be read as Parquet" in said or "is no Parquet file" in said
    assert "lacks 'width'" in refused(data=parquet(tmp_path, length=[1]), name="in.parquet", out="out.parquet")
    assert "of the input's kind, Parquet" in refused(data=data, name="in.parquet", out="out.csv")


def test_columns_are_named_right(refused):
    assert "has no column 'z'" in refused("--keep", "z", data=GOOD)
    assert "has no column 'withd' (did you mean 'width'?)" in refused("--map", "length=withd", data=GOOD)
    assert "no field 'lenght' (did you mean 'length'?)" in refused("--map", "lenght=width", data=GOOD)
    assert "such as width=sepal_width" in refused("--map", "length", data=GOOD)
    assert "names the field 'length' twice" in refused("--map", "length=width", "--map", "length=length", data=GOOD)
    assert "take a file" in refused(data=GOOD, out="-")
    assert "'width' twice" in refused("--keep", "width", "--keep", "width", data=GOOD)
    assert "can't be kept: the prediction has one of this name" in refused(
        "--keep", "species", data=b"length,width,species\n1,2,3\n"
    )
    assert "use JSON Lines" in refused(data=GOOD, model="number")


@pytest.mark.parametrize(
    ("model", "reason"),
    [
        ("irs", "did you mean 'iris'"),
        ("iris@7", "has no version '7'"),
        ("a,b", "without commas"),
        ("nobody", "no live"),
    ],
)
def test_models_that_are_not_there(refused, model, reason):
    assert reason in refused(data=GOOD, model=model)


def test_inputs_that_are_no_files(refused, tmp_path):
    assert "can't read" in refused(name="none.csv")
    (tmp_path / "folder.csv").mkdir()
    assert "can't read" in refused(name="folder.csv")
    os.mkfifo(tmp_path / "pipe.csv")
    assert "not a regular file" in refused(name="pipe.csv")
    assert "there is no such file" in refused(name="memory://none.csv")
    assert "can't use" in refused(name="nosuch://none.csv")


def test_outputs_that_can_not_be_written(refused, tmp_path):
    (tmp_path / "there.csv").write_bytes(b"mine")
    (tmp_path / "folder").mkdir()
    (tmp_path / "link.csv").symlink_to("in.csv")
    for out, reason in (
        ("there.csv", "exists already"), ("folder", "is a folder"), ("none/out.csv", "there is no folder"),
        ("in.csv", "is the input and the output"), ("link.csv", "is the input and the output"),
        ("out.jsonl", "of the input's kind, CSV"), ("memory://out.csv", "must be in the same store"),
    ):  # fmt: skip
        words = ("--errors", "errors.csv") if ":" in out else ()
        assert reason in refused(*words, data=GOOD, out=out)
    assert "is the input and the errors file" in refused("--errors", "in.csv", data=GOOD)
    assert "is the output and the errors file" in refused("--errors", "out.csv", data=GOOD)
    assert "errors file" in refused("--errors", "there.csv", data=GOOD)
    assert (tmp_path / "there.csv").read_bytes() == b"mine"


@pytest.mark.parametrize(
    ("name", "data", "written"),
    [
        ("in.csv", b"length,width\n", b"species\n"), ("in.csv", b"length,width", b"species\n"),
        ("in.csv", b"\xef\xbb\xbflength,width\r\n", b"species\n"), ("in.tsv", b"length\twidth\n", b"species\n"),
        ("in.csv", b"length;width\n", b"species\n"), ("in.jsonl", b"", b""), ("in", GOOD[:12], b"species\n"),
    ],
)  # fmt: skip
def test_no_rows_are_no_error(predict, tmp_path, name, data, written):
    (tmp_path / name).write_bytes(data)
    found = predict("iris", name, "-o", f"out{name[2:]}")
    assert (found.exit_code, found.stderr) == (0, found.stderr)
    assert (tmp_path / f"out{name[2:]}").read_bytes() == written
    assert len(list(tmp_path.iterdir())) == 2


def test_parquet_without_rows(predict, tmp_path):
    table = pa.table({"length": pa.array([], pa.float64()), "width": pa.array([], pa.float64())})
    pq.write_table(table, tmp_path / "in.parquet")
    assert predict("iris", "in.parquet", "-o", "out.parquet", "--keep", "width").exit_code == 0
    schema = pq.read_schema(tmp_path / "out.parquet")
    assert (schema.names, schema.types) == (["width", "species"], [pa.float64(), pa.string()])
