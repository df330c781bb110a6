"""A listener on the rows of a chunk: who fails, who succeeds, and how it is called."""

import asyncio
import contextlib
import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel

from mlq import Forward
from mlq.core import codec
from mlq.core.chunk import ROWS_QUEUE, Chunk, Predicted
from mlq.core.job import Claimed, Outcome, Record
from mlq.core.job_options import PLAIN
from mlq.core.states import State
from mlq.errors import NotLoaded
from mlq.models.hosting import hosting_of
from mlq.running import chunk_attempt, file_rows
from mlq.running.attempts import execute, execute_on_loop
from mlq.running.listeners import Listener
from mlq.running.loads import Loads
from mlq.running.portions import Split as Shares


class Channel:
    """Takes what is reported; the job can be taken away."""

    def __init__(self) -> None:
        self.left: float = float("inf")  # looks at it until the job is taken away
        self.said: list[Any] = []

    def holds(self) -> bool:
        self.left -= 1
        return self.left > 0

    def report(self, packed: bytes) -> None:
        self.said.append(codec.unpack(packed))

    def add_entry(self, kind: str, data: bytes) -> None:
        self.said.append((kind, data))

    def full(self) -> bool:
        return False


Way = Callable[..., Outcome]


def here(listener: Listener, chunk: Chunk, channel: Any = None) -> Outcome:
    return execute(*attempt(listener, chunk, channel))


def on_a_loop(listener: Listener, chunk: Chunk, channel: Any = None) -> Outcome:
    async def main() -> Outcome:
        def submit(task: Callable[[], None]) -> None:
            asyncio.get_running_loop().run_in_executor(None, task)

        return await execute_on_loop(*attempt(listener, chunk, channel), submit)

    return asyncio.run(main())


def attempt(listener: Listener, chunk: Any, channel: Any) -> tuple[Any, Claimed, Record, tuple[Listener, ...]]:
    record = Record(f"{ROWS_QUEUE}:f", 0.0, PLAIN, codec.pack(chunk))
    return channel or Channel(), Claimed("1", 1, "t", "w", 0.0, b""), record, (listener,)


def values(*given: Any) -> Chunk:
    """A chunk of JSON Lines."""
    return Chunk("jsonl", "".join(f"{json.dumps(one)}\n" for one in given).encode(), 1)


def predictions(outcome: Outcome) -> list[Any]:
    """The predictions, or the error of each row; the line numbers must be right."""
    assert outcome.state is State.SUCCEEDED, outcome.fields
    found = Predicted.parse(outcome.fields["result"])
    good = iter([json.loads(line)["prediction"] for line in found.output.splitlines()])
    errors = {one["line"]: one["error"] for one in map(json.loads, found.errors.splitlines())}
    assert len(errors) == found.failed
    return [errors[line] if line in errors else next(good) for line in range(1, found.rows + 1)]


ways = pytest.mark.parametrize("way", [here, on_a_loop])


def one(x: Any) -> Any:
    if x < 0:
        raise ValueError("negative")
    return x * 2


async def one_async(x: Any) -> Any:
    await asyncio.sleep(0)
    return one(x)


def many(xs: list[Any]) -> list[Any]:
    return [one(x) for x in xs]


async def many_async(xs: list[Any]) -> list[Any]:
    await asyncio.sleep(0)
    return many(xs)


def generator(x: Any) -> Any:
    yield x
    return one(x)


def chunks(x: Any) -> Any:
    yield one(x)


async def chunks_async(x: Any) -> Any:
    yield one(x)


@ways
@pytest.mark.parametrize("function", [one, one_async, many, many_async, generator])
def test_rows_fail_alone_whatever_the_listener_is(way, function):
    listener = Listener.of(function, "f", batch=3 if "many" in function.__name__ else None)
    assert predictions(way(listener, values(1, -1, 3, 4, 5))) == [2, "ValueError: negative", 6, 8, 10]


@ways
@pytest.mark.parametrize("function", [chunks, chunks_async])
def test_of_a_stream_all_chunks_are_the_prediction(way, function):
    channel = Channel()
    assert predictions(way(Listener.of(function, "f"), values(1, -1), channel)) == [[2], "ValueError: negative"]
    assert not channel.said  # nobody could tell whose chunks they are


