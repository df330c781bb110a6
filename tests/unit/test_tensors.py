"""Tensors of the Open Inference Protocol become rows, and outputs tensors."""

import enum
import json
import math
from decimal import Decimal
from typing import Any, Literal, NamedTuple

import pydantic
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, Field

from mlq.errors import InputError
from mlq.http.tensor_forms import Column, Form, form_of
from mlq.http.tensors import DATATYPES, MOST_ROWS, MOST_VALUES, Outputs, rows_of


class Tensor(NamedTuple):
    """A tensor as it is sent."""

    name: str
    datatype: str
    shape: list[int]
    data: list[Any]


def form(hint, name="input"):
    return form_of(pydantic.TypeAdapter(hint).json_schema(), name)


def described(hint):
    return {one.name: (one.datatype, one.shape) for one in form(hint).columns.values()}


# --- schemas


class Colour(enum.Enum):
    RED = "red"


class Fields(BaseModel):
    flag: bool
    count: int = Field(ge=0, alias="Count")
    weight: float | None = None
    either: int | float
    name: str
    colour: Colour
    size: Literal["s", "m"]
    row: list[float]
    grid: list[list[int]]
    point: tuple[float, float, float]
    fixed: list[int] = Field(min_length=2, max_length=2)


def test_each_field_is_a_tensor():
    assert described(Fields) == {
        "flag": ("BOOL", [-1]),
        "Count": ("INT64", [-1]),
        "weight": ("FP64", [-1]),
        "either": ("FP64", [-1]),
        "name": ("BYTES", [-1]),
        "colour": ("BYTES", [-1]),
        "size": ("BYTES", [-1]),
        "row": ("FP64", [-1, -1]),
        "grid": ("INT64", [-1, -1, -1]),
        "point": ("FP64", [-1, 3]),
        "fixed": ("INT64", [-1, 2]),
    }
    assert [name for name, one in form(Fields).columns.items() if not one.required] == ["weight"]


@pytest.mark.parametrize(("hint", "wanted"), [(float, ("FP64", [-1])), (list[list[str]], ("BYTES", [-1, -1, -1]))])
def test_what_has_no_fields_is_one_tensor(hint, wanted):
    assert described(hint) == {"input": wanted}


class Inner(BaseModel):
    x: int


class Nested(BaseModel):
    inner: Inner


class Recursive(BaseModel):
    children: "list[Recursive]"


class Anything(BaseModel):
    it: Any


class Several(BaseModel):
    it: Decimal


class Empty(BaseModel):
    pass


@pytest.mark.parametrize(
    ("hint", "reason"),
    [
        (Nested, "the field 'inner' of the input is an object"),
        (Recursive, "the field 'children' of the input is an object"),
        (Anything, "the field 'it' of the input may be anything"),
        (Several, "the field 'it' of the input may be of several types"),
        (Empty, "the input is an object"),
        (dict[str, int], "the input is an object"),
        (list[Any], "the input may be anything"),
        (list, "the input may be anything"),
        (list[int] | int, "the input may be of several types"),
        (None, "the input may be anything"),
    ],
)
def test_what_has_no_tensors_is_told(hint, reason):
    with pytest.raises(InputError) as told:
        form(hint)
    assert str(told.value) == reason


@pytest.mark.parametrize(
    ("schema", "reason"),
    [
        ({"$ref": "#"}, "may be anything"),
        ({"$ref": "#/$defs/no"}, "may be anything"),
        ({"type": "array", "items": {"$ref": "#"}}, "is nested without end"),
        ({"const": None}, "may be anything"),
        ({"enum": [1, "a"]}, "may be of several types"),
        ({"anyOf": [{"type": "null"}]}, "may be of several types"),
        ({"anyOf": 5}, "has a schema that can't be read"),
        ({"type": ["integer", "null"]}, "has a schema that can't be read"),
        ({"type": "object", "properties": 5}, "is an object"),
    ],
)
def test_odd_schemas_are_refused(schema, reason):
    with pytest.raises(InputError, match=reason):
        form_of(schema, "input")


def test_constants_tell_their_type():
    assert form_of({"enum": [1, 2.5]}, "input").columns["input"].kind == "number"


# --- rows and back, in all layouts

VALUES = {
    "boolean": st.booleans(),
    "integer": st.integers(-(2**63), 2**63 - 1),
    "number": st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(2**53), 2**53),
    "string": st.text(max_size=5),
}
SENT_AS = {"boolean": "BOOL", "integer": "INT64", "number": "FP64", "string": "BYTES"}


def nested(draw, kind, sizes):
    if not sizes:
        return draw(VALUES[kind])
    return [nested(draw, kind, sizes[1:]) for _ in range(sizes[0])]


