"""Rows of CSV: what is read of good and of broken lines, and what is written."""

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlq.core.chunk import Chunk
from mlq.errors import InputError
from mlq.files.columns import columns_of
from mlq.files.csv_rows import read_csv, write_csv
from mlq.files.rows import Row

SCHEMA = {
    "properties": {"a": {"type": "number"}, "b": {"type": "string"}, "n": {"type": "integer"}},
    "required": ["a", "b"],
}


def chunk(data, columns=("a", "b"), **more):
    return Chunk("csv", data if isinstance(data, bytes) else data.encode(), 2, columns, **more)


def read(data, columns=("a", "b"), schema=None, size=128, **more):
    """Line, value and reason of each row."""
    blocks = read_csv(chunk(data, columns, **more), columns_of(schema or {}), Row, size)
    return [(row.line, row.value, row.reason) for block in blocks for row in block]


def test_values_are_what_the_schema_says():
    assert read("1,x\n2.5,\n", schema=SCHEMA) == [(2, {"a": 1.0, "b": "x"}, ""), (3, {"a": 2.5, "b": ""}, "")]


def test_without_a_schema_they_are_texts():
    assert read("1,\n") == [(2, {"a": "1", "b": ""}, "")]


def test_only_the_fields_of_the_schema_are_given():
    assert read("1,x,9\n", ("a", "b", "id"), SCHEMA) == [(2, {"a": 1.0, "b": "x"}, "")]


def test_columns_can_be_mapped():
    fields = (("b", "text"), ("a", "width"))
    assert read("1,x\n", ("width", "text"), SCHEMA, fields=fields) == [(2, {"b": "x", "a": 1.0}, "")]


@pytest.mark.parametrize("more", [{"fields": (("a", "zz"),)}, {"keep": ("zz",)}])
def test_a_column_that_is_not_there_is_told(more):
    with pytest.raises(InputError, match="no column 'zz'"):
        read("1,x\n", **more)


def test_an_empty_place_leaves_the_field_out_or_is_an_error():
    found = read("1,x,\n,x,2\n", ("a", "b", "n"), SCHEMA)
    assert found[0][1] == {"a": 1.0, "b": "x"}
    assert found[1] == (3, None, "a: is empty")


def test_all_that_is_wrong_in_a_row_is_told():
    (_, _, reason), good = read("x,y,1.5\n1,y,3.0\n", ("a", "b", "n"), SCHEMA)
    assert reason == "a: must be number, not 'x'; n: must be integer, not '1.5'"
    assert good[1] == {"a": 1.0, "b": "y", "n": 3}


@pytest.mark.parametrize("end", ["", "\n", "\r\n"])
def test_the_last_line_ends_in_any_way(end):
    assert read(f"1,x\n2,y{end}") == [(2, {"a": "1", "b": "x"}, ""), (3, {"a": "2", "b": "y"}, "")]


def test_crlf():
    assert [row[1] for row in read("1,x\r\n2,y\r\n", schema=SCHEMA)] == [{"a": 1.0, "b": "x"}, {"a": 2.0, "b": "y"}]


@pytest.mark.parametrize("quoted", ["", '"1","x"\n'])
def test_blank_lines_are_no_rows(quoted):
    found = read(f"\n1,x\n\n\r\n2,y\n\n{quoted}")
    assert [line for line, _, _ in found] == [3, 6, 8][: 2 + bool(quoted)]


def test_quoted_newlines_and_commas():
    assert read('1,"x,\ny"\n"2","a ""b"""\n') == [
        (2, {"a": "1", "b": "x,\ny"}, ""), (4, {"a": "2", "b": 'a "b"'}, ""),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("data", "line", "words"),
    [
        ("1,x\n2\n3,z\n", 3, "it has 1 column, and the header has 2"),
        ("1,x\n2,y,z\n3,z\n", 3, "it has 3 columns, and the header has 2"),
        ('1,x\n2,y,"z\n"\n3,z\n', 3, "it has 3 columns, and the header has 2"),
        ("1,x\n2,y\0\n3,z\n", 3, "NUL byte"),
        (b"1,x\n2,\xff\n3,z\n", 3, "not UTF-8"),
        (b'1,x\n2,"\n\xff"\n3,z\n', 3, "not UTF-8"),
        ("1,x\n2,y\rz\n3,z\n", 3, "not CSV"),
        ('"1",x\n2,y\rz\n3,z\n', 3, "not CSV"),
    ],
)
def test_a_bad_line_fails_alone(data, line, words):
    found = read(data)
    assert [value for _, value, _ in found if value] == [{"a": "1", "b": "x"}, {"a": "3", "b": "z"}]
    ((where, reason),) = [(line, reason) for line, _, reason in found if reason]
    assert where == line
    assert words in reason