@ways
@settings(deadline=None, database=None, max_examples=30)
@given(kinds=st.lists(st.sampled_from(["good", "raises", "returned error"]), max_size=300), size=st.integers(1, 9))
def test_each_row_gets_its_own(way, kinds, size):
    """However many of them are bad, in batches that are never larger than they may be."""
    sizes = []

    def f(messages: list[Any]) -> list[Any]:
        sizes.append(len(messages))
        if any(kind == "raises" for _, kind in messages):
            raise ValueError("bad")
        return [KeyError(n) if kind == "returned error" else n for n, kind in messages]

    found = predictions(way(Listener.of(f, "f", batch=size), values(*enumerate(kinds))))
    wanted = {"raises": "ValueError: bad", "returned error": "KeyError: "}
    assert found == [
        n if kind == "good" else wanted[kind] + (str(n) if kind == "returned error" else "")
        for n, kind in enumerate(kinds)
    ]
    assert max(sizes, default=0) <= size


def test_batches_are_full_across_blocks():
    sizes = []

    def f(messages: list[Any]) -> list[Any]:
        sizes.append(len(messages))
        return messages

    here(Listener.of(f, "f", batch=50), values(*range(320)))
    assert sizes == [50] * 6 + [20]


def test_groups_and_costs_are_kept_apart():
    calls = []

    def f(messages: list[Any]) -> list[Any]:
        calls.append(messages)
        return messages

    split = Shares.of(lambda x: x if x < 9 else 1 / 0, 5, lambda x: x % 2)
    found = predictions(here(Listener.of(f, "f", batch=10, split=split), values(1, 2, 3, 4, 9, 5)))
    assert calls == [[2], [1, 3], [4], [5]]
    assert found == [1, 2, 3, 4, "ZeroDivisionError: division by zero", 5]


class Point(BaseModel):
    x: float
    y: float = 0.5


def test_messages_are_what_the_listener_declares():
    def f(points: list[Point]) -> list[float]:
        return [point.x + point.y for point in points]

    chunk = Chunk("csv", b"1,2\nx,1\n3,\n", 5, ("x", "y"))
    found = Predicted.parse(here(Listener.of(f, "f", batch=2), chunk).fields["result"])
    assert (found.output, found.outputs, found.failed) == (b"3.0\n", ("prediction",), 2)
    assert [line.split(",")[0] for line in found.errors.decode().splitlines()] == ["6", "7"]


@pytest.mark.parametrize("value", [Forward(1, "g"), object(), {1, 2}])
def test_what_is_no_prediction_is_the_error_of_its_row(value):
    outcome = here(Listener.of(lambda x: value if x else 5, "f"), values(0, 1, 0))
    found = predictions(outcome)
    assert (found[0], found[2]) == (5, 5)
    assert isinstance(found[1], str)


def test_of_a_pair_the_second_is_the_prediction():
    """As of any job: the first one is its short result."""
    assert predictions(here(Listener.of(lambda x: ("short", x), "f"), values(7))) == [7]


@ways
@pytest.mark.parametrize("function", [one, one_async, many, many_async])
def test_it_ends_soon_after_its_job_was_taken_away(way, function):
    calls = []
    made = Listener.of(function, "f", batch=3 if "many" in function.__name__ else None)
    if not made.is_async:
        made = made._replace(function=lambda given: (calls.append(given), function(given))[1])
    channel = Channel()
    channel.left = 5
    outcome = way(made, values(*range(1000)), channel)
    assert outcome.fields["error_type"] == "mlq.errors.LeaseLost"
    assert len(calls) < 10


@ways
def test_middleware_is_once_around_the_chunk(way):
    seen = []

    @contextlib.contextmanager
    def hook(context):
        seen.append(context.attempt)
        yield
        seen.append("after")

    made = Listener.of(many, "f", batch=2)._replace(middleware=(hook,))
    assert predictions(way(made, values(1, 2, 3))) == [2, 4, 6]
    assert seen == [1, "after"]


@ways
@pytest.mark.parametrize("batch", [None, 2])
def test_each_row_has_its_context(way, batch):
    def single(x, context):
        return [context["full_message"]["msg"], x, context.cancelled]

    def several(xs, contexts):
        return [single(x, context) for x, context in zip(xs, contexts, strict=True)]

    found = predictions(way(Listener.of(several if batch else single, "f", batch=batch), values(1, 2, 3)))
    assert found == [[n, n, False] for n in (1, 2, 3)]


def test_progress_is_told_now_and_then(monkeypatch):
    monkeypatch.setattr(chunk_attempt, "EVERY", -1)
    channel = Channel()
    here(Listener.of(many, "f", batch=2), values(1, -2, 3), channel)
    assert (channel.said[0], channel.said[-1]) == ({"rows": 0}, {"rows": 3})


