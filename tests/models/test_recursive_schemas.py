"""Schemas that contain themselves: values are checked in bounded time, and what is wrong is named where it is."""

from typing import Annotated, Literal, Union

import jsonschema_rs
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, Field, RootModel, TypeAdapter

from mlq import InputError, Undecodable, ValidationError
from mlq.client import recursive_schema
from mlq.client.json_schema import Checker
from mlq.core.model import ModelInfo
from mlq.core.unions import undecided
from mlq.worker.costly_unions import warn_of_unions

pytestmark = pytest.mark.timeout(60)  # what these tests try took hours


class Num(BaseModel):
    """A number."""

    type: Literal["num"]
    value: float


class Add(BaseModel):
    """A sum."""

    type: Literal["add"]
    left: "Tagged"
    right: "Tagged"


class Mul(BaseModel):
    """A product."""

    type: Literal["mul"]
    left: "Tagged"
    right: "Tagged"


class Plus(BaseModel):
    """A sum in a union without a discriminator."""

    type: Literal["add"]
    left: "Plain"
    right: "Plain"


class Times(BaseModel):
    """A product in a union without a discriminator."""

    type: Literal["mul"]
    left: "Plain"
    right: "Plain"


class Group(BaseModel):
    """Words and other groups."""

    items: list["Item"]


class Box(BaseModel):
    """A group with a title."""

    items: list["Item"]
    title: str


class Chain(BaseModel):
    """Its parts may be of its own kind."""

    size: float | None = None
    next: "Chain | None" = None
    named: dict[str, "Chain"] = {}
    pair: tuple["Chain", int] | None = None


class JsonValue(RootModel):
    """Alternatives of one type each."""

    root: "list[JsonValue] | dict[str, JsonValue] | int | None"


Tagged = Annotated[Num | Add | Mul, Field(discriminator="type")]
Plain = Union[Num, Plus, Times]  # noqa: UP007 - the forward references need it
Item = Union[str, Group, Box]  # noqa: UP007
for one in (Add, Mul, Plus, Times, Group, Box, Chain, JsonValue):
    one.model_rebuild()


def schema_of(hint):
    return TypeAdapter(hint).json_schema()


def checker(hint):
    return Checker(schema_of(hint), "it")


def faults(check, value):
    with pytest.raises(ValidationError) as refused:
        check.check(value)
    return list(refused.value.faults)


def product(depth, inner):
    for _ in range(depth):
        inner = {"type": "mul", "left": inner, "right": {"type": "num", "value": 1}}
    return inner


def group(depth, inner):
    for _ in range(depth):
        inner = {"items": [inner]}
    return inner


@pytest.mark.parametrize("hint", [Tagged, Plain])
@pytest.mark.parametrize("depth", [2, 15, 60])
def test_what_is_wrong_deep_within_is_named(hint, depth):
    check, path = checker(hint), ".".join(["left"] * depth)
    assert check.check(product(depth, {"type": "num", "value": 1}))
    assert faults(check, product(depth, {"type": "num"})) == [(f"{path}.value", "is missing")]
    assert faults(check, product(depth, {"type": "div"})) == [(path, "fits none of the alternatives")]
    assert faults(check, product(depth, 5)) == [(path, "must be object, not 5")]
    wrong = [(f"{path}.left", "is missing"), (f"{path}.right", "is missing")]
    assert sorted(faults(check, product(depth, {"type": "add"}))) == wrong


@pytest.mark.parametrize("depth", [1, 15, 60])
def test_the_only_alternative_that_has_these_fields_is_followed(depth):
    path = "items[0]" + ".items[0]" * (depth - 1)
    assert faults(checker(Group), group(depth, 5)) == [(path, "must be string or object, not 5")]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"size": "x"}, [("size", "must be number or null, not a string ('x')")]),
        ({"next": {"next": {"size": True}}}, [("next.next.size", "must be number or null, not true")]),
        ({"next": 5, "size": []},
         [("next", "must be object or null, not 5"), ("size", "must be number or null, not an array")]),
        ({"named": {"a/b": {"size": 1}, "~": {"next": 1}}}, [("named.~.next", "must be object or null, not 1")]),
        ({"pair": [{}, 1.5]}, [("pair[1]", "must be integer, not 1.5")]),
        ([], [("", "must be object, not an array")]),
    ],
)  # fmt: skip
def test_wrong_fields_are_named_as_for_other_schemas(value, expected):
    assert sorted(faults(checker(Chain), value)) == expected


@pytest.mark.parametrize("depth", [100, 200])
def test_the_search_ends_when_it_has_done_enough(depth, monkeypatch):
    monkeypatch.setattr(recursive_schema, "WORK", 20_000)
    ((path, reason),) = faults(checker(Tagged), product(depth, {"type": "num"}))
    assert path.startswith("left.left")
    assert reason == "does not fit"


