"""The bytes of a job's record, and what they tell."""

import contextlib
from datetime import datetime
from decimal import Decimal

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mlq import codec
from mlq.errors import Undecodable
from mlq.job import Record, describe, pack_body, progress_of, progress_words
from mlq.states import State

OPTIONS = st.fixed_dictionaries(
    {},
    optional={
        "callback": st.sampled_from(["http://here/", "https://there:8443/done?job=1&x=%20"]),
        "functions": st.lists(st.text("abc_<>é", min_size=1), min_size=1),
        "ttl": st.floats(0.001, 1e9),
    },
)


def record(body):
    """What `post.lua` makes of a client's body."""
    return b"default\n1700000000.000001\n" + body


@given(st.binary(), OPTIONS)
def test_what_is_posted_is_read(message, options):
    """Message and options come back, whatever bytes they hold."""
    parsed = Record.parse(record(pack_body(message, options)))
    assert parsed == ("default", 1700000000.000001, options, message)


@given(st.one_of(st.binary(), st.binary().map(lambda rest: b"default\n1.0\n" + rest)))
@example(b"")
@example(b"\n\n\n")
@example(b"default\n1.0\n1\n\x05x")
@example(b"default\n1.0\n1\n\x90x")
@example(b"default\n1.0\n99\n\x81")
@example(b"\xff\n1.0\n0\nx")
@example(b"default\nnan\n0\n")
@example(b"default\n1.0\n-1\nx")
@example(b"default\n1.0\n" + b"9" * 5000 + b"\n")
def test_garbage_is_undecodable(data):
    """Nothing else is ever raised."""
    with contextlib.suppress(Undecodable):
        assert isinstance(Record.parse(data).options, dict)


@given(st.dictionaries(st.text(), st.one_of(st.none(), st.booleans(), st.text(), st.lists(st.booleans()))))
@example({"functions": [5]})
@example({"ttl": "5"})
@example({"callback": 5})
def test_strange_options_are_undecodable(options):
    """Or have the types that the rest of the code relies on."""
    try:
        kept = Record.parse(record(pack_body(b"\xc0", options))).options
    except Undecodable:
        return
    assert isinstance(kept.get("callback"), str | None)
    assert isinstance(kept.get("functions"), list | None)


REPORTED = [
    (50, "50"),
    (0.5, "0.5"),
    ("half", "half"),
    (0, "[started]"),
    (100, "100"),
    (-1, "-1"),
    (None, "None"),
    (False, "False"),
    ([1, 2], "[1, 2]"),
    (np.array([0, 1]), "[0 1]"),
    (Decimal("1.5"), "1.5"),
    (datetime(2020, 1, 2), "2020-01-02 00:00:00"),
]


@pytest.mark.parametrize(("value", "words"), REPORTED, ids=str)
def test_progress_that_was_reported(value, words):
    """As a value and in words; 100 and -1 end nothing."""
    packed = codec.pack(value)
    assert np.array_equal(progress_of("running", packed), value)
    assert progress_words("running", packed) == words


@pytest.mark.parametrize(
    ("state", "value", "words"),
    [
        (State.QUEUED, None, "[queued; not started]"),
        (State.RUNNING, 0, "[started]"),
        (State.SUCCEEDED, 100, "[completed]"),
        (State.FAILED, -1, "[failed]"),
        (State.CANCELLED, None, "[cancelled]"),
    ],
)
def test_progress_of_a_state(state, value, words):
    """What was reported before the end counts no more."""
    assert (progress_of(state, None), progress_words(state, None)) == (value, words)
    if state is not State.RUNNING:
        assert (progress_of(state, b"\x05"), progress_words(state, b"\x05")) == (value, words)


def test_description_has_the_old_keys():
    """A program written for the first MLQ finds what it looks for."""
    told = describe("7", record(pack_body(codec.pack("m"), {})), {})
    old = {
        "id",
        "timestamp",
        "worker",
        "processing_started",
        "processing_finished",
        "progress",
        "short_result",
        "result",
        "callback",
        "retries",
        "functions",
        "msg",
    }
    assert old <= told.keys()
    assert (told["id"], told["msg"], told["retries"], told["progress"]) == ("7", "m", 0, None)


@pytest.mark.parametrize(("attempts", "retries"), [(b"0", 0), (b"1", 0), (b"3", 2)])
def test_retries_are_the_runs_after_the_first(attempts, retries):
    """Whatever their reason."""
    told = describe("7", record(pack_body(b"\xc0", {})), {"state": b"running", "attempts": attempts})
    assert told["retries"] == retries
