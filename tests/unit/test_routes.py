"""Declared routes: what is refused when they are declared, and where what a listener returns goes on."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, StrEnum
from typing import Any

import pytest
from pydantic import BaseModel

from mlq import MLQ, Forward, InputError, NoRoute, route, step
from mlq.core.job import Claimed, Outcome, Record
from mlq.core.job_options import PLAIN, JobOptions
from mlq.core.states import State
from mlq.core.versions import Versions
from mlq.running.becoming import outcome_of
from mlq.running.listeners import Listener
from mlq.running.pipeline import Step
from mlq.running.routes import Routes

CLAIMED = Claimed("7", 1, "w.1", "w", 1000.0, b"")


class Colour(Enum):
    """Its members are equal to nothing else."""

    RED = "red"


class Size(StrEnum):
    """Its members are texts."""

    LARGE = "large"


@dataclass
class Product:
    """Something with an attribute to choose by."""

    kind: Any
    name: str = ""


@pytest.fixture
def shop() -> MLQ:
    """With listeners that have no routes yet."""
    queue = MLQ("shop")
    for name in ("classify", "book", "phone", "store"):
        queue.listener(lambda message: message, name=name, queue=None if name == "store" else "work")
    return queue


def function(queue: MLQ, name: str) -> Any:
    """A listener as its module has it."""
    return next(one.function for one in queue.listeners.all() if one.name == name)


def listener(queue: MLQ, name: str = "classify") -> Listener:
    """A listener as the worker has it."""
    return next(one for one in queue.listeners.all() if one.name == name)


def name_of(to: Step) -> str:
    """Where a Forward goes."""
    return to.options.lane


def outcome(routes: Routes, value: Any, options: JobOptions = PLAIN) -> Outcome:
    """Of a listener with these routes that has returned `value`."""
    listeners = (Listener("classify", None, routes=routes),)
    return outcome_of(value, CLAIMED, Record("default", 1.0, options, b""), listeners)


@pytest.mark.parametrize(
    ("returned", "lane"),
    [
        ({"kind": "book"}, "work:book"),
        ({"kind": 1}, "default:one"),
        ({"kind": False}, "default:no"),
        ({"kind": Size.LARGE}, "default:large"),
        ({"kind": "large"}, "default:large"),
        ({"kind": Colour.RED}, "default:red"),
        (Product("book"), "work:book"),
        (("short", {"kind": "book"}), "work:book"),
    ],
)
def test_a_value_chooses_the_step(shop, returned, lane):
    book = function(shop, "book")
    routes = route({"book": book, 1: "one", False: "no", Size.LARGE: "large", Colour.RED: "red"}, by="kind")
    forward = routes.forward(returned)
    assert name_of(forward.to) == lane
    assert forward.msg is (returned[1] if isinstance(returned, tuple) else returned)


@pytest.mark.parametrize("value", ["Book", " book", "", None, ["book"], {"book": 1}, 1.5, False, Colour.RED])
def test_a_value_without_a_route_is_an_error_that_names_it(value):
    routes = route({"book": "read_book", 0: "read_none"}, by="kind")
    with pytest.raises(NoRoute) as caught:
        routes.forward({"kind": value})
    assert f"no route for {value!r}" in str(caught.value)
    assert "; the routes are 'book', 0" in str(caught.value)
    assert name_of(route({"book": "b"}, by="kind", otherwise="rest").forward({"kind": value}).to) == "default:rest"


def test_another_case_is_another_value_with_a_hint():
    with pytest.raises(NoRoute, match=r"no route for 'Book' \(did you mean 'book'\?\); the routes are 'book'$"):
        route({"book": "b"}, by="kind").forward({"kind": "Book"})


@pytest.mark.parametrize(
    ("returned", "words"),
    [
        (None, "returned None without 'kind'"),
        ({}, "returned a dict without 'kind'"),
        ("book", "returned a str without 'kind'"),
        (["book"], "returned a list without 'kind'"),
    ],
)
def test_what_has_no_value_at_all_is_an_error_even_where_all_others_go_somewhere(returned, words):
    with pytest.raises(NoRoute, match=words):
        route({"book": "b"}, by="kind", otherwise="rest").forward(returned)


def test_a_function_may_choose():
    routes = route({"long": "a", "short": "b"}, by=lambda text: "long" if len(text) > 3 else "short")
    assert [name_of(routes.forward(text).to) for text in ("four", "one")] == ["default:a", "default:b"]


def test_the_outcome_is_that_of_a_forward():
    routes = route({"book": step("read", queue="slow", retries=2)}, by="kind")
    found = outcome(routes, {"kind": "book"})
    assert (found.state, found.fields["lane"]) == (State.BLOCKED, "slow:read")
    assert found == outcome_of(
        Forward({"kind": "book"}, step("read", queue="slow", retries=2)), CLAIMED, Record("d", 1.0, PLAIN, b""), ()
    )


def test_a_listener_that_decides_itself_is_left_alone():
    routes = route({"book": "read"}, by="kind")
    assert outcome(routes, Forward(1, to="other")).fields["lane"] == "default:other"


def test_then_goes_on_after_the_step_of_the_route():
    body = outcome(route({"book": "read"}, by="kind"), {"kind": "book"}, JobOptions.of({"then": ["store"]})).fields[
        "body"
    ]
    assert b"store" in body


def test_a_split_is_an_outcome_before_routes_are_asked():
    split = Outcome(State.BLOCKED, {"plan": "1000"}, None, "")
    assert outcome(route({"book": "read"}, by="kind"), split) is split


def declared(shop: MLQ, *, to: Callable[[MLQ], Any] = lambda shop: {"book": function(shop, "book")}) -> Any:
    return function(shop, "classify") >> route(to(shop), by="kind")


def test_declaring_returns_the_listener_whose_results_are_those_of_others(shop):
    @shop.listener
    def sort(text: str) -> Product:
        return Product(text)

    sort >> route({"book": function(shop, "book")}, by="kind")
    assert sort("book") == Product("book")
    assert sort.submit.keywords["_to"].back is None
    assert declared(shop) is function(shop, "classify")
    assert listener(shop).routes is not None
    assert listener(shop, "book").routes is None


@pytest.mark.parametrize("routes", [{}, None, [("book", "read")], "book"])
def test_routes_that_are_none_are_refused(routes):
    with pytest.raises(InputError, match="routes are a dict"):
        route(routes, by="kind")


@pytest.mark.parametrize("value", [None, 1.5, ("a", "b"), b"book", Product])
def test_values_that_nothing_would_equal_are_refused(value):
    with pytest.raises(InputError, match="a route's value is a text, a whole number or a member of an enum"):
        route({value: "read"}, by="kind")


@pytest.mark.parametrize("by", ["", None, 7])
def test_by_must_be_usable(by):
    with pytest.raises(InputError, match="`by` is a name"):
        route({"book": "read"}, by=by)


@pytest.mark.parametrize("target", [None, 7, "", "a,b", ["read"]])
def test_targets_must_be_usable(target):
    with pytest.raises(InputError):
        route({"book": target}, by="kind")


def test_only_listeners_have_routes():
    def plain(message):
        return message

    with pytest.raises(InputError, match="only a function that was declared"):
        plain >> route({"book": "read"}, by="kind")


def test_a_function_that_is_no_listener_is_no_step(shop):
    def read(message):
        return message

    with pytest.raises(InputError, match="read is not declared as a listener"):
        declared(shop, to=lambda _: {"book": read})
    assert listener(shop).routes is None
    shop.listeners.add(Listener.of(read))
    declared(shop, to=lambda _: {"book": read})


def test_a_listener_of_another_namespace_is_no_step(shop):
    other = MLQ("other")

    @other.listener
    def read(message):
        return message

    with pytest.raises(InputError, match="read is a listener of namespace 'other', not of 'shop'"):
        declared(shop, to=lambda _: {"book": read})


def test_two_steps_of_one_name_are_refused(shop):
    @shop.listener
    def read(message):
        return message

    shop.listener(lambda message: message, name="read")
    with pytest.raises(InputError, match="another listener named 'read' was declared after this one"):
        declared(shop, to=lambda _: {"book": read})


def test_a_listener_has_routes_once(shop, caplog):
    declared(shop)
    with pytest.raises(InputError, match="'classify' has routes already"):
        declared(shop)
    with caplog.at_level(logging.WARNING):
        again = shop.listener(lambda message: message, name="classify")
    assert "the listener 'classify' has no routes any more: declare them again" in caplog.text
    again >> route({"book": "read"}, by="kind")
    shop.remove_listener("classify")
    with pytest.raises(InputError, match="was removed"):
        again >> route({"book": "read"}, by="kind")


def test_circles_are_refused(shop):
    function(shop, "book") >> route({"a": "phone"}, by="kind", otherwise=function(shop, "store"))
    function(shop, "phone") >> route({"a": step("classify")}, by="kind")
    with pytest.raises(InputError, match="in a circle: classify -> book -> phone -> classify"):
        declared(shop)
    with pytest.raises(InputError, match="in a circle: classify -> classify"):
        declared(shop, to=lambda shop: {"again": function(shop, "classify")})
    declared(shop, to=lambda shop: {"book": function(shop, "store")})


def test_the_version_of_a_model_is_found_when_a_job_goes_there(shop):
    class Iris:
        name, version = "iris", "2"

        class Input(BaseModel):
            length: float

        class Output(BaseModel):
            kind: str

        def predict(self, flower):
            return self.Output(kind="setosa")

    routes = route({"flower": shop.model("iris")}, by="kind")  # asks no server, and the model need not be hosted yet
    assert list(routes.branches(())) == [("flower", "<Model iris in 'shop'>", None, "")]
    shop.add_model(Iris)
    shop._models.remember("iris", Versions([]))  # what the server would say
    assert name_of(routes.forward({"kind": "flower"}).to) == "iris:iris@2"
