"""What a user may set as a shadow, how outputs are compared, and which predictions a worker offers."""

import json
import math

import pytest

from mlq import InputError
from mlq.core import codec
from mlq.core.job import Claimed, Outcome, Record
from mlq.core.job_options import PLAIN, JobOptions
from mlq.core.part import Part
from mlq.core.shadow import Difference, Sample, Shadow, alike, compared, settings_in, shown, state_of
from mlq.core.states import State
from mlq.errors import Undecodable
from mlq.running.listeners import Listener
from mlq.worker.attempt import Attempt
from mlq.worker.outbox import Ended
from mlq.worker.shadow_offers import LARGEST, WAITING, Offers

NAN = math.nan


@pytest.mark.parametrize("share", [0, -0.1, 1.0001, 110, NAN, math.inf, True, "0.1", None])
def test_a_share_is_above_0_and_at_most_1(share):
    with pytest.raises(InputError, match="above 0 and at most 1"):
        Shadow.of("2", share)
    assert Shadow.of("2", 1) == ("2", 1.0)


def test_a_version_has_a_name():
    with pytest.raises(InputError, match="version"):
        Shadow.of("a:b", 0.1)


@pytest.mark.parametrize(
    "stored",
    [b"", b"[]", b"{}", b"\xff", b'{"version": "2", "share": 2}', b'{"version": 2, "share": 1}', b"[" * 99_999],
)
def test_what_is_stored_may_be_damaged(stored):
    good = Shadow("2", 0.5).packed().encode()
    assert settings_in({"iris": stored, "spam": good, "not:one": good}) == {"spam": Shadow("2", 0.5)}
    assert Shadow.parse(Shadow("2", 0.0).packed().encode()) == ("2", 0.0)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (1, 1.0), (0.3, 0.1 + 0.2), (1e9, 1e9 + 1), ({"a": [1, {"b": 2.0}]}, {"a": [1.0, {"b": 2}]}), (NAN, NAN),
        (math.inf, math.inf), ("a", "a"), (None, None), ([], []), (b"x", b"x"), ({"a": 1, "b": 2}, {"b": 2, "a": 1}),
    ],
)  # fmt: skip
def test_alike(one, other):
    assert alike(one, other)
    assert alike(other, one)
    assert compared(Sample("1", b"", codec.pack(one)), codec.pack(other)) is None


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (1, True), (0, False), (1.0, 1.00001), (10**15, 10**15 + 1), ([1], [1, 1]), ({"a": 1}, {"b": 1}), ("1", 1),
        ([], {}), (None, 0), (NAN, 1.0), (math.inf, -math.inf), (0.0, 1e-300), ("a", b"a"), ({"a": [1]}, {"a": [2]}),
    ],
)  # fmt: skip
def test_different(one, other):
    assert not alike(one, other)
    assert not alike(other, one)
    found = compared(Sample("7", b"", codec.pack(one)), codec.pack(other))
    assert found == Difference("7", shown(one), shown(other))
    assert Difference.parse(found.packed().encode()) == found


def test_what_can_not_be_compared():
    """Arrays have no truth value; what was not packed by MLQ is refused; and outputs may be nested deeply."""
    numpy = pytest.importorskip("numpy")
    array = codec.pack(numpy.zeros(3))
    assert compared(Sample("1", b"", array), codec.pack(numpy.ones(3))) is not None
    with pytest.raises(Undecodable):
        compared(Sample("1", b"", b"\xc1"), array)
    one, other = ("[" * 400 + end + "]" * 400 for end in "12")
    assert compared(Sample("1", b"", codec.pack(json.loads(one))), codec.pack(json.loads(other))) is not None


def test_outputs_are_shown_short():
    assert len(shown("x" * 10_000)) < 400
    assert shown({"a": b"x"}) == '{"a": "b\'x\'"}'


@pytest.mark.parametrize("packed", [b"", b"\x01", codec.pack(["1", b""]), codec.pack(["1", "a", b""])])
def test_a_sample_may_be_damaged(packed):
    with pytest.raises(Undecodable):
        Sample.parse(packed)
    assert Sample.parse(Sample("1", b"a", b"b").packed()) == ("1", b"a", b"b")


def test_damaged_figures_count_as_nothing():
    counts = {"same": b"3", "different": b"1", "failed": b"many", "dropped": b"-1"}
    state = state_of(
        "iris", Shadow("2", 0.1), counts, [b"{}", b"\xff", Difference("1", "a", "b").packed().encode()], None
    )
    assert (state.compared, state.different, state.failed, state.dropped, state.same) == (4, 1, 0, 0, 3)
    assert state.last == (Difference("1", "a", "b"),)


def ended(version="1", state=State.SUCCEEDED, message=b"\x01", options=PLAIN, **fields):
    attempt = Attempt(Claimed("1", 1, "w.1", "w", 0.0, b"x"))
    attempt.record = Record(f"iris:iris@{version}", 0.0, options, message)
    attempt.listeners = (Listener(f"iris@{version}", None),)
    return Ended(attempt, Outcome(state, {"result": b"\x02"} | fields))


@pytest.fixture
def offers():
    """With a shadow for all predictions of two listeners."""
    made = Offers()
    made.learn({"iris": Shadow("2", 1.0)}, ["iris@1", "iris@2", "spam@1"])
    return made


def streaming():
    found = ended()
    found.attempt.streams = True
    return found


def test_successful_predictions_of_other_versions_are_chosen(offers):
    part = Part("1", 1, joins=True)
    batch = [ended(), ended("2"), ended(state=State.FAILED), ended(), streaming(), ended(options=JobOptions(part=part))]
    offers.choose(batch, [True, True, True, False, True, True])
    assert offers.take() == {"iris@2": ([Sample("1", b"\x01", b"\x02")], 0)}
    assert offers.take() == {}


def test_what_is_too_large_or_too_many_is_dropped(offers):
    """An attempt has lost a large message when it ends."""
    large = b"x" * LARGEST
    offers.choose([ended(message=b""), ended(message=large), ended(result=large)], [True] * 3)
    offers.choose([ended()] * (WAITING + 5), [True] * (WAITING + 5))
    ((samples, dropped),) = offers.take().values()
    assert (len(samples), dropped) == (WAITING, 8)


def test_a_share_is_chosen_by_chance(offers):
    offers.learn({"iris": Shadow("2", 0.5)}, ["iris@1"])
    offers.choose([ended()] * 60, [True] * 60)
    ((samples, dropped),) = offers.take().values()
    assert 0 < len(samples) < 60  # with the probability of 60 throws of a coin
    assert dropped == 0


def test_nothing_is_chosen_without_a_shadow(offers):
    assert offers.on
    for shadows, names in (
        ({}, ["iris@1"]),
        ({"iris": Shadow("2", 0.0)}, ["iris@1"]),
        ({"iris": Shadow("1", 1)}, ["iris@1"]),
    ):
        offers.learn(shadows, names)
        assert not offers.on
        offers.choose([ended()], [True])
        assert offers.take() == {}