def flat(value):
    return [leaf for one in value for leaf in flat(one)] if isinstance(value, list) else [value]


@st.composite
def tables(draw):
    """A form, rows that fit it, and the shape of each of its tensors."""
    count = draw(st.integers(1, 4))
    is_whole = draw(st.booleans())
    columns, shapes, values = {}, {}, {}
    for number in range(1 if is_whole else draw(st.integers(1, 4))):
        name, kind = f"f{number}", draw(st.sampled_from(sorted(VALUES)))
        sizes = draw(st.lists(st.integers(1, 3), max_size=3))
        declared = tuple(size if draw(st.booleans()) else -1 for size in sizes)
        columns[name] = Column(name, kind, declared, required=True)
        shapes[name] = [count, *sizes]
        values[name] = [nested(draw, kind, sizes) for _ in range(count)]
    rows = values["f0"] if is_whole else [{name: values[name][i] for name in columns} for i in range(count)]
    return Form(columns, is_whole), rows, shapes, values


@given(tables(), st.data())
def test_rows_survive_the_trip_in_all_layouts(table, data):
    form, rows, shapes, values = table
    sent = []
    for name, column in form.columns.items():
        shape, rest = shapes[name], values[name]
        if not column.sizes and data.draw(st.booleans()):
            shape, rest = [*shape, 1], [[one] for one in rest]
        rest = rest if data.draw(st.booleans()) else flat(rest)
        sent.append(Tensor(name, SENT_AS[column.kind], shape, rest))
    assert rows_of(form, data.draw(st.permutations(sent))) == rows


@given(tables())
def test_outputs_become_the_tensors_they_came_from(table):
    form, rows, shapes, values = table
    outputs = Outputs(form)
    for row in rows:
        outputs.add(row)
    tensors = outputs.tensors()
    assert tensors == [
        {"name": name, "datatype": SENT_AS[one.kind], "shape": shapes[name], "data": flat(values[name])}
        for name, one in form.columns.items()
    ]
    assert rows_of(form, [Tensor(**one) for one in json.loads(json.dumps(tensors))]) == rows


@given(st.lists(st.integers(0, 3), min_size=1, max_size=4), st.integers(0, 30), st.booleans())
def test_any_shape_is_taken_or_refused(shape, count, is_nested):
    """Only if the number of values, or the nesting, is what the shape says."""
    form = Form({"x": Column("x", "integer", (-1,) * (len(shape) - 1), required=True)}, is_whole=True)
    data = list(range(count))
    fits = math.prod(shape) == count and shape[0] > 0
    if is_nested and len(shape) > 1:
        data, fits = [data], shape[:2] == [1, count] and (len(shape) == 2 or not count)
    try:
        assert flat(rows_of(form, [Tensor("x", "INT64", shape, data)])) == list(range(count))
        assert fits
    except InputError:
        assert not fits


def test_rows_of_empty_arrays():
    form = Form({"x": Column("x", "string", (-1, -1), required=True)}, is_whole=True)
    for shape, data, rows in (([2, 0, 5], [], [[], []]), ([2, 2, 0], [], [[[], []]] * 2), ([1, 0, 0], [[]], [[]])):
        assert rows_of(form, [Tensor("x", "BYTES", shape, data)]) == rows


# --- what is refused

SCALARS = Form({name: Column(name, name, (), required=name == "number") for name in VALUES}, is_whole=False)
ARRAY = Form({"x": Column("x", "number", (-1, 2), required=True)}, is_whole=True)


