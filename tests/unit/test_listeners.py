"""Which listeners there are, and what an attempt makes of what they return and raise."""

import asyncio
import functools
import os
import sys
import threading

import numpy as np
import pytest

from mlq import codec
from mlq.errors import InputError
from mlq.listeners import ARGS_LIMIT, SAID_LIMIT, TEXT_LIMIT, Listener, Listeners, end_of_thread, execute, said
from mlq.states import State


@pytest.fixture(autouse=True)
def loop_of_this_thread():
    """Is closed again."""
    yield
    end_of_thread()


def run(*functions, message=5, **options):
    """One attempt."""
    listeners = tuple(Listener.of(function) for function in functions)
    return execute(codec.pack(message), listeners, lambda message: {"message": message}, **options)


def result(outcome):
    """Of a success: (short result if there is one of its own, result)."""
    assert outcome.state is State.SUCCEEDED, outcome.fields
    short = outcome.fields.get("short")
    return None if short is None else codec.unpack(short), codec.unpack(outcome.fields["result"])


def error(outcome):
    """Of a failure: (type, text)."""
    assert outcome.state is State.FAILED
    assert all(value.encode() if isinstance(value, str) else True for value in outcome.fields.values())
    return outcome.fields["error_type"], outcome.fields["error"]


def raising(problem):
    """A listener that raises."""

    def listener(message):
        raise problem

    return listener


# --- values


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (("short", "long"), ("short", "long")),
        ((None, 5), (None, 5)),
        ([0.1, 0.7], (None, [0.1, 0.7])),
        ((1, 2, 3), (None, [1, 2, 3])),
        ((1,), (None, [1])),
        (None, (None, None)),
        (b"\xff\x00", (None, b"\xff\x00")),
        ({"a": 1}, (None, {"a": 1})),
    ],
)
def test_only_a_pair_is_short_and_long(value, expected):
    """A list stays a list."""
    assert result(run(lambda message: value)) == expected


def test_numpy_result():
    """Arrays and scalars keep their type."""
    _, array = result(run(lambda message: np.arange(6, dtype="i2").reshape(2, 3)))
    assert array.dtype == "i2"
    assert array.tolist() == [[0, 1, 2], [3, 4, 5]]
    assert result(run(lambda message: np.float32(0.5)))[1] == 0.5


def test_last_listener_decides():
    """All run, in order."""
    ran = []
    assert result(run(lambda message: ran.append(1), lambda message: ran.append(2) or "last")) == (None, "last")
    assert ran == [1, 2]


def test_first_error_ends_the_attempt():
    """The others don't run."""
    ran = []
    assert error(run(raising(KeyError("k")), lambda message: ran.append(1)))[0] == "builtins.KeyError"
    assert ran == []


def test_result_that_cannot_be_packed():
    """A failure that names the type; so is one of a short result."""
    assert "cannot serialise" in error(run(lambda message: object()))[1]
    assert "cannot serialise" in error(run(lambda message: (object(), 1)))[1]
    assert "cannot serialise" in error(run(lambda message: "\ud800"))[1]


def test_result_that_is_too_large(monkeypatch):
    """A failure, too."""
    monkeypatch.setattr("mlq.listeners.check_size.__defaults__", (10,))
    assert error(run(lambda message: "x" * 100))[0] == "mlq.errors.TooLarge"


def test_message_that_cannot_be_read():
    """A failure of this job alone."""
    outcome = execute(b"\xc1", (Listener.of(raising(KeyError())),), lambda message: None)
    assert error(outcome)[0] == "mlq.errors.Undecodable"


def test_megabyte_of_output(capfd):
    """What a listener prints goes where prints go."""
    assert result(run(lambda message: sys.stdout.write("x" * 1_000_000)))[1] == 1_000_000
    assert len(capfd.readouterr().out) == 1_000_000


# --- how listeners are called


def test_context_is_given_where_there_is_room():
    """`f(msg)`, `f(msg, context)` and `f(msg, *args)`."""

    class Callable:
        def __call__(self, message, context):
            return context

    def keyword_only(message, *, option=1):
        return option

    assert result(run(lambda message: message))[1] == 5
    assert result(run(lambda message, context: context))[1] == {"message": 5}
    assert result(run(lambda message, *args: args[0]))[1] == {"message": 5}
    assert result(run(Callable()))[1] == {"message": 5}
    assert result(run(keyword_only))[1] == 1
    assert result(run(functools.partial(lambda extra, message: [extra, message], "x")))[1] == ["x", 5]
    assert result(run(str))[1] == "5"


def test_async_listener():
    """Runs on a loop of this thread that stays: sessions that belong to it can be kept."""
    loops = []

    async def listener(message):
        await asyncio.sleep(0)
        loops.append(asyncio.get_running_loop())
        return message + 1

    assert [result(run(listener))[1] for _ in range(3)] == [6, 6, 6]
    assert len(set(loops)) == 1


@pytest.mark.parametrize("problem", [ValueError("x"), SystemExit(3), KeyboardInterrupt(), asyncio.CancelledError()])
def test_loop_survives_what_an_async_listener_raises(problem):
    """The next attempt of this thread runs as if nothing had been."""

    async def bad(message):
        raise problem

    async def good(message):
        await asyncio.sleep(0)
        return "good"

    assert error(run(bad))[0] == f"{type(problem).__module__}.{type(problem).__qualname__}"
    assert result(run(good))[1] == "good"


