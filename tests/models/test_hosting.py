"""Which classes are models, and with which options they are hosted."""

import pytest
from pydantic import BaseModel, create_model

from mlq import InputError
from mlq.models.hosting import hosting_of
from mlq.running.loads import Loads
from tests.models.zoo import Iris, Number, Numbers


def hosting(kind, **options):
    return hosting_of(kind, "my_model:Thing", options, Loads())


def refused(kind, **options):
    with pytest.raises(InputError) as error:
        hosting(kind, **options)
    assert "my_model:Thing" in str(error.value)
    return str(error.value)


def a_class(**changes):
    """A model with some parts replaced; None removes one."""
    parts = {"name": "a", "version": "1", "Input": int, "Output": int, "predict": lambda _self, x: x} | changes
    return type("Thing", (), {name: part for name, part in parts.items() if part is not None})


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"name": None}, "it has no name"),
        ({"name": None, "version": None}, "it has no name and no version"),
        ({"Input": None}, "it has no Input"),
        ({"Output": None}, "it has no Output"),
        ({"predict": None}, "neither a method predict"),
        ({"predict": 5}, "neither a method predict"),
        ({"name": "a/b"}, "the name must be"),
        ({"name": ""}, "the name must be"),
        ({"name": "-a"}, "the name must be"),
        ({"name": "ä"}, "the name must be"),
        ({"name": "x" * 65}, "the name must be"),
        ({"name": 5}, "the name must be"),
        ({"version": 1}, "the version must be"),
        ({"version": "1@2"}, "the version must be"),
        ({"Input": object()}, "pydantic can make no JSON Schema of its Input"),
        ({"Output": object()}, "pydantic can make no JSON Schema of its Output"),
    ],
)
def test_classes_that_are_no_models(changes, words):
    assert words in refused(a_class(**changes))


@pytest.mark.parametrize("kind", [5, None, Iris(), lambda x: x, "Iris"])
def test_what_is_no_class(kind):
    assert "is not a class" in refused(kind)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"batch": 0}, "batch"),
        ({"batch": 1001}, "batch"),
        ({"batch": "32"}, "batch"),
        ({"batch": True}, "batch"),
        ({"timeout": -1}, "timeout"),
        ({"retries": "x"}, "retries"),
        ({"queue": "a,b"}, "queue"),
        ({"device": 0}, "device"),
        ({"per_thread": 1}, "per_thread"),
        ({"idle": 0}, "idle must be a number of seconds above 0"),
        ({"idle": "long"}, "idle must be"),
        ({"memory": "much"}, "memory must be a size such as '500M' or '2GiB'"),
        ({"memory": -1}, "memory must be"),
        ({"memory": True}, "memory must be"),
        ({"memory": 1.5}, "memory must be"),
        ({"memory": "9" * 30}, "memory must be"),
        ({"warm": 1}, "warm must be"),
        ({"warm_inputs": [1]}, "needs warm = true"),
        ({"warm": True, "warm_inputs": 1}, "warm_inputs"),
        ({"bacth": 1}, "no option 'bacth' (did you mean 'batch'?)"),
    ],
)
def test_options_that_are_refused(options, words):
    assert words in refused(Iris, **options)


def test_a_batch_needs_a_method_that_takes_many():
    assert "needs a method predict_batch" in refused(Number, batch=8)


def test_schemas_that_are_too_large_are_refused():
    fields = {f"field_{n}": (int, ...) for n in range(6000)}
    assert "65,536 are allowed" in refused(a_class(Input=create_model("Wide", **fields)))


def test_what_a_listener_is_made_of():
    made = hosting(Iris, timeout=5, retries=2).listener
    assert (made.name, made.queue, made.batch, made.policy[:2]) == ("iris@1", "iris", 32, (5.0, 2))
    assert made.warm_up is None
    info = hosting(Iris).declared.info
    assert (info.name, info.version, info.about) == ("iris", "1", "Tells the species of an iris.")
    assert info.input["properties"]["length"] == {"exclusiveMinimum": 0, "title": "Length", "type": "number"}
    assert hosting(Number).listener.batch == 0
    assert hosting(Numbers).listener.batch == 32
    assert hosting(Iris, batch=1).listener.batch == 0


def test_without_a_docstring_of_its_own_it_has_no_description():
    class Bare(BaseModel):
        pass

    assert hosting(a_class(Input=Bare)).declared.info.about == ""


async def _async_generator(self, x):
    yield x


def _generator(self, x):
    yield x


async def _coroutine(self, x):
    return x


@pytest.mark.parametrize(
    ("changes", "options", "words"),
    [
        ({"predict": _async_generator}, {}, "async generator"),
        ({"predict": _generator, "predict_batch": lambda _self, xs: xs}, {}, "set batch = 1"),
        ({"predict": _coroutine}, {"per_thread": True}, "not for async models"),
    ],
)
def test_what_would_never_work_is_refused(changes, options, words):
    assert words in refused(a_class(**changes), **options)


def test_a_generator_beside_a_batch_is_hosted_one_by_one():
    assert hosting(a_class(predict=_generator, predict_batch=lambda _self, xs: xs), batch=1).listener.batch == 0


def test_a_model_may_be_limited_in_each_worker():
    assert hosting(Iris, per_worker=1).listener.per_worker == 1
    assert hosting(Iris).listener.per_worker == 0
    assert "per_worker must be a whole number of at least 1, not 0" in refused(Iris, per_worker=0)


@pytest.mark.parametrize(("given", "size"), [("2GiB", 2**31), ("1.5 kb", 1536), (10, 10), ("10", 10), (None, None)])
def test_how_long_it_stays_and_what_it_takes(given, size):
    made = hosting(Number, idle=600, memory=given, warm=True).listener
    assert made.residency == (600.0, size, True)