@pytest.mark.parametrize(
    ("tensors", "reason"),
    [
        ([], "the input 'number' is missing"),
        ([("string", "BYTES", [1], ["a"])], "the input 'number' is missing"),
        ([("numbr", "FP64", [1], [1])], "there is no input 'numbr' (did you mean 'number'?)"),
        ([("y" * 1000, "FP64", [1], [1])], f"there is no input '{'y' * 79}; there is boolean, integer, number, string"),
        ([("number", "FP64", [1], [1])] * 2, "there are two inputs 'number'"),
        (
            [("number", "FP64", [1], [1]), ("integer", "INT8", [2], [1, 2])],
            "the inputs have different numbers of rows: 'number' 1, 'integer' 2",
        ),
        ([("number", "FP64", [], [])], "input 'number': its shape must be [n] or [n, 1], not []"),
        ([("number", "FP64", [1, 2], [1, 2])], "input 'number': its shape must be [n] or [n, 1], not [1, 2]"),
        ([("number", "FP64", [2], [1])], "input 'number': shape [2] has 2 values, and data 1"),
        ([("number", "FP64", [2], [[1], [2]])], "input 'number': [1] is not of datatype FP64"),
        ([("number", "FP64", [2, 1], [[1], 2])], "input 'number': data is not nested as shape [2, 1] says"),
        ([("number", "FP64", [2], [1, [2]])], "input 'number': [2] is not of datatype FP64"),
        ([("number", "FP64", [0], [])], "input 'number': there may be 1 to 10,000 rows, not 0"),
        ([("number", "FP64", [10_001], [1] * 10_001)], "input 'number': there may be 1 to 10,000 rows, not 10,001"),
        ([("number", "FP16", [1], [1])], "or UINT32 or UINT64 or FP32 or FP64, not FP16"),
        ([("number", "BYTES", [1], ["a"])], "not BYTES"),
        ([("number", "FP64", [1], ["1"])], "input 'number': '1' is not of datatype FP64"),
        ([("number", "FP64", [1], [True])], "input 'number': True is not of datatype FP64"),
        ([("number", "FP64", [1], [None])], "input 'number': None is not of datatype FP64"),
        ([("number", "FP64", [1], [math.inf])], "input 'number': a value is out of the range of FP64"),
        ([("number", "FP32", [1], [10**400])], "input 'number': a value is out of the range of FP32"),
        ([("number", "INT8", [1], [1.0])], "input 'number': 1.0 is not of datatype INT8"),
        ([("integer", "FP32", [1], [1.0])], "input 'integer': its datatype must be INT8 or"),
        ([("string", "INT8", [1], [1])], "input 'string': its datatype must be BYTES, not INT8"),
        ([("boolean", "BOOL", [1], [1])], "input 'boolean': 1 is not of datatype BOOL"),
    ],
)  # fmt: skip
def test_tensors_that_do_not_fit(tensors, reason):
    with pytest.raises(InputError) as told:
        rows_of(SCALARS, [Tensor(*one) for one in tensors])
    assert reason in str(told.value)


@pytest.mark.parametrize("bits", [8, 16, 32, 64])
def test_whole_numbers_have_the_range_of_their_datatype(bits):
    for datatype, low, high in (
        (f"INT{bits}", -(2 ** (bits - 1)), 2 ** (bits - 1) - 1),
        (f"UINT{bits}", 0, 2**bits - 1),
    ):
        assert [row["number"] for row in rows_of(SCALARS, [Tensor("number", datatype, [2], [low, high])])] == [
            low,
            high,
        ]
        for wrong in (low - 1, high + 1):
            with pytest.raises(InputError, match=f"out of the range of {datatype}"):
                rows_of(SCALARS, [Tensor("number", datatype, [1], [wrong])])


def test_a_shape_can_demand_no_more_than_the_data_has():
    """Empty lists cost no data: without the limit, these would be a billion of them."""
    for shape in ([1, 10**9, 0], [1, 0, 10**9], [MOST_ROWS, MOST_VALUES, 0]):
        deep = Form({"x": Column("x", "number", (-1, -1), required=True)}, is_whole=True)
        with pytest.raises(InputError, match="there may be 500,000 values in one tensor"):
            rows_of(deep, [Tensor("x", "FP64", shape, [])])


def test_a_declared_size_is_kept():
    with pytest.raises(InputError, match=r"its shape must be \[n, any, 2\], not \[1, 1, 3\]"):
        rows_of(ARRAY, [Tensor("x", "FP64", [1, 1, 3], [1, 2, 3])])


def test_all_fields_may_be_optional_but_one_must_be_there():
    form = Form({"x": Column("x", "number", (), required=False)}, is_whole=False)
    with pytest.raises(InputError, match="there are no inputs"):
        rows_of(form, [])


def test_every_datatype_fits_something():
    assert {kind for one in DATATYPES.values() for kind in one.fits} == set(VALUES)


# --- outputs


def test_only_the_outputs_that_are_wanted_in_that_order():
    outputs = Outputs(SCALARS, ["string", "number"])
    outputs.add({"number": 1.5, "string": None, "boolean": True})
    assert [(one["name"], one["data"]) for one in outputs.tensors()] == [("string", [None]), ("number", [1.5])]
    with pytest.raises(InputError, match="there is no output 'strin'"):
        Outputs(SCALARS, ["strin"])


@pytest.mark.parametrize("second", [[[1, 2], [3, 4]], [[1], [2, 3]], [1, 2], None, "ab", {}])
def test_outputs_of_different_shapes_are_no_tensor(second):
    outputs = Outputs(Form({"x": Column("x", "number", (-1, -1), required=True)}, is_whole=True))
    outputs.add([[1, 2]])
    with pytest.raises(InputError, match="the output 'x' of row 1 is not of the same shape"):
        outputs.add(second)
