"""What wraps an attempt: the order, what it sees, and that it makes no success of a failure."""

import contextlib

import pytest

from mlq import MLQ, InputError
from mlq.core import codec
from mlq.core.job import Claimed, Record
from mlq.core.job_options import PLAIN
from mlq.core.states import State
from mlq.running.execution import execute
from mlq.running.listeners import Listener, Listeners
from mlq.system import capture
from tests.unit.test_execution import Kept

CLAIMED = Claimed("7", 2, "w.1", "w", 1000.0, b"")


def run(function, *hooks, line=None):
    """One attempt, as a worker runs it."""
    listeners = Listeners([Listener.of(function)])
    for hook in hooks:
        listeners.wrap(hook)
    return execute(line or Kept(), CLAIMED, Record("default", 1.0, PLAIN, codec.pack(5)), listeners.chosen("default"))


def noting(notes, name):
    """A hook that notes its turns, and the error that it sees."""

    @contextlib.contextmanager
    def hook(context):
        notes.append(f"{name} enters attempt {context.attempt} of {context['full_message']['id']}")
        try:
            yield
        except Exception as error:
            notes.append(f"{name} sees {error!r}")
            raise
        notes.append(f"{name} leaves")

    return hook


def test_the_first_is_the_outermost():
    notes = []
    outcome = run(notes.append, noting(notes, "a"), noting(notes, "b"))
    assert outcome.state is State.SUCCEEDED
    assert notes == ["a enters attempt 2 of 7", "b enters attempt 2 of 7", 5, "b leaves", "a leaves"]


def test_it_sees_what_a_listener_raises():
    notes = []
    outcome = run(lambda value: value / 0, noting(notes, "a"))
    assert outcome.fields["error_type"] == "builtins.ZeroDivisionError"
    assert outcome.again
    assert notes[1:] == ["a sees ZeroDivisionError('division by zero')"]


def test_it_makes_no_success_of_a_failure():
    """Though it swallows the error; it may raise another one."""
    swallowed = run(lambda value: value / 0, lambda context: contextlib.suppress(ZeroDivisionError))
    assert swallowed.fields["error_type"] == "builtins.ZeroDivisionError"

    @contextlib.contextmanager
    def translating(context):
        try:
            yield
        except ZeroDivisionError as error:
            raise ValueError("translated") from error

    translated = run(lambda value: value / 0, translating)
    assert (translated.fields["error"], translated.again) == ("translated", True)


@pytest.mark.parametrize("where", ["made", "entered", "left"])
def test_what_it_raises_by_itself_fails_the_job(where):
    """Without a retry: the listener is not to blame."""
    ran = []

    def hook(context):
        if where == "made":
            raise OSError("no database")

        @contextlib.contextmanager
        def around():
            if where == "entered":
                raise OSError("no database")
            yield
            raise OSError("no database")

        return around()

    outcome = run(ran.append, hook)
    assert (outcome.state, outcome.fields["error"], outcome.again) == (State.FAILED, "no database", False)
    assert ran == ([5] if where == "left" else [])


def test_what_it_prints_is_the_jobs():
    line = Kept()

    @contextlib.contextmanager
    def hook(context):
        print("before")
        yield
        context.update_progress(99)

    capture.begin()
    try:
        run(lambda value: print("within"), hook, line=line)
    finally:
        capture.end()
    assert line.logs() == "before\nwithin\n"
    assert line.progress == [99]


def test_it_is_declared_as_a_decorator():
    mlq = MLQ("test-middleware")

    @mlq.middleware
    def hook(context):
        return contextlib.nullcontext()

    mlq.listener(abs)
    assert mlq.listeners.chosen("default")[0].middleware == (hook,)
    assert mlq.listeners.only(["abs"]).chosen("default")[0].middleware == (hook,)
    with pytest.raises(InputError, match="middleware"):
        mlq.middleware("no function")
