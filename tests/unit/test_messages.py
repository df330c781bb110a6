"""Which annotations of a listener count, and what becomes of messages and results."""

from __future__ import annotations

import functools
import logging
from collections.abc import AsyncIterator, Awaitable, Generator, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Generic, NotRequired, TypedDict, TypeVar

import msgspec
import numpy as np
import pydantic
import pydantic.dataclasses
import pytest

from mlq.errors import ValidationError
from mlq.running.listeners import Listener
from mlq.running.messages import for_message, for_result

if TYPE_CHECKING:
    from mlq import JobContext


@dataclass
class Layer:
    size: int
    rate: float = 0.5


@dataclass
class Net:
    name: str
    layers: list[Layer]
    by_name: dict[str, Layer] = field(default_factory=dict)
    last: Layer | None = None
    ends: tuple[Layer, int] | None = None


@dataclass
class Node:
    kids: list[Node]


class Iris(pydantic.BaseModel):
    length: float = pydantic.Field(alias="sepalLength")
    width: float = 1.0


@pydantic.dataclasses.dataclass
class Checked:
    size: Annotated[int, pydantic.Field(gt=0)]


class Struct(msgspec.Struct, rename="camel"):
    long_name: int
    rate: Annotated[float, msgspec.Meta(gt=0)] = 0.5


class Plain(TypedDict):
    size: int


class Holding(TypedDict):
    layer: Layer
    note: NotRequired[str]


@dataclass
class WithModel:
    iris: Iris


@dataclass
class WithArray:
    array: np.ndarray
    path: Path = Path("/")
    small: np.float32 = field(default_factory=np.float32)


T = TypeVar("T")


@dataclass
class Box(Generic[T]):
    it: T


class Cat(msgspec.Struct, tag=True):
    claws: int


class Dog(msgspec.Struct, tag=True):
    teeth: int


@dataclass
class Linked:
    size: int
    next: Linked | None = None


def convert(function, message):
    """What the listener gets."""
    made = for_message(function, "f")
    return message if made is None else made(message)


def of(annotation):
    """A listener of such messages."""

    def f(msg): ...

    f.__annotations__ = {"msg": annotation}
    return f


@pytest.mark.parametrize(
    "annotation",
    [dict, "dict[str, Any]", str, "str", Any, "Any", int, float, list[int], "list[int]", np.ndarray, "np.ndarray",
     int | None, Plain, "Plain", "Sequence[Plain]", object, 5, None],
    ids=str,
)  # fmt: skip
def test_other_annotations_change_nothing(annotation):
    assert Listener.of(of(annotation), "f").convert is None


@pytest.mark.parametrize("function", [lambda msg: msg, len, str.upper, functools.partial(max, 3), print])
def test_none_at_all_changes_nothing(function):
    assert Listener.of(function, "f").convert is None


def test_not_of_all_arguments():
    def f(*args: Layer): ...

    assert for_message(f, "f") is None


@pytest.mark.parametrize(
    ("annotation", "message", "converted"),
    [
        (Layer, {"size": 1}, Layer(1)),
        ("Layer", {"size": 1, "rate": 2, "more": 3}, Layer(1, 2.0)),
        ("Linked", {"size": 1, "next": {"size": 2}}, Linked(1, Linked(2))),
        (list[Layer], [{"size": 1}], [Layer(1)]),
        ("list[Layer]", [], []),
        (dict[str, Layer], {"a": {"size": 1}}, {"a": Layer(1)}),
        (Layer | None, None, None),
        (Sequence[Layer], [{"size": 1}], [Layer(1)]),
        (Annotated[Layer, "a note"], {"size": 1}, Layer(1)),
        (Holding, {"layer": {"size": 1}}, {"layer": Layer(1)}),
        (Net, {"name": "a", "layers": [], "ends": [{"size": 1}, 2]}, Net("a", [], ends=(Layer(1), 2))),
        (Iris, {"sepalLength": 1}, Iris(sepalLength=1)),
        (Iris, {"length": "1.5"}, Iris(sepalLength=1.5)),
        (list[Iris], [{"length": 1}], [Iris(sepalLength=1)]),
        (WithModel, {"iris": {"length": 1}}, WithModel(Iris(sepalLength=1))),
        (Checked, {"size": 1}, Checked(1)),
        (Box[int], {"it": 1}, Box(1)),
        (Cat | Dog, {"type": "Dog", "teeth": 1}, Dog(1)),
        (Annotated[int, pydantic.Field(gt=0)], 1, 1),
        (Struct, {"longName": 1}, Struct(1)),
        ("dict[int, Struct]", {5: {"longName": 1}}, {5: Struct(1)}),
    ],
    ids=str,
)
def test_structured_types_are_converted(annotation, message, converted):
    found = convert(of(annotation), message)
    assert found == converted
    assert type(found) is type(converted)


