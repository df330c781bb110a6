"""Inputs are checked against a JSON Schema, and all wrong fields are named, as pydantic would name them."""

import contextlib
import math

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


def test_many_wrong_fields_are_not_all_named():
    with pytest.raises(ValidationError) as refused:
        Checker({"type": "array", "items": {"type": "integer"}}, "it").check(["x"] * 100_000)
    assert len(refused.value.faults) == 20


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
