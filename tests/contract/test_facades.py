"""`Client` and `AsyncMLQ` are twins: the same methods, arguments and words, one of them awaited."""

import inspect

import pytest

from mlq.client.aio import AsyncMLQ
from mlq.client.blocking import Client
from mlq.client.handle import AsyncJobHandle, JobHandle
from mlq.client.models import AsyncModel, Model
from mlq.client.schedules import AsyncSchedules, Schedules
from mlq.client.stream import AsyncStream, Stream

TWINS = [(Client, AsyncMLQ), (JobHandle, AsyncJobHandle), (Stream, AsyncStream), (Model, AsyncModel),
         (Schedules, AsyncSchedules)]  # fmt: skip
# Choosing a server may start one, which takes time: a property can't be awaited.
ONE_SIDED = {"server"}
ASYNC_WORDS = {
    "AsyncJobHandle": "JobHandle",
    "AsyncIterator": "Iterator",
    "AsyncMLQ": "Client",
    "AsyncModel": "Model",
    "AsyncPrediction": "Prediction",
    "AsyncSchedules": "Schedules",
    "AsyncStream": "Stream",
}


def public(kind):
    """The public methods and properties of a class, and its constructor."""
    return {
        name: member
        for name, member in inspect.getmembers(kind)
        if (not name.startswith("_") or name == "__init__")
        and (inspect.isfunction(member) or isinstance(member, property))
    }


def method_pairs():
    """Every method that both have."""
    for blocking, awaited in TWINS:
        theirs = public(awaited)
        for name, method in public(blocking).items():
            if name in theirs and not isinstance(method, property):
                yield pytest.param(method, theirs[name], id=f"{blocking.__name__}.{name}")


@pytest.mark.parametrize(("blocking", "awaited"), TWINS)
def test_same_names(blocking, awaited):
    """What one can do, the other can."""
    assert public(blocking).keys() - ONE_SIDED == public(awaited).keys() - ONE_SIDED


@pytest.mark.parametrize(("method", "twin"), list(method_pairs()))
def test_same_arguments_and_results(method, twin):
    """By name, kind, default and annotation."""
    mine, theirs = (str(inspect.signature(each)) for each in (method, twin))
    for name, other in ASYNC_WORDS.items():
        theirs = theirs.replace(name, other)
    assert mine == theirs


@pytest.mark.parametrize(("method", "twin"), list(method_pairs()))
def test_awaited_where_the_server_is_asked(method, twin):
    """A method of the asyncio client blocks never."""
    asks_nothing = {"__init__", "job", "model", "stream"}
    awaited = inspect.iscoroutinefunction(twin) or inspect.isasyncgenfunction(twin)
    assert awaited == (method.__name__ not in asks_nothing)


@pytest.mark.parametrize("kind", [each for pair in TWINS for each in pair])
def test_everything_says_what_it_does(kind):
    """Every public name has a docstring of its own."""
    assert not [name for name, member in public(kind).items() if not inspect.getdoc(member)]
