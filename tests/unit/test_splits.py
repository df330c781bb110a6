"""What becomes of a Split that can't be posted: what is wrong with its values is final, as with a result."""

import asyncio
import threading

import pytest

from mlq import InputError, Split
from mlq.core import codec
from mlq.core.job import Claimed, Record
from mlq.core.job_options import JobOptions
from mlq.core.part import Part
from mlq.core.policy import Policy
from mlq.core.states import State
from mlq.errors import ServerError, ValueRefused
from mlq.running.becoming import MOST_HOPS
from mlq.running.execution import execute, execute_on_loop
from mlq.running.listeners import Listener

CLAIMED = Claimed("7", 1, "w.1", "w", 1000.0, b"")


class Line:
    """Takes parts, or raises."""

    def __init__(self, error=None):
        self.error = error
        self.posted = 0

    def holds(self):
        return True

    def post_parts(self, lane, bodies):
        if self.error and self.posted:
            raise self.error
        self.posted += len(bodies)
        return "8"


def raising(error):
    yield 1
    raise error


def run(items, how, line=None, hop=1):
    """The outcome of a listener that declares retries."""
    listener = Listener.of(lambda message: Split(items, each="part", into="join"), "split", policy=Policy(retries=3))
    record = Record("default", 1.0, JobOptions(part=Part("1", hop, tail="1")), codec.pack(None))
    if how == "thread":
        return execute(line or Line(), CLAIMED, record, (listener,))

    def submit(task):
        threading.Thread(target=task).start()

    return asyncio.run(execute_on_loop(line or Line(), CLAIMED, record, (listener,), submit))


@pytest.mark.parametrize("how", ["thread", "loop"])
@pytest.mark.parametrize(
    ("items", "line", "hop", "kind", "again"),
    [
        ([1, object()], None, 1, "mlq.errors.Unserializable", False),
        ([b"x" * (65 << 20)], None, 1, "mlq.errors.TooLarge", False),
        ([1], Line(ValueRefused("too long")), 1, "mlq.errors.ValueRefused", False),
        ([1], None, MOST_HOPS, "mlq.errors.InputError", False),
        ([1], Line(ServerError("away")), 1, "mlq.errors.ServerError", True),
        (raising, ValueError("page"), 1, "builtins.ValueError", True),
        (raising, InputError("of its own"), 1, "mlq.errors.InputError", True),
    ],
    ids=["unpackable", "too large", "refused by the server", "loop", "server", "iterable", "iterable, of ours"],
)
def test_a_split_that_can_not_be_posted(how, items, line, hop, kind, again):
    """Only what another attempt may change is retried."""
    if items is raising:
        items, line = raising(line), None
    outcome = run(items, how, line and Line(line.error), hop)
    assert (outcome.state, outcome.fields["error_type"], outcome.again) == (State.FAILED, kind, again)


@pytest.mark.parametrize("how", ["thread", "loop"])
def test_a_split(how):
    """All parts, and the join."""
    line = Line()
    outcome = run(range(1200), how, line)
    assert (outcome.state, outcome.fields["of"], line.posted) == (State.BLOCKED, "1200", 1201)
