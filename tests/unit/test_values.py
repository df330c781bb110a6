"""Values as JSON: what JSON can't hold has another form or is refused; nothing is lost in silence."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlq.core.json_values import to_json
from mlq.errors import Undecodable

DATES = [("t", "M8[ns]"), ("d", "m8[s]"), ("inner", [("x", "f4"), ("y", "M8[D]", (2,))])]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (np.array(["2024-01-01T00:00:00.123456789"], "M8[ns]"), ["2024-01-01T00:00:00.123456789"]),
        (
            np.array([("2024-01-01", 5, (1.5, ["2024-02-03", "NaT"]))], DATES),
            [["2024-01-01T00:00:00.000000000", "5 seconds", [1.5, ["2024-02-03", "NaT"]]]],
        ),
        (np.zeros((1, 2), [("a", "i4")]), [[[0], [0]]]),
        (np.zeros((), [("a", "m8[ns]")])[()], ["0 nanoseconds"]),
        ({3: "a", "2": "b", None: 3, True: 4, (5, 6): 7}, {"3": "a", "2": "b", "null": 3, "true": 4, "(5, 6)": 7}),
    ],
)
def test_forms(value, text):
    """Dates within records are dates, too."""
    assert json.loads(to_json(value)) == text


@pytest.mark.parametrize("value", [{1: "a", "1": "b"}, [{None: 1, "null": 2}], {"a": {True: 1, "true": 2}}])
def test_keys_that_would_be_the_same(value):
    """One of the two would be lost."""
    with pytest.raises(Undecodable, match="keys that are the same in JSON"):
        to_json(value)


keys = (
    st.none() | st.booleans() | st.integers(-3, 3) | st.sampled_from(["1", "true", "null", "nan", "2.5"]) | st.floats()
)


@given(st.dictionaries(keys, st.integers()))
def test_no_entry_is_lost(value):
    """All are there, or it is refused."""
    try:
        text = to_json(value)
    except Undecodable:
        return
    assert sorted(json.loads(text).values()) == sorted(value.values())
