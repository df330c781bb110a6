"""What an attempt makes of what its listeners return, raise, yield and print."""

import asyncio
import contextlib
import functools
import logging
import os
import sys
import threading

import numpy as np
import pytest

from mlq.core import codec
from mlq.core.exceptions import ARGS_LIMIT
from mlq.core.job import Claimed, Record
from mlq.core.job_options import PLAIN, JobOptions
from mlq.core.states import State
from mlq.errors import LeaseLost, TooLarge
from mlq.running.context import LOG_LIMIT, JobContext
from mlq.running.execution import end_of_thread, execute, execute_on_loop
from mlq.running.listeners import Listener
from mlq.running.outcomes import SAID_LIMIT, TEXT_LIMIT, death, in_time, said, timeout
from mlq.system import capture


@pytest.fixture(autouse=True)
def loop_of_this_thread():
    """Is closed again."""
    yield
    end_of_thread()


FIVE = codec.pack(5)
CLAIMED = Claimed("7", 2, "w.1", "w", 1000.0, b"")


class Kept:
    """A line that keeps what an attempt says; it holds its job for so many words."""

    def __init__(self, words=1_000_000):
        self.words = words
        self.said = []
        self.progress = []

    def holds(self):
        """While there are words left."""
        return self.words > 0

    def report(self, packed):
        """Progress."""
        self.progress.append(codec.unpack(packed))

    def add_entry(self, kind, data):
        """An entry of the stream."""
        if not self.words:
            raise LeaseLost
        self.words -= 1
        self.said.append((kind, data))

    def full(self):
        """Never."""
        return False

    def chunks(self):
        """The partial results."""
        return [codec.unpack(data) for kind, data in self.said if kind == "chunk"]

    def logs(self):
        """What was printed and logged."""
        return b"".join(data for kind, data in self.said if kind == "log").decode()


@pytest.fixture(params=["thread", "loop"])
def attempt(request):
    """Runs functions as one attempt, as the thread pool or the asyncio pool does; the outcome."""

    def on_thread(*functions, line=None, packed=FIVE):
        listeners = tuple(Listener.of(function) for function in functions)
        return execute(line or Kept(), CLAIMED, Record("default", 1.0, PLAIN, packed), listeners)

    def on_loop(*functions, line=None, packed=FIVE):
        listeners = tuple(Listener.of(function) for function in functions)
        record = Record("default", 1.0, PLAIN, packed)

        def submit(task):
            threading.Thread(target=lambda: (task(), end_of_thread())).start()

        return asyncio.run(execute_on_loop(line or Kept(), CLAIMED, record, listeners, submit))

    return on_thread if request.param == "thread" else on_loop


def run(*functions, message=5, calls_back=False, line=None):
    """One attempt, in this thread."""
    listeners = tuple(Listener.of(function) for function in functions)
    options = JobOptions("http://localhost/") if calls_back else PLAIN
    return execute(line or Kept(), CLAIMED, Record("default", 1.0, options, codec.pack(message)), listeners)


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
    monkeypatch.setattr("mlq.running.outcomes.check_size.__defaults__", (10,))
    assert error(run(lambda message: "x" * 100))[0] == "mlq.errors.TooLarge"


def test_message_that_cannot_be_read():
    """A failure of this job alone."""
    outcome = execute(
        Kept(), CLAIMED, Record("default", 1.0, PLAIN, b"\xc1"), (Listener.of(raising(KeyError()), retry_on=KeyError),)
    )
    assert error(outcome)[0] == "mlq.errors.Undecodable"
    assert not outcome.again


def test_megabyte_of_output(capfd):
    """What a listener prints goes where prints go."""
    assert result(run(lambda message: sys.stdout.write("x" * 1_000_000)))[1] == 1_000_000
    assert len(capfd.readouterr().out) == 1_000_000


# --- how listeners are called


