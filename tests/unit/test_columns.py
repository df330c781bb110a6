"""Texts of a column as values of the types that a schema allows."""

from typing import Literal

import pytest
from pydantic import BaseModel

from mlq.files.columns import MISSING, Unfit, columns_of
from mlq.files.object_fields import fields_in


class Inner(BaseModel):
    x: int


class Input(BaseModel):
    number: float
    whole: int
    flag: bool
    word: str
    maybe: float | None
    left_out: int = 5
    note: str | None = None
    inner: Inner
    numbers: list[float] = []
    either: int | str
    kind: Literal["a", "b"]
    level: Literal[1, 2]
    many: dict[str, int] = {}


COLUMNS = columns_of(Input.model_json_schema())


@pytest.mark.parametrize(
    ("field", "text", "value"),
    [
        ("number", "1.5", 1.5), ("number", "-1e-3", -0.001), ("number", " 2 ", 2.0), ("whole", "5", 5),
        ("whole", "+5", 5), ("whole", "5.0", 5), ("whole", "9" * 400, int("9" * 400)),
        ("flag", "true", True), ("flag", "FALSE", False), ("flag", "1", True), ("flag", "0", False),
        ("word", "", ""), ("word", "null", "null"), ("word", "1", "1"), ("maybe", "", None), ("maybe", "null", None),
        ("maybe", "2", 2.0), ("left_out", "", MISSING), ("left_out", "null", MISSING), ("note", "", MISSING),
        ("note", "null", "null"), ("inner", '{"x": 1}', {"x": 1}), ("numbers", "[1, 2.5]", [1, 2.5]),
        ("numbers", "", MISSING), ("either", "5", 5), ("either", "x", "x"), ("kind", "a", "a"), ("level", "1", 1),
        ("many", '{"a": 1}', {"a": 1}),
    ],
)  # fmt: skip
def test_texts(field, text, value):
    (found,), is_full = COLUMNS[field].values([text])
    assert found == value
    assert type(found) is type(value)
    assert is_full is (value is not MISSING)


@pytest.mark.parametrize(
    ("field", "text"),
    [
        ("number", "x"), ("number", ""), ("number", "nan"), ("number", "Infinity"), ("number", "1e999"),
        ("number", "1_000"), ("number", "\u0661"), ("number", "1,5"), ("whole", "1.5"), ("whole", "x"),
        ("whole", "1" * 5000), ("whole", "1_0"), ("flag", "yes"), ("flag", "2"), ("flag", ""), ("maybe", "x"),
        ("inner", "5"), ("inner", "{"), ("inner", "[" * 100_000), ("numbers", "{}"), ("level", "x"),
    ],
)  # fmt: skip
def test_texts_that_do_not_fit(field, text):
    (found, _), is_full = COLUMNS[field].values([text, text])
    assert isinstance(found, Unfit)
    assert str(found)
    assert len(str(found)) < 200
    assert not is_full


def test_one_bad_number_leaves_the_others():
    found, _ = COLUMNS["number"].values(["1", "x", "3"])
    assert (found[0], found[2]) == (1.0, 3.0)


@pytest.mark.parametrize(
    "schema", [{}, {"type": "array"}, {"properties": 5}, {"properties": {"a": {"$ref": "#/nothing"}}},
               {"properties": {"a": {"$ref": "#/properties/a"}}}, {"properties": {"a": True}}],
)  # fmt: skip
def test_of_a_schema_that_says_little_values_are_texts(schema):
    for column in columns_of(schema).values():
        assert column.values(["1"]) == (["1"], True)


def test_references_are_followed_at_the_root():
    schema = {"$ref": "#/$defs/A", "$defs": {"A": {"type": "object", "properties": {"b": {}, "a": {}}}}}
    assert tuple(fields_in(schema).schemas) == ("b", "a")
