"""Lines of a batch: what is refused whole, and what is left to the model."""

import gzip
import json

import pytest

from mlq.batches import checking
from mlq.batches.checking import LONGEST, MOST_ROWS, SHOWN, check

HERE = "/models/iris/predict"


def line(number=0, **others):
    given = {"custom_id": f"r{number}", "method": "POST", "url": HERE, "body": {"a": 1}} | others
    return json.dumps({name: value for name, value in given.items() if value is not ...}).encode() + b"\n"


def test_good_lines_have_no_faults():
    lines = [
        b"\xef\xbb\xbf" + line(1),
        b"\r\n",
        line(2, body=None),
        line(3).rstrip() + b"\r\n",
        b"  ",
        line(4).rstrip(),
    ]
    assert check(lines, HERE) == (4, [])


@pytest.mark.parametrize(
    ("bad", "code"),
    [
        (b"{", "invalid_json_line"),
        (b"[]", "invalid_json_line"),
        (b"\xff\xfe{}", "invalid_json_line"),
        (b"[" * 100_000, "invalid_json_line"),
        (b"{" + b" " * LONGEST, "line_too_long"),
        (line(custom_id=...), "missing_required_parameter"),
        (line(custom_id=1), "missing_required_parameter"),
        (line(custom_id=""), "missing_required_parameter"),
        (line(1), "duplicate_custom_id"),
        (line(url="/models/other/predict"), "invalid_url"),
        (line(url=["x"]), "invalid_url"),
        (line(url=...), "invalid_url"),
        (line(method="GET"), "invalid_method"),
        (line(body=...), "missing_required_parameter"),
    ],
)
def test_one_bad_line_is_told_with_its_number(bad, code):
    found = check([line(1), b"\n", bad, line(2)], HERE)
    assert found.rows == 3
    assert [(one.code, one.line) for one in found.faults] == [(code, 3)]
    json.dumps(found.faults[0].as_json())


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (gzip.compress(line(1)), "is compressed (gzip)"),
        (b"PK\x03\x04", "is compressed (zip)"),
        (line(1).decode().encode("utf-16"), "is UTF-16"),
        (line(1).decode().encode("utf-16-le"), "is UTF-16"),
    ],
    ids=["gzip", "zip", "utf-16", "utf-16-le"],
)
def test_files_that_are_no_text_are_named_as_such(content, reason):
    """And not as lines that are no JSON."""
    (fault,) = check(content.splitlines(keepends=True), HERE).faults
    assert (fault.code, fault.line, reason in fault.message) == ("invalid_file_format", None, True)


@pytest.mark.parametrize("lines", [[], [b"\n", b"  \r\n"], [b"\xef\xbb\xbf"]])
def test_a_file_without_requests(lines):
    assert [one.code for one in check(lines, HERE).faults] == ["empty_file"]


def test_not_all_faults_are_told():
    assert len(check([b"{"] * 100, HERE).faults) == SHOWN


def test_too_many_requests(monkeypatch):
    assert MOST_ROWS == 50_000
    monkeypatch.setattr(checking, "MOST_ROWS", 3)
    assert check(map(line, range(3)), HERE) == (3, [])
    assert [one.code for one in check(map(line, range(9)), HERE).faults] == ["too_many_requests"]


def test_a_lone_surrogate_is_an_id():
    assert check([line(custom_id="\ud800"), line(custom_id="\ud801")], HERE) == (2, [])


def test_a_line_of_very_many_values_is_not_read(monkeypatch):
    """Reading 16 MB of empty lists takes a gigabyte."""
    packed = line(body=[[]] * 10)
    assert check([packed], HERE).faults == []
    monkeypatch.setattr("mlq.core.json_values.MOST_PARTS", 18)
    assert [one.code for one in check([packed], HERE).faults] == ["too_many_values"]