@ways
@pytest.mark.parametrize("damaged", [5, [], list(values(1)[:-1]), b""])
def test_a_damaged_chunk_fails_for_good(way, damaged):
    outcome = way(Listener.of(one, "f"), damaged)
    assert (outcome.state, outcome.again) == (State.FAILED, False)
    assert outcome.fields["error_type"] == "mlq.errors.Undecodable"


def test_a_column_that_is_not_there_fails_the_chunk():
    outcome = here(Listener.of(one, "f"), Chunk("csv", b"1\n", 2, ("a",), (("x", "zz"),)))
    assert (outcome.state, outcome.again) == (State.FAILED, False)
    assert "no column 'zz'" in outcome.fields["error"]


# --- models


class Answer(BaseModel):
    double: float
    note: str | None = None


class Model:
    name, version = "m", "1"
    Input, Output = Point, Answer
    loads_fail = False
    calls = 0

    def load(self, device: str) -> None:
        if self.loads_fail:
            raise OSError("no weights")

    def predict_batch(self, points: list[Point]) -> list[Any]:
        type(self).calls += 1
        if any(point.x == 13 for point in points):
            raise ValueError("unlucky")
        return [Answer(double=2 * point.x) if point.x != 7 else "wrong" for point in points]


def hosted(kind: type, **options: Any) -> Listener:
    return hosting_of(kind, "here", options, Loads()).listener


@ways
def test_a_model(way):
    chunk = Chunk("csv", b"7,1\n1,1\n2,\nx,1\n13,1\n1\n4,4\n", 2, ("x", "y"))
    found = Predicted.parse(way(hosted(Model, batch=4), chunk).fields["result"])
    assert (found.output, found.outputs) == (b"2.0,\n4.0,\n8.0,\n", ("double", "note"))
    errors = dict(line.split(",", 1) for line in found.errors.decode().splitlines())
    assert list(errors) == ["2", "5", "6", "7"]
    for line, words in (("2", "does not match"), ("5", "x: must be number"), ("6", "unlucky"), ("7", "1 column")):
        assert words in errors[line]


def test_a_batch_of_openai():
    lines = [{"custom_id": str(x), "method": "POST", "url": "/models/m/predict", "body": {"x": x}} for x in (1, "no")]
    chunk = Chunk("batch", "".join(json.dumps(line) + "\n" for line in lines).encode(), 1)
    found = Predicted.parse(here(hosted(Model, batch=4), chunk).fields["result"])
    assert json.loads(found.output)["response"]["body"] == {"double": 2.0, "note": None}
    assert json.loads(found.errors)["response"]["status_code"] == 400


@pytest.mark.parametrize("name", ["predict_batch", "predict"])
@ways
def test_a_model_that_cannot_be_loaded_fails_the_chunk(way, name):
    """And its rows are not blamed. It may be tried again."""
    body = {"loads_fail": True} if name == "predict_batch" else {
        "name": "m", "version": "1", "Input": Point, "Output": Answer, "load": Model.load, "loads_fail": True,
        "predict": lambda _, __: 5,
    }  # fmt: skip
    bases = (Model,) if name == "predict_batch" else ()
    outcome = way(hosted(type("Broken", bases, body)), Chunk("csv", b"1,1\n" * 500, 2, ("x", "y")))
    assert (outcome.state, outcome.again) == (State.FAILED, True)
    assert outcome.fields["error_type"] == f"mlq.errors.{NotLoaded.__name__}"


class Stream:
    name, version = "s", "1"
    Input, Output = Point, Answer

    def load(self, device: str) -> None: ...

    def predict(self, point: Point) -> Any:
        yield "..."
        return Answer(double=2 * point.x)


@ways
def test_of_a_model_that_streams_the_last_value_counts(way):
    found = Predicted.parse(way(hosted(Stream), Chunk("csv", b"1,1\n", 2, ("x", "y"))).fields["result"])
    assert found.output == b"2.0,\n"


def test_a_chunk_ends_before_all_of_its_large_predictions_are_in_memory(monkeypatch):
    """One row may give as much as any job."""
    monkeypatch.setattr(file_rows, "MOST", 10_000)
    listener = Listener.of(lambda x: "x" * x, "f")
    outcome = here(listener, values(*[20] * 100, *[5000] * 300))
    assert (outcome.fields["error_type"], outcome.again) == ("mlq.errors.TooLarge", False)
    assert "error_type" not in here(listener, values(50_000)).fields