def test_arrays_and_paths_in_a_dataclass():
    array = np.ones(3)
    found = convert(of(WithArray), {"array": array, "path": "/a", "small": 0.5})
    assert found.array is array
    assert found.path == Path("/a")
    assert type(found.small) is np.float32
    with pytest.raises(ValidationError) as caught:
        convert(of(WithArray), {"array": [1.0], "path": 3})
    assert caught.value.faults == (("array", "Expected ndarray, got list"), ("path", "Expected Path, got int"))


@pytest.mark.parametrize(
    ("annotation", "message", "paths"),
    [
        (Layer, {"size": "1", "rate": "fast"}, ["size", "rate"]),
        (Layer, {}, ["size"]),
        (Layer, 5, [""]),
        (Layer, None, [""]),
        (Layer, {"size": 1.5}, ["size"]),
        (list[Layer], [{"size": 1}, {"size": "2"}, 3], ["[1].size", "[2]"]),
        (dict[str, Layer], {"a": {"size": 1}, "b": {}}, ["b.size"]),
        (
            Net,
            {"layers": [{"size": 1}, {"rate": "a"}], "by_name": {"x": {"size": None}}, "last": {"size": "a"},
             "ends": [{"size": 1}, "b"]},
            ["name", "layers[1].size", "layers[1].rate", "by_name.x.size", "last.size", "ends[1]"],
        ),
        (Holding, {"layer": {"size": "a"}}, ["layer.size"]),
        (Iris, {"length": "a", "width": "b"}, ["length", "width"]),
        (list[Iris], [{}], ["[0].sepalLength"]),
        (Checked, {"size": 0}, ["size"]),
        (Struct, {"longName": "a", "rate": -1}, ["longName", "rate"]),
        (Struct, {}, ["longName"]),
        (Box[int], {"it": "a"}, ["it"]),
        (Cat | Dog, {"type": "Dog", "teeth": "a"}, ["teeth"]),
        (Cat | Dog, {"type": "Cow"}, ["type"]),
    ],
    ids=str,
)  # fmt: skip
def test_wrong_fields_are_named(annotation, message, paths):
    with pytest.raises(ValidationError) as caught:
        convert(of(annotation), message)
    found = [path for path, _ in caught.value.faults]
    assert sorted(found) == sorted(paths)
    assert all(reason in str(caught.value) for _, reason in caught.value.faults)
    assert str(caught.value).startswith("the message to f does not fit ")


def test_the_words():
    with pytest.raises(ValidationError) as caught:
        convert(of(Net), {"layers": [{"size": "1"}]})
    assert str(caught.value) == (
        "the message to f does not fit Net: name: is missing; layers[0].size: Expected int, got str"
    )


def test_many_wrong_fields_are_not_all_named():
    with pytest.raises(ValidationError) as caught:
        convert(of(list[Layer]), [{}] * 1000)
    assert len(caught.value.faults) == 20


def test_nested_too_deeply():
    deep: Any = None
    for _ in range(100_000):
        deep = {"size": 1, "next": deep}
    with pytest.raises(ValidationError, match="nested too deeply"):
        convert(of(Linked), deep)
    while deep:  # else its destructor would recurse
        deep = deep.pop("next")


def test_errors_of_a_types_own_code():
    """ValueError and TypeError say that a value is wrong; whatever else is an error of the code."""

    @dataclass
    class Positive:
        size: int

        def __post_init__(self):
            if self.size < 0:
                raise ValueError("must be positive")
            10 // self.size

    with pytest.raises(ValidationError, match="must be positive"):
        convert(of(Positive), {"size": -1})
    with pytest.raises(ZeroDivisionError):
        convert(of(Positive), {"size": 0})


# --- where the annotation stands


class Methods:
    def method(self, msg: Layer, ctx: JobContext): ...
    @staticmethod
    def static(msg: Layer): ...
    @classmethod
    def of_class(cls, msg: Layer): ...
    def __call__(self, msg: Layer): ...


def passes_on(function):
    @functools.wraps(function)
    def wrapper(*args, **kwargs):
        return function(*args, **kwargs)

    return wrapper


def takes_a_key(function):
    @functools.wraps(function)
    def wrapper(key, ctx):
        return function(Layer(key), ctx)

    return wrapper


