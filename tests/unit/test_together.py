"""A listener that takes batches: who gets which outcome, whatever it returns or raises."""

import asyncio
import contextlib
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel

from mlq.core import codec
from mlq.core.job import Claimed, Outcome, Record
from mlq.core.job_options import PLAIN
from mlq.core.states import State
from mlq.running.execution import execute
from mlq.running.listeners import Listener
from mlq.running.portions import Split
from mlq.running.together import execute_together, execute_together_on_loop


class Channel:
    """Takes what listeners report; the job can be taken away."""

    def __init__(self) -> None:
        self.held = True
        self.said: list[Any] = []

    def holds(self) -> bool:
        return self.held

    def report(self, packed: bytes) -> None:
        self.said.append(codec.unpack(packed))

    def add_entry(self, kind: str, data: bytes) -> None:
        self.said.append((kind, data))

    def full(self) -> bool:
        return False


class Run(NamedTuple):
    channel: Channel
    claimed: Claimed
    record: Record
    listeners: tuple[Listener, ...]


def runs(function: Callable[..., Any], *messages: Any, hooks: tuple[Any, ...] = (), **options: Any) -> list[Run]:
    """A run for each message."""
    listener = Listener.of(function, "f", batch=32, **options)._replace(middleware=hooks)
    return [
        Run(Channel(), Claimed(str(number), 1, "t", "w", 0.0, b""), record(message), (listener,))
        for number, message in enumerate(messages, 1)
    ]


def record(message: Any) -> Record:
    """As a worker reads it."""
    return Record("default:f", 0.0, PLAIN, codec.pack(message))


def value(outcome: Outcome) -> Any:
    """The result, or the error's text."""
    if outcome.state is State.SUCCEEDED:
        return codec.unpack(outcome.fields["result"])
    return outcome.fields["error"]


def outcomes(function: Callable[..., Any], *messages: Any, **options: Any) -> list[Any]:
    return [value(one) for one in execute_together(runs(function, *messages, **options))]


def on_a_loop(function: Callable[..., Any], *messages: Any) -> list[Any]:
    async def main() -> list[Any]:
        threads = []

        def submit(task: Callable[[], None]) -> None:
            threads.append(asyncio.get_running_loop().run_in_executor(None, task))

        return [value(one) for one in await execute_together_on_loop(runs(function, *messages), submit)]

    return asyncio.run(main())


@pytest.mark.parametrize("execute", [outcomes, on_a_loop])
@settings(deadline=None, database=None, max_examples=50)
@given(kinds=st.lists(st.sampled_from(["good", "raises", "returned error"]), min_size=1, max_size=40))
def test_each_gets_its_own(execute, kinds):
    """However many of them are bad, the good ones succeed, and in order."""
    calls: list[int] = []

    def f(messages: list[Any]) -> list[Any]:
        calls.append(len(messages))
        if any(kind == "raises" for _, kind in messages):
            raise ValueError(f"bad: {messages[0][0]}" if len(messages) == 1 else "some are bad")
        return [KeyError(n) if kind == "returned error" else n for n, kind in messages]

    found = execute(f, *([n, kind] for n, kind in enumerate(kinds)))
    assert found == [{"good": n, "raises": f"bad: {n}", "returned error": str(n)}[kind] for n, kind in enumerate(kinds)]
    assert len(calls) <= 2 * len(kinds)


@pytest.mark.parametrize("execute", [outcomes, on_a_loop])
def test_a_coroutine_is_awaited(execute):
    async def f(messages: list[int]) -> list[int]:
        await asyncio.sleep(0)
        if len(messages) > 2:
            raise ValueError("too many")
        return [2 * message for message in messages]

    assert execute(f, 1, 2, 3, 4, 5) == [2, 4, 6, 8, 10]


@pytest.mark.parametrize("returned", [[], [1], [1, 2, 3], None, 5, "ab", b"ab", {1: 2, 3: 4}, {1, 2}])
def test_wrong_answers_are_never_shifted(returned):
    """Nobody knows which belongs to which: it is asked again with each message alone."""

    def f(messages: list[int]) -> Any:
        return returned if len(messages) > 1 else [10 * messages[0]]

    assert outcomes(f, 1, 2) == [10, 20]
    first, second = outcomes(lambda _: returned, 1, 2)
    assert first == second == 1 if returned == [1] else "f " in first and "f " in second


def test_answers_may_be_any_iterable():
    assert outcomes(lambda messages: (message for message in messages), 1, 2) == [1, 2]
    assert outcomes(tuple, 1, 2) == [1, 2]


