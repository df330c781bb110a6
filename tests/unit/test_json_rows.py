"""Rows of JSON Lines, and lines of the batch API: what is read of good and of broken lines, and what is written."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlq.core.chunk import Chunk
from mlq.core.json_values import from_json
from mlq.errors import InputError, ValidationError
from mlq.files.batch_rows import read_batch, write_batch
from mlq.files.json_rows import _value, read_jsonl, write_jsonl
from mlq.files.rows import Row


def rows(data, **more):
    chunk = Chunk("jsonl", data if isinstance(data, bytes) else data.encode(), 1, **more)
    return [row for block in read_jsonl(chunk, Row, 2) for row in block]


def read(data, **more):
    """Line, value and reason of each row."""
    return [(row.line, row.value, row.reason) for row in rows(data, **more)]


def test_each_line_is_a_row_and_blank_ones_are_none():
    assert read('{"a": 1}\n\n \t\r\n"x"\r\n[1]') == [(1, {"a": 1}, ""), (4, "x", ""), (5, [1], "")]


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ('{"a": 1', "not JSON"),
        ("{'a': 1}", "not JSON"),
        ('{"a": NaN}', "NaN is not JSON"),
        ("-Infinity", "-Infinity is not JSON"),
        ('{"a": "\0"}', "not JSON"),
        ("1" * 5000, "not JSON"),
        ("[" * 100_000, "nested too deeply"),
        ('{"a": 1} {"a": 2}', "not JSON"),
        (b"\xff", "not UTF-8"),
        (b'"\xed\xa0\x80"', "not UTF-8"),
        ("\ufeff1", "not JSON"),
    ],
)
def test_a_bad_line_fails_alone(line, words):
    line = line if isinstance(line, bytes) else line.encode()
    first, (_, value, reason), last = read(b"1\n" + line + b"\n3\n")
    assert (first[1], value, last[1]) == (1, None, 3)
    assert words in reason


def test_of_equal_keys_the_last_one_counts():
    assert read('{"a": 1, "a": 2}') == [(1, {"a": 2}, "")]


@pytest.mark.slow
def test_a_line_of_100_mb():
    (row,) = rows(b'{"a": "' + b"x" * 100_000_000 + b'"}\n')
    assert len(row.value["a"]) == 100_000_000
    assert len(write_jsonl([row]).output) == 100_000_010


def test_fields_can_be_mapped_and_kept():
    first, second = rows('{"w": 1, "id": 7, "z": 0}\n{}', fields=(("width", "w"),), keep=("id",))
    assert (first.value, first.kept) == ({"width": 1}, {"id": 7})
    assert (second.value, second.kept) == ({}, {})


@pytest.mark.parametrize("more", [{"fields": (("a", "b"),)}, {"keep": ("id",)}])
def test_what_has_no_fields_cannot_be_mapped(more):
    assert "no JSON object" in read("[1]", **more)[0][2]


def written(write, *values, kept=None):
    """What is written for rows with these predictions."""
    made = [Row(line) for line, _ in enumerate(values, 1)]
    for row, value in zip(made, values, strict=True):
        row.kept = kept or row.kept
        row.value = value
        if isinstance(value, Exception):
            row.fail(value)
    return write(made)


def test_objects_are_lines_and_others_are_within_one():
    found = written(write_jsonl, {"s": "\u00e4"}, 5, None, [1])
    assert found.output.decode() == '{"s": "\u00e4"}\n{"prediction": 5}\n{"prediction": null}\n{"prediction": [1]}\n'
    assert (found.rows, found.failed, found.outputs) == (4, 0, ())


def test_kept_fields_come_first():
    found = written(write_jsonl, {"s": 1}, 5, kept={"id": 7})
    assert found.output == b'{"id": 7, "s": 1}\n{"id": 7, "prediction": 5}\n'


def test_a_prediction_that_json_cannot_hold_fails_alone():
    deep = []
    for _ in range(100_000):
        deep = [deep]
    found = written(write_jsonl, 1, deep, float("nan"), "\ud800", "\u00e4")
    assert [json.loads(line)["prediction"] for line in found.output.splitlines()] == [1, None, "\ud800", "\u00e4"]
    assert json.loads(found.errors)["line"] == 2
    while deep:  # else its end takes more stack than there is
        deep = deep.pop()


def test_errors_are_lines():
    found = written(write_jsonl, ValueError("bad\nthing"), 5)
    assert found.errors == b'{"line": 1, "error": "ValueError: bad thing"}\n'
    assert (found.output, found.rows, found.failed) == (b'{"prediction": 5}\n', 2, 1)


# --- lines of the batch API

GOOD = {"custom_id": "a", "method": "POST", "url": "/models/iris/predict", "body": {"x": 1}}


def batch(*lines, function="iris@2"):
    data = "".join(f"{line if isinstance(line, str) else json.dumps(line)}\n" for line in lines)
    chunk = Chunk("batch", data.encode(), 3)
    return [row for block in read_batch(chunk, function, Row, 100) for row in block]


@pytest.mark.parametrize("url", ["/models/iris/predict", "/models/iris/versions/2/predict"])
def test_a_request_for_the_model(url):
    (row,) = batch(GOOD | {"url": url})
    assert (row.line, row.value, row.kept, row.reason) == (3, {"x": 1}, "a", "")


@pytest.mark.parametrize(
    ("model", "code"), [("iris", ""), ("iris@2", ""), ("rose", "model_not_found"), (None, "model_not_found")]
)
def test_a_chat_names_its_model(model, code):
    (row,) = batch(GOOD | {"url": "/v1/chat/completions", "body": {"model": model}})
    assert row.code == code


@pytest.mark.parametrize(
    ("line", "code", "custom_id"),
    [
        ("{", "invalid_line", None),
        ([], "invalid_line", None),
        (GOOD | {"custom_id": 5}, "invalid_line", None),
        (GOOD | {"method": "GET"}, "invalid_method", "a"),
        (GOOD | {"url": "/models/rose/predict"}, "invalid_url", "a"),
        (GOOD | {"url": "/models/iris/versions/1/predict"}, "invalid_url", "a"),
        (GOOD | {"url": ["x"]}, "invalid_url", "a"),
        ({name: GOOD[name] for name in ("custom_id", "method", "url")}, "invalid_request", "a"),
    ],
)
def test_a_line_that_is_no_request_has_no_response(line, code, custom_id):
    found = write_batch(batch(line))
    told = json.loads(found.errors)
    message = told["error"].pop("message")
    assert message
    assert told == {"id": "batch_req_3", "custom_id": custom_id, "response": None, "error": {"code": code}}
    assert (found.output, found.rows, found.failed) == (b"", 1, 1)


def test_an_answer():
    (row,) = batch(GOOD)
    row.value = {"species": "setosa"}
    assert json.loads(write_batch([row]).output) == {
        "id": "batch_req_3", "custom_id": "a", "error": None,
        "response": {"status_code": 200, "request_id": "req_3", "body": {"species": "setosa"}},
    }  # fmt: skip


@pytest.mark.parametrize(
    ("error", "status", "kind", "code"),
    [
        (ValidationError("x: is missing", [("x", "is missing")]), 400, "invalid_request_error", "invalid_input"),
        (InputError("no"), 500, "server_error", "failed"),
        (ZeroDivisionError("no"), 500, "server_error", "failed"),
    ],
)
def test_a_request_that_failed_has_its_status(error, status, kind, code):
    (row,) = batch(GOOD)
    row.fail(error)
    found = json.loads(write_batch([row]).errors)
    assert (found["custom_id"], found["error"], found["response"]["status_code"]) == ("a", None, status)
    told = found["response"]["body"]["error"]
    assert (told["type"], told["code"], told["param"]) == (kind, code, None)
    assert told["message"]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(st.characters(codec="utf-8")),
    lambda inside: st.lists(inside) | st.dictionaries(st.text(st.characters(codec="utf-8")), inside),
)
NEARLY = st.text('[]{}",:-+.eE0123456789 truefalsn\\u', max_size=12) | st.sampled_from(
    [
        "1e999",
        "-0",
        '"\\ud800"',
        '{"a": 1, "a": 2}',
        "NaN",
        "[1,]",
        "01",
        "1.",
        "\x0b1",
        "[" * 300 + "]" * 300,
        "9" * 400,
    ]
)


def said(call):
    try:
        return repr(call())
    except ValueError:
        return "refused"


@given(JSON.map(json.dumps) | JSON.map(lambda value: json.dumps(value, ensure_ascii=False)) | NEARLY)
def test_lines_are_read_as_all_json_is(text):
    """Though by another reader, where pydantic is installed."""
    assert said(lambda: _value(text.encode())) == said(lambda: from_json(text))


def test_a_line_of_very_many_values_fails_alone(monkeypatch):
    monkeypatch.setattr("mlq.core.json_values.MOST_PARTS", 12)
    (first, second) = read("[" + "1," * 20 + "1]\n[1]")
    assert (first[1], "it has more than" in first[2], second) == (None, True, (2, [1], ""))