def test_wide_values():
    check = checker(Group)
    assert faults(check, {"items": ["x"] * 50_000 + [4]}) == [("items[50000]", "must be string or object, not 4")]
    assert len(faults(check, {"items": [None] * 50_000})) == 20
    assert len(faults(check, {"items": [group(3, 1)] * 100_000})) == 1  # too much to search


def many(count, *, leave_out=False):
    """As many alternatives, each with fields of the union: of one for all, or each without one of them."""

    def union(without):
        names = [index for index in range(count) if not leave_out or index != without]
        return {"anyOf": [{"type": "number"}, *({"$ref": f"#/$defs/A{index}"} for index in names)]}

    parts = {
        f"A{index}": {"type": "object", "properties": {"l": union(index), "r": union(index)}, "required": ["l"]}
        for index in range(count)
    }
    return {**union(None), "$defs": parts}


@pytest.mark.parametrize("count", [4, 16, 60])
def test_unions_of_many_alternatives(count):
    """Written out in all places, 16 alternatives took 15 s for a value 50 deep."""
    value = "x"
    for _ in range(150):
        value = {"l": value, "r": {"l": 1}}
    assert faults(Checker(many(count), "it"), value) == [("", "fits none of the alternatives")]


def info(schema):
    return ModelInfo("a", "1", "", schema, {}, "a")


def test_unions_that_would_take_long_are_refused():
    """In those that differ, each alternative is tried again for each union."""
    assert info(many(6, leave_out=True)).packed()
    with pytest.raises(InputError, match="parts when all references are followed"):
        info(many(7, leave_out=True)).packed()


@pytest.mark.parametrize(
    "reference",
    [{"$ref": "#part"}, {"$ref": "other.json"}, {"$ref": "#/$defs/gone"}, {"$ref": "#/%24defs/x/y"},
     {"$dynamicRef": "#part"}, {"$id": "urn:x", "type": "string"}],
)  # fmt: skip
def test_references_that_cannot_be_followed_are_refused(reference):
    """They would not count."""
    one = info({"$defs": {"x": {"$anchor": "part", "type": "string"}}, "properties": {"f": reference}})
    with pytest.raises(InputError, match=r"can't be followed|an \$id"):
        one.packed()
    with pytest.raises(Undecodable):
        ModelInfo.parse(str(one._asdict()).replace("'", '"').encode())
    examples = {"type": "object", "properties": {"default": {"type": "string"}}, "examples": [reference]}
    assert info(examples).packed()


def test_references_in_other_spellings_count():
    parts = {f"d{n}": {"anyOf": [{"$ref": f"#/%24defs/d{n + 1}"}] * 4} for n in range(12)}
    with pytest.raises(InputError, match="parts when all references are followed"):
        info({"$ref": "#/%24defs/d0", "$defs": parts | {"d12": {"type": "number"}}}).packed()


@pytest.mark.parametrize(
    ("hint", "places"),
    [(Plain, ["Plus.left", "Plus.right", "Times.left", "Times.right"]), (Tagged, []), (Chain, []),
     (Group, ["Box.items", "Group.items"]), (Item, ["Box.items", "Group.items"]), (list[Num | Add], []),
     (JsonValue, [])],
)  # fmt: skip
def test_unions_that_pydantic_tries_in_full_are_named(hint, places, caplog):
    assert undecided(schema_of(hint)) == places
    warn_of_unions([info(schema_of(hint)).packed()])
    assert len(caplog.records) == bool(places)
    assert not places or f"model a@1: the union of {', '.join(places)} can contain itself" in caplog.text


class Sums:
    """A model whose input is a union that pydantic tries in full."""

    name, version, Input, Output = "sums", "1", Plain, float

    def predict(self, x):
        return 0.0


def test_a_worker_warns_once(mlq, caplog):
    mlq.add_model(Sums)
    mlq.create_listener(concurrency=2)
    assert mlq.model("sums").predict({"type": "num", "value": 1}, 20) == 0
    assert caplog.text.count("has no discriminator") == 1


LEAVES = st.none() | st.booleans() | st.integers(-2, 2) | st.sampled_from(["num", "add", "mul", "x"])
KEYS = st.sampled_from(["type", "left", "right", "value", "items", "title", "next", "size", "named", "pair"])
VALUES = st.recursive(
    LEAVES | st.builds(lambda: {"type": "num", "value": 1}),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(KEYS, inner, max_size=4)
        | st.fixed_dictionaries({"type": st.sampled_from(["add", "mul"]), "left": inner, "right": inner})
        | st.fixed_dictionaries({"items": st.lists(inner, max_size=2)}, optional={"title": inner})
        | st.fixed_dictionaries({"next": inner})
    ),
)
KINDS = [(checker(hint), jsonschema_rs.validator_for(schema_of(hint))) for hint in (Tagged, Plain, Item, Chain)]


@given(VALUES)
def test_the_same_values_fit(value):
    """As with the schema as it was given, and every refusal has a reason."""
    for check, plain in KINDS:
        if plain.is_valid(value):
            assert check.check(value) == value
        else:
            assert all(reason for _, reason in faults(check, value))