def test_with_less_memory_it_takes_fewer(monkeypatch):
    """Also later on: the limit is learned."""
    monkeypatch.setattr("mlq.running.calls._most", {})

    class OutOfMemoryError(RuntimeError):
        """As that of frameworks, which need not be imported."""

    calls: list[int] = []

    def f(messages: list[int]) -> list[int]:
        calls.append(len(messages))
        if len(messages) > 3:
            raise OutOfMemoryError("CUDA")
        return messages

    assert outcomes(f, *range(8)) == list(range(8))
    assert calls == [8, 4, 2, 2, 4, 2, 2]
    calls.clear()
    assert outcomes(f, *range(5)) == list(range(5))
    assert calls == [2, 2, 1]


def test_one_message_that_takes_all_memory_does_not_end_batching(monkeypatch):
    """It would have cost all later jobs of the process their batches."""
    monkeypatch.setattr("mlq.running.calls._most", {})
    calls: list[int] = []

    def f(messages: list[Any]) -> list[Any]:
        calls.append(len(messages))
        if "huge" in messages:
            raise MemoryError
        return messages

    found = outcomes(f, *range(15), "huge", *range(16))
    assert found == [*range(15), "MemoryError", *range(16)]
    calls.clear()
    assert outcomes(f, *range(32)) == list(range(32))
    assert calls == [32]


def test_a_group_without_a_hash_concerns_its_job_alone():
    """Comparing arrays gives no truth value: it ended the worker, which met the same job again."""
    split = Split(group=lambda message: np.zeros(2) if message == "bad" else len(message))
    found = outcomes(lambda messages: messages, "a", "bad", "b", split=split)
    assert found[::2] == ["a", "b"]
    assert "unhashable" in found[1]


def test_a_model_of_pydantic_is_no_list_of_answers():
    """It can be iterated over, and yields its fields."""

    class One(BaseModel):
        a: int

    assert "must return a list" in outcomes(lambda _messages: One(a=1), 1)[0]


def test_who_has_lost_the_job_is_left_out_when_it_is_repeated():
    seen: list[list[int]] = []
    made: list[Run] = []

    def f(messages: list[int]) -> list[int]:
        seen.append(messages)
        if len(seen) == 1:
            made[1].channel.held = False
            raise ValueError("once")
        return messages

    made += runs(f, 1, 2, 3, 4)
    found = [value(one) for one in execute_together(made)]
    assert (found, seen) == ([1, "once", 3, 4], [[1, 2, 3, 4], [1, 3], [4]])


def test_what_can_not_be_read_or_returned_concerns_that_job_alone():
    made = runs(lambda messages: [object() if message == 2 else message for message in messages], 1, 2, 3, 4)
    made[3] = made[3]._replace(record=made[3].record._replace(message=b"\xc1"))
    one, two, three, four = (value(outcome) for outcome in execute_together(made))
    assert (one, three) == (1, 3)
    assert "cannot serialise" in two
    assert "not a packed value" in four


def test_contexts_and_output_belong_to_the_jobs():
    def f(messages: list[int], contexts: list[Any]) -> list[int]:
        print("for all")
        for message, context in zip(messages, contexts, strict=True):
            context.update_progress(message * 10)
        return [context.attempt for context in contexts]

    made = runs(f, 1, 2)
    assert [value(one) for one in execute_together(made)] == [1, 1]
    assert [[said for said in run.channel.said if isinstance(said, int)] for run in made] == [[10], [20]]


def test_middleware_wraps_each_of_them():
    log: list[Any] = []

    @contextlib.contextmanager
    def hook(context: Any) -> Any:
        number = context["full_message"]["msg"]
        log.append(number)
        try:
            yield
        except ValueError as error:
            log.append((number, str(error)))
            raise KeyError("instead") from error

    found = outcomes(lambda messages: [ValueError("no") if m == 2 else m for m in messages], 1, 2, hooks=(hook,))
    assert (found, log) == ([1, "'instead'"], [1, 2, (2, "no")])


def test_only_some_errors_are_retried():
    first, second = execute_together(runs(lambda _: [ValueError(), KeyError()], 1, 2, retry_on=KeyError))
    assert (first.again, second.again) == (False, True)


@pytest.mark.parametrize(
    ("returned", "result"), [([5], 5), ([ValueError("no")], "no"), (5, "a result for each"), ([], "0 for 1")]
)
def test_beside_other_listeners_it_gets_one_message(returned, result):
    """They run one after the other, job by job."""
    one, other = Listener.of(lambda messages: returned, "batched", batch=4), Listener.of(lambda message: None, "other")
    found = value(execute(Channel(), Claimed("1", 1, "t", "w", 0.0, b""), record(1), (other, one)))
    assert found == result or result in found
