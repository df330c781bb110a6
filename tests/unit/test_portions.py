"""Which messages of a batch share a call."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlq import MLQ, InputError
from mlq.running.portions import Split, portions

MEMBERS = st.lists(st.tuples(st.integers(0, 3), st.floats(0, 10)))


@given(MEMBERS, st.integers(1, 5), st.none() | st.floats(0.1, 20))
def test_each_is_in_one_call_and_no_call_is_too_large(given_members, most, max_cost):
    members = list(enumerate(given_members))
    groups, costs = [group for group, _ in given_members], [cost for _, cost in given_members]
    calls = list(portions(members, groups, costs, most, max_cost))
    assert sorted(member for call in calls for member in call) == members
    for call in calls:
        assert len({group for _, (group, _) in call}) == 1
        assert call == sorted(call)  # in order
        assert len(call) <= most
        assert max_cost is None or len(call) == 1 or sum(cost for _, (_, cost) in call) <= max_cost + 1e-9


def test_others_are_skipped_instead_of_stopped_at():
    """Mixed shapes would otherwise have calls of one."""
    assert list(portions("abcdef", "xyxyxy", [1] * 6, 32, None)) == [["a", "c", "e"], ["b", "d", "f"]]


def test_a_call_ends_where_it_would_cost_too_much():
    assert list(portions("abcd", [None] * 4, [3, 3, 9, 1], 32, 7)) == [["a", "b"], ["c"], ["d"]]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"cost": len}, "go together"),
        ({"max_cost": 5}, "go together"),
        ({"cost": len, "max_cost": 0}, "above 0"),
        ({"cost": len, "max_cost": math.nan}, "above 0"),
        ({"cost": len, "max_cost": math.inf}, "above 0"),
        ({"cost": len, "max_cost": True}, "above 0"),
        ({"cost": len, "max_cost": "5"}, "above 0"),
        ({"cost": 5, "max_cost": 5}, "cost must be a function"),
        ({"group": "shape"}, "group must be a function"),
    ],
)
def test_options_that_are_refused(options, words):
    with pytest.raises(InputError, match=words):
        MLQ("x").listener(batch=8, **options)


def test_they_are_of_batches():
    with pytest.raises(InputError, match="declare batch="):
        MLQ("x").listener(group=len)
    assert Split.of(None, None, None) is None