async def coroutine(msg: Layer, ctx: JobContext): ...  # a name that only type checkers know
def two(number: int, msg: Layer): ...
def old_form(msg: Layer, *args): ...
def at_first(msg: Layer): ...


@pytest.mark.parametrize(
    "function",
    [coroutine, old_form, Methods().method, Methods.static, Methods.of_class, Methods(), passes_on(at_first),
     functools.partial(two, 5), passes_on(passes_on(coroutine))],
)  # fmt: skip
def test_however_it_is_written(function):
    assert convert(function, {"size": 1}) == Layer(1)


def test_a_decorator_that_makes_the_value_gets_what_was_sent():
    assert for_message(takes_a_key(coroutine), "f") is None


def test_a_type_that_is_declared_later(monkeypatch):
    function = of("Later")
    made = for_message(function, "f")

    @dataclass
    class Later:
        size: int

    monkeypatch.setitem(globals(), "Later", Later)
    assert made({"size": 1}) == Later(1)


@pytest.mark.parametrize(
    "annotation", ["Nowhere", "list[Nowhere]", "not a type", "Layer | Net", "Net | np.ndarray"], ids=str
)
def test_a_type_that_is_unknown_or_unsupported_is_said_once(annotation, caplog):
    made = for_message(of(annotation), "f")
    with caplog.at_level(logging.WARNING, "mlq.worker"):
        assert [made({"size": "x"}), made(5)] == [{"size": "x"}, 5]
    (record,) = caplog.records
    assert record.getMessage().startswith("the message to f is not converted to the type that is declared: ")


def test_a_late_name_of_something_plain(monkeypatch, caplog):
    made = for_message(of("Late"), "f")
    monkeypatch.setitem(globals(), "Late", dict)
    assert made({"size": "x"}) == {"size": "x"}
    assert not caplog.records


# --- results


@pytest.mark.parametrize(
    ("annotation", "result", "converted"),
    [
        (Layer, {"size": 1}, Layer(1)),
        ("Layer", {"size": 1}, Layer(1)),
        (list[Layer], [{"size": 1}], [Layer(1)]),
        (tuple[str, Layer], {"size": 1}, Layer(1)),
        (Awaitable[tuple[str, Layer]], {"size": 1}, Layer(1)),
        (Iterator[Layer], [{"size": 1}], [Layer(1)]),
        (AsyncIterator[Layer], [{"size": 1}], [Layer(1)]),
        (Generator[Layer, None, None], [{"size": 1}], [Layer(1)]),
        (Generator[int, None, Layer], {"size": 1}, Layer(1)),
        (Iris, {"length": 1.0, "width": 1.0}, Iris(sepalLength=1)),
        (tuple[Layer, ...], [{"size": 1}], (Layer(1),)),
    ],
    ids=str,
)
def test_results_come_back_as_declared(annotation, result, converted):
    def f(msg): ...

    f.__annotations__ = {"return": annotation}
    assert for_result(f, "f")(result) == converted


@pytest.mark.parametrize("annotation", [int, "dict", tuple[Layer, int], Iterator[int], None, np.ndarray], ids=str)
def test_plain_results_are_left_alone(annotation):
    def f(msg): ...

    f.__annotations__ = {"return": annotation}
    assert for_result(f, "f") is None
    assert for_result(len, "f") is None


def test_of_a_deep_tree_only_the_first_fault_is_named():
    """Naming all of them would convert all that is below again at each level: 19 s for 300 kB."""

    def listener(node: Node) -> None: ...

    value: dict[str, Any] = {"kids": "wrong"}
    for _ in range(50):
        value = {"kids": [value, {"kids": 1}]}
    with pytest.raises(ValidationError) as raised:
        for_message(listener, "listener")(value)
    paths = [path for path, _ in raised.value.faults]
    assert paths[0].count("kids[0]") == 50
    assert 1 < len(paths) <= 20


def test_countless_faults_are_counted():
    """pydantic would make an object of each: 1 GB for a million."""

    def listener(irises: list[Iris]) -> None: ...

    with pytest.raises(ValidationError, match="1,500 of its values are wrong"):
        for_message(listener, "listener")([0] * 1500)


def test_a_misspelt_field_of_a_model_is_named():
    """If a field is missing; otherwise, what pydantic ignores is ignored."""

    def listener(iris: Iris) -> None: ...

    convert = for_message(listener, "listener")
    with pytest.raises(ValidationError) as raised:
        convert({"sepallength": 1, "width": 2, 5: 1})
    assert raised.value.faults == (("sepallength", "is not a field"), ("sepalLength", "Field required"))
    assert [convert({name: 1, "hue": 2}).length for name in ("length", "sepalLength")] == [1, 1]
