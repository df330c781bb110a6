"""Inputs are checked against a JSON Schema, and all wrong fields are named, as pydantic would name them."""

import contextlib
import gc
import math
import weakref

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, TypeAdapter

from mlq import InputError, ValidationError
from mlq.client.json_schema import Checker
from tests.models.zoo import Flower

CHECKER = Checker(TypeAdapter(Flower).json_schema(), "the input of iris")


class Leaf(BaseModel):
    """A part."""

    x: int
    y: float | None = None


class Tree(BaseModel):
    """Parts within parts."""

    model_config = {"extra": "forbid"}
    leaves: list[Leaf]


TREES = Checker(TypeAdapter(Tree).json_schema(), "the input of trees")


@pytest.mark.parametrize(
    ("value", "faults"),
    [
        ({"length": "x", "width": True},
         [("length", "must be number, not a string ('x')"), ("width", "must be number, not true")]),
        ({}, [("length", "is missing"), ("width", "is missing")]),
        ({"length": 1, "width": math.nan}, [("width", "must be number, not nan")]),
        ({"length": 1, "width": math.inf}, [("width", "must be number, not inf")]),
        ({"length": 1, "width": None}, [("width", "must be number, not null")]),
        ({"length": 1, "width": [1]}, [("width", "must be number, not an array")]),
        ([], [("", "must be object, not an array")]),
        (None, [("", "must be object, not null")]),
        ({"length": -1, "width": 1}, [("length", "must be greater than 0, not -1")]),
    ],
)  # fmt: skip
def test_wrong_fields(value, faults):
    with pytest.raises(ValidationError) as refused:
        CHECKER.check(value)
    assert sorted(refused.value.faults) == faults
    assert all(reason in str(refused.value) for _, reason in faults)


@pytest.mark.parametrize(
    ("value", "faults"),
    [
        ({"leaves": [{"x": 1.5}, {"x": 1, "y": "q"}]},
         [("leaves[0].x", "must be integer, not 1.5"), ("leaves[1].y", "must be number or null, not a string ('q')")]),
        ({"leaves": [], "leafs": 1, "z": 2}, [("leafs", "is not a field"), ("z", "is not a field")]),
        ({"leaves": [{"y": 1}]}, [("leaves[0].x", "is missing")]),
    ],
)  # fmt: skip
def test_wrong_parts(value, faults):
    with pytest.raises(ValidationError) as refused:
        TREES.check(value)
    assert sorted(refused.value.faults) == faults


def test_what_is_sent():
    """Objects are sent as their fields, and what JSON has no form for as that which comes nearest."""
    assert CHECKER.check({"length": 1, "width": 2}) == {"length": 1, "width": 2}
    assert CHECKER.check(Flower(length=1, width=2)) == {"length": 1.0, "width": 2.0}
    arrays = Checker({"type": "array", "items": {"type": "number"}}, "it")
    assert arrays.check(np.array([1.5, 2])) == [1.5, 2.0]
    assert arrays.check((1, 2)) == (1, 2)


def test_hostile_values_are_refused_in_bounded_time():
    deep = []
    for _ in range(10_000):
        deep = [deep]
    for value in ({"length": deep, "width": 1}, {"length": "x" * 10_000_000, "width": 1}, {"length": b"x", "width": 1}):
        with pytest.raises(ValidationError) as refused:
            CHECKER.check(value)
        assert len(str(refused.value)) < 500


@pytest.mark.parametrize(("count", "named"), [(5, 5), (1000, 20), (100_000, 1)])
def test_many_wrong_fields_are_not_all_named(count, named):
    """Of a large value, the validator would make all errors at once: 5 s and 1 GB for half a million."""
    with pytest.raises(ValidationError) as refused:
        Checker({"type": "array", "items": {"type": "integer"}}, "it").check(["x"] * count)
    assert len(refused.value.faults) == named


def test_a_refused_value_is_freed_at_once():
    """A value of half a million parts held 4 MB until the collector came: 1.3 GB in a busy service."""

    class Held(list):
        pass

    value = Held(["x"] * 5000)
    gone, checker = weakref.ref(value), Checker({"type": "array", "items": {"type": "integer"}}, "it")
    gc.disable()
    try:
        with contextlib.suppress(ValidationError):
            checker.check(value)
        del value
        assert gone() is None
    finally:
        gc.enable()


def test_keys_of_digits():
    with pytest.raises(ValidationError, match="must be number, not a string"):
        Checker({"type": "object", "additionalProperties": {"type": "number"}}, "it").check({"0": "x"})


def test_a_schema_is_never_fetched_from_elsewhere():
    with pytest.raises(InputError, match="can't be used"):
        Checker({"$ref": "http://127.0.0.1:9/schema.json"}, "it")


LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.binary(max_size=3)
VALUES = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3)
)


@given(VALUES)
def test_whatever_comes_is_taken_or_refused(value):
    for checker in (CHECKER, TREES):
        with contextlib.suppress(ValidationError):
            checker.check(value)