def test_async_listener_on_another_thread():
    """Each thread has a loop of its own."""

    async def listener(message):
        return threading.current_thread().name

    found = []
    thread = threading.Thread(target=lambda: (found.append(run(listener)), end_of_thread()), name="other")
    thread.start()
    thread.join()
    assert result(found[0])[1] == "other"


# --- errors


@pytest.mark.parametrize(
    "problem",
    [ValueError("bad"), SystemExit(1), KeyboardInterrupt(), GeneratorExit(), RecursionError("deep"), MemoryError()],
)
def test_whatever_is_raised_is_the_outcome(problem):
    """With its type, its text (or its name) and the traceback."""
    outcome = run(raising(problem))
    assert error(outcome) == (f"builtins.{type(problem).__name__}", str(problem) or type(problem).__name__)
    assert "in listener" in outcome.fields["traceback"]
    assert outcome.fields["reason"] == "error"


def test_sys_exit():
    """It ends the attempt, not the worker."""
    assert error(run(lambda message: sys.exit("enough"))) == ("builtins.SystemExit", "enough")


def test_arguments_travel_where_they_can():
    """So that the exception can be made again."""
    assert codec.unpack(run(raising(ValueError("a", 3))).fields["error_args"]) == ["a", 3]
    assert "error_args" not in run(raising(ValueError(object()))).fields
    assert "error_args" not in run(raising(ValueError("x" * ARGS_LIMIT))).fields


def broken(name, problem):
    """An exception one of whose own methods raises."""

    def bad(self):
        raise problem

    return type("Broken", (Exception,), {name: property(bad) if name == "args" else bad})("text")


@pytest.mark.parametrize("problem", [ValueError("again"), SystemExit(1), KeyboardInterrupt()])
@pytest.mark.parametrize("name", ["__str__", "__repr__", "args"])
def test_exceptions_that_cannot_be_told(name, problem):
    """The attempt still has an outcome, which names the type."""
    assert error(run(raising(broken(name, problem))))[0].endswith("Broken")


def test_text_that_no_encoding_carries():
    """Lone surrogates come from file names, for example."""
    outcome = run(raising(ValueError(os.fsdecode(b"\xff"))))
    assert error(outcome) == ("builtins.ValueError", "?")


def test_long_errors_are_cut():
    """Text and traceback keep their end or beginning."""
    outcome = run(raising(ValueError("x" * 1_000_000)))
    assert len(outcome.fields["error"]) == len(outcome.fields["traceback"]) == TEXT_LIMIT


def test_deep_recursion():
    """Has an outcome."""

    def listener(message):
        return listener(message)

    assert error(run(listener))[0] == "builtins.RecursionError"


def test_chained_and_grouped_exceptions():
    """The traceback tells all of them."""

    def listener(message):
        try:
            raise ValueError("first")
        except ValueError as cause:
            raise ExceptionGroup("both", [KeyError("second")]) from cause

    trace = run(listener).fields["traceback"]
    assert all(word in trace for word in ("first", "second", "both"))


# --- what a callback says


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("text", "text"),
        (5, "5"),
        (None, None),
        (b"bytes", "bytes"),
        ([1, "a"], '[1, "a"]'),
        ({"a": 1}, '{"a": 1}'),
        ([b"x"], None),
        ("", ""),
        (True, "True"),
        ("x" * SAID_LIMIT, "x" * SAID_LIMIT),
        ("x" * (SAID_LIMIT + 1), None),
        ("ä" * 300, None),
        ("ä" * 200, "ä" * 200),
    ],
)
def test_said(value, words):
    """What fits in a URL; the rest is left out."""
    assert said(value) == words


def test_nothing_is_said_without_a_callback():
    """Turning a result into text takes time."""
    assert run(lambda message: "value").said is None
    assert run(lambda message: "value", calls_back=True).said == "value"
    assert run(lambda message: ("short", "long"), calls_back=True).said == "short"


# --- the list of listeners


def first(message):
    """A listener."""


def second(message):
    """Another."""


def test_added_in_order_and_unique_by_name():
    """One of the same name is replaced in its place."""
    listeners = Listeners()
    for function in (first, second):
        listeners.add(function)
    other = lambda message: None  # noqa: E731
    other.__name__ = "first"
    listeners.add(other)
    assert listeners.names() == ("first", "second")
    assert listeners.chosen("default")[0].function is other


def test_removed_by_function_or_name():
    """Whether it was there is told."""
    listeners = Listeners()
    listeners.add(first)
    listeners.add(second)
    assert [listeners.remove(first), listeners.remove("second"), listeners.remove(first)] == [True, True, False]
    assert listeners.names() == ()


def test_which_jobs_can_be_run():
    """All functions that they name must be there, and any at all."""
    listeners = Listeners()
    assert listeners.chosen("default") == ()
    listeners.add(first)
    assert [one.name for one in listeners.chosen("default")] == ["first"]
    assert [one.name for one in listeners.chosen("default:first")] == ["first"]
    assert listeners.chosen("default:first,second") == ()
    listeners.add(second)
    assert [one.name for one in listeners.chosen("default:first,second")] == ["first", "second"]
    assert [one.name for one in listeners.chosen("default:second")] == ["second"]


def test_function_without_a_usable_name():
    """A comma parts names in a lane."""
    bad = lambda message: None  # noqa: E731
    bad.__name__ = "a,b"
    with pytest.raises(InputError):
        Listeners().add(bad)
