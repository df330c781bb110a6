"""Retries: how often, and after which pause."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlq.core.policy import BACKOFF, LONGEST, Policy, pause_before_retry
from mlq.errors import InputError

CHANCE = st.floats(0, 1)
SECONDS = st.one_of(st.none(), st.floats(0, 1e9))
COUNTS = st.one_of(st.none(), st.integers(0, 10**9))
POLICIES = st.builds(Policy, st.one_of(st.none(), st.floats(0.001, 1e9)), COUNTS, SECONDS)


@given(COUNTS, SECONDS, st.integers(0, 10**9), CHANCE)
def test_pause_is_bounded(retries, backoff, errors, chance):
    """Between half and the whole of a pause that doubles, an hour at most; none after the last retry."""
    pause = pause_before_retry(Policy(None, retries, backoff), errors, chance)
    if errors >= (retries or 0):
        assert pause is None
        return
    first = BACKOFF if backoff is None else backoff
    whole = min(LONGEST, first * 2.0 ** min(errors, 30))
    assert whole / 2 <= pause <= whole


@given(st.floats(0, LONGEST), CHANCE)
def test_pauses_never_get_shorter(backoff, chance):
    """With the same chance."""
    policy = Policy(None, 60, backoff)
    pauses = [pause_before_retry(policy, errors, chance) for errors in range(60)]
    assert all(one <= other for one, other in itertools.pairwise(pauses))
    assert pause_before_retry(policy, 60, chance) is None


def test_pauses_by_default():
    """1 s, 2 s, 4 s at most, half of that at least."""
    policy = Policy(None, 3, None)
    assert [pause_before_retry(policy, errors, 1.0) for errors in range(4)] == [1.0, 2.0, 4.0, None]
    assert [pause_before_retry(policy, errors, 0.0) for errors in range(4)] == [0.5, 1.0, 2.0, None]
    assert pause_before_retry(Policy(), 0, 0.5) is None
    assert pause_before_retry(Policy(None, 1, 0.0), 0, 1.0) == 0.0


@given(POLICIES, st.lists(POLICIES, max_size=4))
def test_what_a_job_says_wins(mine, others):
    """Where it says nothing, the most generous of its listeners does."""
    decided = mine.over(others)
    for said, found, declared in zip(mine, decided, zip(*others, strict=True) if others else [()] * 3, strict=True):
        assert found == (said if said is not None else max((one for one in declared if one is not None), default=None))
    assert decided.over(others) == decided


@given(POLICIES, st.lists(POLICIES, max_size=4))
def test_listeners_may_be_taken_together_first(mine, others):
    """What several say can be kept as one."""
    assert mine.over(Policy().over(others)) == mine.over(others)


@pytest.mark.parametrize(
    ("arguments", "name"),
    [
        ((0, None, None), "timeout"),
        ((-1, None, None), "timeout"),
        (("5", None, None), "timeout"),
        ((None, -1, None), "retries"),
        ((None, 1.0, None), "retries"),
        ((None, True, None), "retries"),
        ((None, 10**9 + 1, None), "retries"),
        ((None, None, -0.1), "backoff"),
        ((None, None, float("nan")), "backoff"),
    ],
)
def test_policies_that_can_not_be(arguments, name):
    """The error names the argument."""
    with pytest.raises(InputError, match=name):
        Policy.of(*arguments)


def test_policies():
    """Whole and broken numbers; no pause is one, too."""
    assert Policy.of(None, None, None) == Policy()
    assert Policy.of(1, 0, 0) == (1.0, 0, 0.0)