def test_context_is_given_where_there_is_room():
    """`f(msg)`, `f(msg, context)` and `f(msg, *args)`."""

    class Callable:
        def __call__(self, message, context):
            return context.full_message["id"]

    def keyword_only(message, *, option=1):
        return option

    assert result(run(lambda message: message))[1] == 5
    assert result(run(lambda message, context: context["full_message"]["msg"]))[1] == 5
    assert result(run(lambda message, *args: args[0].attempt))[1] == 2
    assert result(run(Callable()))[1] == "7"
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
    first, second = outcome.fields["traceback"].splitlines()[:2]
    assert (first, second.endswith("in listener")) == ("Traceback (most recent call last):", True)  # no frames of MLQ
    assert outcome.fields["reason"] == "error"


def test_an_error_of_mlq_itself_keeps_its_traceback():
    """Such as of a result that can't be packed."""
    assert "codec" in run(lambda message: object()).fields["traceback"]


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


def test_a_type_that_no_encoding_carries():
    kind = type("Odd", (Exception,), {"__module__": os.fsdecode(b"\xff")})
    assert error(run(raising(kind("text")))) == ("?.Odd", "text")


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


# --- both ways of running


def test_attempt_of_every_kind_of_function(attempt):
    """Plain functions, coroutines and generators of both kinds, one after the other."""
    ran = []

    def plain(message):
        ran.append("plain")

    async def coroutine(message):
        await asyncio.sleep(0)
        ran.append("coroutine")

    def generator(message):
        ran.append("generator")
        yield 1

    async def async_generator(message):
        ran.append("async generator")
        yield 2

    outcome = attempt(plain, coroutine, generator, async_generator)
    assert result(outcome) == (None, [2])
    assert ran == ["plain", "coroutine", "generator", "async generator"]


@pytest.mark.parametrize("problem", [ValueError("bad"), SystemExit(1), KeyboardInterrupt(), asyncio.CancelledError()])
@pytest.mark.parametrize("is_async", [False, True])
def test_attempt_that_raises(attempt, problem, is_async):
    """Is an outcome, whatever it was, after which the job may run again."""

    async def coroutine(message):
        raise problem

    outcome = attempt(coroutine if is_async else raising(problem))
    assert error(outcome)[0] == f"{type(problem).__module__}.{type(problem).__qualname__}"
    assert outcome.again


def test_message_that_cannot_be_read_is_not_tried_again(attempt):
    """Nor a result that can't be packed: it is no listener's error."""
    assert not attempt(raising(KeyError()), packed=b"\xc1").again
    assert not attempt(lambda message: object()).again


def test_what_a_generator_yields_is_emitted(attempt):
    """Its result is what it returns, or else all of it in a list."""

    def silent(message):
        yield message
        yield message + 1

    def telling(message):
        yield "part"
        return "whole"

    async def coroutine(message):
        yield 1
        await asyncio.sleep(0)
        yield 2

    for function, chunks, whole in (
        (silent, [5, 6], [5, 6]),
        (telling, ["part"], "whole"),
        (coroutine, [1, 2], [1, 2]),
    ):
        line = Kept()
        assert result(attempt(function, line=line)) == (None, whole)
        assert line.chunks() == chunks


def test_generator_that_fails_has_emitted(attempt):
    """What came before."""

    def half(message):
        yield 1
        raise ValueError("half way")

    line = Kept()
    assert error(attempt(half, line=line)) == ("builtins.ValueError", "half way")
    assert line.chunks() == [1]


def test_generator_that_lost_its_job_is_stopped(attempt):
    """By the error of what it can't emit; what it holds is closed."""
    closed = []

    def endless(message):
        try:
            while True:
                yield 1
        finally:
            closed.append(message)

    async def endless_too(message):
        try:
            while True:
                yield 1
        finally:
            closed.append(message)

    for function in (endless, endless_too):
        assert error(attempt(function, line=Kept(words=3)))[0] == "mlq.errors.LeaseLost"
    assert closed == [5, 5]


# --- the context


def test_context_is_the_old_dictionary_and_has_attributes():
    """The same function under both names."""

    def listener(message, context):
        assert isinstance(context, JobContext)
        assert context["update_progress"] == context.update_progress
        assert context.update_progress(50) is True
        assert not context.cancelled
        context.emit({"a": 1})
        with pytest.raises(AttributeError):
            _ = context.nothing
        return context["full_message"]

    line = Kept()
    told = result(run(listener, line=line))[1]
    assert (told["id"], told["retries"], told["worker"], told["processing_started"]) == ("7", 1, "w", 1000.0)
    assert (line.progress, line.chunks()) == ([50], [{"a": 1}])