@pytest.mark.parametrize("end", ["", "\n", "\n\n", ",\n"])
def test_a_quote_that_is_never_closed_is_told(end):
    assert read(f'1,x\n2,"y{end}')[1:] == [(3, None, "a quote is never closed")]


def test_lines_of_nul_are_no_end():
    """A line of one NUL byte is also what marks the end, inside."""
    assert [(line, bool(reason)) for line, _, reason in read("\0\n1,x\n\0\n")] == [(2, True), (3, False), (4, True)]


@pytest.mark.slow
def test_a_cell_of_20_mb():
    """Python's own limit is 128 KiB."""
    assert [len(value["b"]) for _, value, _ in read(b'1,"' + b"x" * 20_000_000 + b'"\n2,' + b"y" * 20_000_000)] == [
        20_000_000, 20_000_000,
    ]  # fmt: skip


@given(st.lists(st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\0\r")), min_size=2, max_size=2)),
       st.integers(1, 3))  # fmt: skip
def test_it_reads_what_python_writes_in_blocks_of_any_size(records, size):
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(records)
    found = read(text.getvalue(), size=size)
    assert [list(value.values()) for _, value, reason in found if not reason] == records


# --- written


def written(*values, outputs=(), kept=(), **more):
    """What is written for rows with these predictions; one that is an exception is that row's error."""
    rows = [Row(line) for line, _ in enumerate(values, 2)]
    for row, value in zip(rows, values, strict=True):
        row.kept = kept
        row.value = value
        if isinstance(value, Exception):
            row.fail(value)
    return write_csv(chunk("", outputs=outputs, **more), rows)


def test_a_column_for_each_field_in_the_order_of_the_first():
    found = written({"s": "a", "p": 0.1}, {"p": 1e-20, "s": 'b,"'})
    assert found.output == b'a,0.1\n"b,""",1e-20\n'
    assert (found.rows, found.failed, found.outputs, found.errors) == (2, 0, ("s", "p"), b"")


def test_the_columns_can_be_given():
    assert written({"s": "a", "p": 1}, outputs=("p", "s", "q")).output == b"1,a,\n"


@pytest.mark.parametrize(
    ("value", "line"),
    [
        (5, "5"),
        (None, '""'),
        ("a\nb", '"a\nb"'),
        (True, "true"),
        ([1, 2], '"[1, 2]"'),
        ({}, "{}"),
        (float("inf"), "inf"),
    ],
)
def test_other_predictions_have_one_column(value, line):
    found = written(value)
    assert found.output.decode() == line + "\n"
    assert found.outputs == ("prediction",)


def test_values_within_fields_are_json():
    assert written({"a": None, "b": [1, "x"], "c": False}, {"a": 1, "b": {}, "c": 0}).output == (
        b',"[1, ""x""]",false\n1,{},0\n'
    )


def test_kept_columns_come_first():
    assert written({"s": "a"}, {"s": "b"}, kept=("id", "x")).output == b"id,x,a\nid,x,b\n"


@pytest.mark.parametrize(
    ("other", "words"),
    [({"s": 1, "zz": 2}, "field 'zz'"), ({"zz": 2}, "field 'zz'"), ([1], "no object"), (5, "no object")],
)
def test_a_prediction_without_columns_fails_alone(other, words):
    found = written({"s": "a"}, other, {"s": "b"})
    assert (found.output, found.rows, found.failed) == (b"a\nb\n", 3, 1)
    assert found.errors.startswith(b"3,")
    assert words in found.errors.decode()


def test_errors_have_one_line_each():
    found = written(ValueError("bad,\n\n thing"), KeyError("x"), InputError("plain"), ValueError())
    assert list(csv.reader(io.StringIO(found.errors.decode()))) == [
        ["2", "ValueError: bad, thing"], ["3", "KeyError: 'x'"], ["4", "plain"], ["5", "ValueError"],
    ]  # fmt: skip
    assert (found.output, found.outputs, found.failed) == (b"", (), 4)


def test_another_delimiter_is_that_of_the_output():
    assert written({"s": "a;", "p": 1}, delimiter=";").output == b'"a;";1\n'
