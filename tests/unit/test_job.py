"""The bytes of a job's record, and what they tell."""

import contextlib
from datetime import datetime
from decimal import Decimal

import msgpack
import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mlq.core import codec
from mlq.core.job import Record, announced, attempts_of, describe, is_finished
from mlq.core.job_options import JobOptions, pack_body
from mlq.core.progress import progress_of, progress_words
from mlq.core.states import State
from mlq.errors import Undecodable

OPTIONS = st.fixed_dictionaries(
    {},
    optional={
        "callback": st.sampled_from(["http://here/", "https://there:8443/done?job=1&x=%20"]),
        "functions": st.lists(st.text("abc_<>é", min_size=1), min_size=1),
        "ttl": st.floats(0.001, 1e9),
        "timeout": st.floats(0.001, 1e9),
        "retries": st.integers(0, 10**9),
        "backoff": st.floats(0, 1e9),
    },
)


def record(body):
    """What `post.lua` makes of a client's body."""
    return b"default\n1700000000.000001\n" + body


@given(st.binary(), OPTIONS)
def test_what_is_posted_is_read(message, options):
    """Message and options come back, whatever bytes they hold."""
    parsed = Record.parse(record(pack_body(message, options)))
    assert parsed == ("default", 1700000000.000001, JobOptions.of(options), message)


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
        assert isinstance(Record.parse(data).options, JobOptions)


@given(st.dictionaries(st.text(), st.one_of(st.none(), st.booleans(), st.text(), st.lists(st.booleans()))))
@example({"functions": [5]})
@example({"ttl": "5"})
@example({"callback": 5})
@example({"timeout": 0})
@example({"retries": 1.5})
@example({"backoff": [1]})
def test_strange_options_are_undecodable(options):
    """Or have the types that the rest of the code relies on."""
    try:
        kept = Record.parse(record(pack_body(b"\xc0", options))).options
    except Undecodable:
        return
    assert isinstance(kept.callback, str | None)
    assert isinstance(kept.functions, tuple | None)
    assert isinstance(kept.timeout, float | None)
    assert isinstance(kept.retries, int | None)


def test_options_that_many_jobs_share_are_not_a_readers_to_change():
    """They are read once for all of them."""
    body = record(pack_body(codec.pack("m"), {"functions": ["f"]}))
    describe("7", body, {})["functions"].append("g")
    assert describe("8", body, {})["functions"] == ["f"]


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
        (State.SCHEDULED, None, "[queued; not started]"),
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


# --- attempts


def past(*told):
    """One run as Redis keeps it."""
    return msgpack.packb(list(told))


RUN = past("w", "1.5", "2.5", "error", "builtins.ValueError", "boom", "trace")
OLD = {"attempt": 1, "worker": "w", "started": 1.5, "finished": 2.5, "reason": "error",
       "error_type": "builtins.ValueError", "error": "boom", "traceback": "trace"}  # fmt: skip
BLANK = dict.fromkeys(OLD)


def test_no_attempts():
    """Of a job that waits."""
    assert attempts_of({}) == attempts_of({"state": b"cancelled", "finished": b"5"}) == []


def test_attempts_in_their_order():
    """By number and not by text; the current one last."""
    now = {f"past:{number}": RUN for number in (10, 9, 11)} | {"state": b"running", "attempts": b"12", "started": b"3"}
    assert [run["attempt"] for run in attempts_of(now)] == [9, 10, 11, 12]


@pytest.mark.parametrize(
    ("state", "reason"),
    [("running", None), ("succeeded", None), ("failed", "lost"), ("cancelled", "lost")],
)
def test_reason_of_the_current_attempt(state, reason):
    """While it runs, what the job holds is the reason of the run before."""
    now = {"state": state.encode(), "attempts": b"2", "started": b"3.5", "reason": b"lost", "past:1": RUN}
    first, second = attempts_of(now)
    assert first == OLD
    assert second == BLANK | {"attempt": 2, "started": 3.5, "reason": reason}


def test_blanks_of_a_past_run_are_none():
    """A record of a run that nobody knows much of."""
    assert attempts_of({"past:1": past("", "", "", "", "", "", "")}) == [BLANK | {"attempt": 1}]


@given(st.text("0123456789", min_size=1, max_size=18), st.dictionaries(st.text(), st.binary()))
def test_announcement_is_read(job_id, fields):
    """Whatever bytes a result holds."""
    flat = [part for name, value in fields.items() for part in (name.encode("utf-8"), value)]
    packed = msgpack.packb(flat, use_bin_type=False)
    assert announced(job_id.encode() + b" " + packed) == (job_id, fields)
    assert announced(job_id.encode()) == (job_id, None)


@given(st.binary())
@example(b"\xc1")
@example(b"\x05")
@example(b"\x91\xa1a")
@example(b"\x92\x01\x02")
@example(b"\x92\xa1\xff\xa1a")
def test_announcement_that_is_not_ours_is_a_hint(packed):
    """Nothing is raised: whoever waits asks again."""
    job_id, fields = announced(b"7 " + packed)
    assert job_id == "7"
    assert fields is None or isinstance(fields, dict)


def test_which_states_are_final():
    """Nothing more happens by itself."""
    assert {state for state in State if is_finished(state)} == {State.SUCCEEDED, State.FAILED, State.CANCELLED}