def test_listener_learns_that_it_is_cancelled():
    """Where it asks."""
    assert result(run(lambda message, context: context.cancelled, line=Kept(words=0)))[1] is True


def test_partial_results_are_bounded(monkeypatch):
    """In total."""
    monkeypatch.setattr("mlq.running.context.MESSAGE_LIMIT", 10_000)

    def listener(message, context):
        for _ in range(20):
            context.emit(b"x" * 1000)

    line = Kept()
    assert error(run(listener, line=line))[0] == f"{TooLarge.__module__}.TooLarge"
    assert 5 <= len(line.chunks()) <= 9


def test_progress_is_bounded():
    """Each of many followers may get it."""
    line = Kept()

    def listener(message, context):
        context.update_progress(b"x" * 60_000)
        context.update_progress(b"x" * 70_000)

    assert error(run(listener, line=line))[0] == f"{TooLarge.__module__}.TooLarge"
    assert line.progress == [b"x" * 60_000]


# --- prints and logs


@contextlib.contextmanager
def captured():
    """As while a worker runs. No fixture: pytest changes the streams between those and the test."""
    capture.begin()
    try:
        yield
    finally:
        capture.end()


def test_prints_and_logs_are_kept(attempt, capsys):
    """Beside where they go anyway."""

    def listener(message):
        print("printed")
        print("aside", file=sys.stderr)
        logging.getLogger("mine").warning("logged %d", 5)

    line = Kept()
    with captured():
        attempt(listener, line=line)
        print("not of the job")
    assert line.logs() == "printed\naside\nWARNING mine: logged 5\n"
    assert capsys.readouterr().out == "printed\nnot of the job\n"


def test_logs_are_bounded(capsys):
    """They say where they were cut off, once."""

    def listener(message):
        for _ in range(200):
            print("x" * 1000)

    line = Kept()
    with captured():
        run(listener, line=line)
    assert len(capsys.readouterr().out) == 200 * 1001
    logs = line.logs()
    assert len(logs) < LOG_LIMIT + 1000
    assert logs.count("is not kept") == 1


def test_print_does_not_fail_where_nobody_listens(capsys):
    """The job is lost, the program goes on."""
    with captured():
        assert result(run(lambda message: print("x"), line=Kept(words=0))) == (None, None)
    assert capsys.readouterr().out == "x\n"


# --- outcomes that no listener gave


def test_timeout_may_be_tried_again():
    """As an error of the listener's would."""
    outcome = timeout(1.5)
    assert error(outcome) == ("builtins.TimeoutError", "ran longer than its limit of 1.5 s")
    assert (outcome.fields["reason"], outcome.again) == ("timeout", True)


def test_what_is_over_its_time_is_over():
    """Whoever is heard first: the listener, or the thread that watches the time."""
    good, bad = run(lambda message: 1), run(raising(KeyError("k")))
    for outcome in (good, bad):
        assert in_time(outcome, 1.0, None) is outcome
        assert in_time(outcome, 1.0, 1.0) is outcome
        assert in_time(outcome, 1.001, 1.0) == timeout(1.0)


def test_death_is_told_in_the_order_that_the_script_reads():
    """`lua/settle.lua` takes the second and the fourth."""
    outcome = death("oom", "out of memory")
    assert list(outcome.fields.items())[:2] == [("reason", "oom"), ("error", "out of memory")]
    assert not outcome.again


def test_coroutines_of_one_thread_speak_each_for_their_own_job(capsys):
    """They share a loop, one after the other."""

    async def listener(message):
        print(f"of {message}")

    lines = [Kept(), Kept()]
    with captured():
        for message, line in enumerate(lines):
            run(listener, message=message, line=line)
    assert [line.logs() for line in lines] == ["of 0\n", "of 1\n"]
    assert capsys.readouterr().out == "of 0\nof 1\n"
