"""Hypothesis strategies for all that the codec carries."""

from datetime import timedelta, timezone

from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

DAY = timedelta(days=1, microseconds=-1)
# Python's own `fromisoformat` loses an offset of less than a second.
OFFSETS = st.timedeltas(-DAY, DAY).filter(lambda offset: not offset or abs(offset) >= timedelta(seconds=1))
ZONES = st.none() | OFFSETS.map(timezone)
MOMENTS = (st.datetimes(timezones=ZONES) | st.times(timezones=ZONES)).flatmap(
    lambda moment: st.sampled_from([moment, moment.replace(fold=1)])
)
KEYS = st.one_of(
    st.none(), st.booleans(), st.integers(-(2**63), 2**64 - 1), st.text(), st.binary(),
    st.uuids(), st.dates(), MOMENTS, st.timedeltas(),
)  # fmt: skip
DTYPES = hnp.scalar_dtypes() | hnp.array_dtypes() | hnp.nested_dtypes() | hnp.byte_string_dtypes()
ARRAYS = hnp.arrays(DTYPES, hnp.array_shapes(min_dims=0, min_side=0, max_side=4))
SCALARS = hnp.scalar_dtypes().flatmap(lambda dtype: hnp.arrays(dtype, ())).map(lambda array: array[()])
VALUES = st.recursive(
    KEYS | st.floats() | st.decimals() | ARRAYS | SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS | st.tuples(KEYS, KEYS), inner, max_size=4),
    max_leaves=12,
)
