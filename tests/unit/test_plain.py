"""Dataclasses, pydantic models and msgspec structs as plain values."""

import dataclasses
import enum
import pathlib
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import msgspec
import numpy as np
import pydantic
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlq.core import codec
from mlq.errors import Unserializable
from mlq.running.outcomes import said
from mlq.running.validation import engine_for


class Color(enum.Enum):
    RED = "red"
    BLUE = "blue"


@dataclasses.dataclass
class Point:
    x: Any
    y: Any = None


class Model(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(arbitrary_types_allowed=True)
    point: Point
    array: np.ndarray | None = None
    colors: set[Color] = set()


class Struct(msgspec.Struct, tag="s", rename="camel"):
    long_name: int
    inner: Any = None
    left_out: int | msgspec.UnsetType = msgspec.UNSET


class Row(msgspec.Struct, array_like=True):
    a: int
    b: Any = None


class TaggedRow(Row, tag=True, array_like=True):
    pass


@dataclasses.dataclass(slots=True)
class Unset:
    here: int
    late: int = dataclasses.field(init=False, repr=False)


def trip(value):
    return codec.unpack(codec.pack(value))


@pytest.mark.parametrize(
    ("value", "plain"),
    [
        (Point(1, [Point(2)]), {"x": 1, "y": [{"x": 2, "y": None}]}),
        ([Point(1)], [{"x": 1, "y": None}]),
        ({"a": Point(1)}, {"a": {"x": 1, "y": None}}),
        (Point(Color.RED, {Color.BLUE: (Color.RED,)}), {"x": "red", "y": {"blue": ["red"]}}),
        (Point({1}, frozenset([2])), {"x": [1], "y": [2]}),
        (Point(pathlib.PurePosixPath("/a"), np.float32(0.5)), {"x": "/a", "y": 0.5}),
        (Point(pydantic.AnyUrl("http://a/b")), {"x": "http://a/b", "y": None}),
        (Unset(1), {"here": 1}),
        (Model(point=Point(1), colors={Color.RED}), {"point": {"x": 1, "y": None}, "array": None, "colors": ["red"]}),
        (Struct(1, Row(2)), {"type": "s", "longName": 1, "inner": [2, None]}),
        (Struct(1, left_out=2), {"type": "s", "longName": 1, "inner": None, "leftOut": 2}),
        (TaggedRow(1, Point(2)), ["TaggedRow", 1, {"x": 2, "y": None}]),
        (pydantic.RootModel[list[int]]([1, 2]), [1, 2]),
    ],
)
def test_plain_values(value, plain):
    assert trip(value) == plain


def test_tags_and_names_are_those_that_msgspec_reads():
    assert msgspec.convert(trip(Struct(1)), Struct) == Struct(1)
    assert msgspec.convert(trip(TaggedRow(1)), TaggedRow) == TaggedRow(1)


def test_what_msgpack_lacks_stays_as_it_is():
    """Arrays, times and the like, which `msgspec.to_builtins` and `asdict` would refuse, copy or make strings."""
    array, when, number, name = np.ones(3), datetime(2026, 1, 2), Decimal("0.1"), UUID(int=5)
    for kind in (Point, Row):
        back = trip(kind(array, [when, number, name]))
        first, second = back.values() if isinstance(back, dict) else back
        assert (first == array).all()
        assert second == [when, number, name]
    assert (trip(Model(point=Point(1), array=array))["array"] == array).all()


@pytest.mark.parametrize(
    ("value", "place"),
    [
        ({"a": [Point(1, {"b": object()})]}, "msg['a'][0]['y']['b'] (object)"),
        (Struct(1, object()), "msg['inner'] (object)"),
        (Model(point=Point(object())), "msg['point']['x'] (object)"),
    ],
    ids=["dataclass", "struct", "model"],
)
def test_what_is_wrong_in_it_is_named(value, place):
    with pytest.raises(Unserializable) as caught:
        codec.pack(value)
    assert f"cannot serialise {place}: " in str(caught.value)


def test_one_that_contains_itself_is_refused():
    point = Point(1)
    point.y = [point]
    with pytest.raises(Unserializable, match=r"this is msg itself"):
        codec.pack(point)
    circle: list[Any] = []
    circle.append(circle)
    with pytest.raises(Unserializable):
        codec.pack(Point(circle))


def test_a_set_by_itself_is_refused_as_before():
    with pytest.raises(Unserializable, match="send a list"):
        codec.pack({"a": {1}})


def test_a_class_is_no_value_of_it():
    for kind in (Point, Model, Struct):
        with pytest.raises(Unserializable):
            codec.pack(kind)


def test_a_callback_says_it_as_json():
    assert said(Point(1, [Point(2)])) == '{"x": 1, "y": [{"x": 2, "y": null}]}'


# --- there and back


@dataclasses.dataclass(frozen=True)
class Tree:
    name: str
    size: float
    count: int
    raw: bytes
    colors: list[Color]
    numbers: frozenset[int]
    pair: tuple[str, int]
    when: datetime
    exact: Decimal
    key: UUID
    by_name: "dict[str, Tree]"
    below: "Tree | None" = None


def trees():
    leaf = st.builds(
        Tree, st.text("ab"), st.floats(allow_nan=False), st.integers(-9, 9), st.binary(max_size=3),
        st.lists(st.sampled_from(Color)), st.frozensets(st.integers(0, 9)), st.tuples(st.text("c"), st.integers(0, 9)),
        st.datetimes(), st.decimals(allow_nan=False, allow_infinity=False), st.uuids(), st.just({}),
    )  # fmt: skip
    return st.recursive(
        leaf,
        lambda inner: st.builds(
            dataclasses.replace, leaf, by_name=st.dictionaries(st.text("ab"), inner, max_size=2), below=inner
        ),
        max_leaves=5,
    )


read_tree = engine_for(Tree, "it")


@given(trees())
def test_a_dataclass_comes_back_the_same(tree):
    assert read_tree(trip(tree)) == tree
