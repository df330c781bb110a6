"""What goes through the codec comes back; what can't is refused by name, and broken bytes are Undecodable."""

import enum
import io
import math
import subprocess
import sys
from collections import OrderedDict, defaultdict
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, time, timedelta, timezone, tzinfo
from decimal import Decimal
from pathlib import Path
from typing import NamedTuple
from uuid import UUID

import msgpack
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from mlq.codec import _PLAIN_DTYPE, pack, unpack
from mlq.errors import Undecodable, Unserializable

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


def same(left, right):
    """Equal in type and value, down to fold, offset, NaN, dtype and byte."""
    if isinstance(left, (float, str, bytes)):  # numpy's, too
        return isinstance(left, type(right)) and (left == right or (math.isnan(left) and math.isnan(right)))
    if type(left) is not type(right):
        return False
    if isinstance(left, (np.ndarray, np.generic)):
        return (left.dtype, left.shape, left.tobytes()) == (right.dtype, right.shape, right.tobytes())
    if isinstance(left, list):
        return len(left) == len(right) and all(map(same, left, right))
    if isinstance(left, dict):
        return all(map(same, left, right)) and same(list(left.values()), list(right.values()))
    if isinstance(left, tuple):
        return same(list(left), list(right))
    return repr(left) == repr(right)  # tells offset and fold, and one NaN of Decimal from another


@given(VALUES)
def test_every_value_comes_back(value):
    assert same(value, unpack(pack(value)))
    assert same(value, unpack(memoryview(bytearray(pack(value)))))


@given(ARRAYS)
def test_arrays_come_back_writable_and_are_npy_files(array):
    assert unpack(pack(array)).flags.writeable
    assert same(array, np.load(io.BytesIO(msgpack.unpackb(pack(array)).data)))


@pytest.mark.parametrize(
    "array",
    [
        np.arange(24).reshape(2, 3, 4)[:, ::2, 1:],
        np.asfortranarray(np.arange(6.0).reshape(2, 3)),
        np.arange(24).reshape(2, 3, 4).transpose(1, 0, 2),
        np.broadcast_to(np.float32(1), (3, 4)),
        np.zeros((0, 3), "S4"),
        np.array(7, ">i2"),
        np.array(["NaT", "2024-02-29"], "M8[25us]"),
        np.zeros(2, np.dtype([("a", "i1"), ("b", "f8", (2,))], align=True)),
        np.zeros(2, [("имя", "U3"), (("a title", "t"), [("x", "?")])]),
        np.zeros(3, np.longdouble),
    ],
    ids=lambda array: f"{array.dtype}-{array.shape}",
)
def test_arrays_of_any_layout_come_back(array):
    back = unpack(pack(array))
    assert same(array, back)
    assert back.flags.f_contiguous >= array.flags.f_contiguous


def test_a_renamed_field_changes_no_later_array():
    packed = pack(np.zeros(1, [("a", "i4")]))
    unpack(packed).dtype.names = ("changed",)
    assert unpack(packed).dtype.names == ("a",)


def test_numpy_scalars_keep_their_type_but_for_subclasses_of_pythons():
    record = np.zeros(1, [("a", "i4"), ("b", "U2")])[0]
    for scalar in (np.float32(0.1), np.int8(-1), np.bool_(True), np.complex64(1j), np.timedelta64(3, "h"), record):
        assert same(scalar, unpack(pack(scalar)))
    for scalar, kind in ((np.float64(0.1), float), (np.str_("a"), str), (np.bytes_(b"a"), bytes)):
        assert type(unpack(pack(scalar))) is kind
        assert unpack(pack(scalar)) == scalar


class Autumn(tzinfo):
    def utcoffset(self, moment):
        return timedelta(hours=1 if moment.fold else 2)


def test_a_named_zone_becomes_its_offset():
    for fold, hours in ((0, 2), (1, 1)):
        back = unpack(pack(datetime(2024, 10, 27, 2, 30, tzinfo=Autumn(), fold=fold)))
        assert (back.tzinfo, back.fold) == (timezone(timedelta(hours=hours)), fold)


class Level(enum.IntEnum):
    HIGH = 3


class Point(NamedTuple):
    x: int
    y: int


class Instant(datetime):
    def isoformat(self, sep="T", timespec="auto"):
        return "soon"


def test_subclasses_become_their_base_and_buffers_bytes():
    value = [Point(1, 2), defaultdict(list, {"a": Level.HIGH}), OrderedDict(b=2), Instant(2024, 1, 2)]
    assert unpack(pack(value)) == [[1, 2], {"a": 3}, {"b": 2}, datetime(2024, 1, 2)]
    assert unpack(pack([bytearray(b"ab"), memoryview(b"cd")])) == [b"ab", b"cd"]
    assert type(unpack(pack(np.zeros(1, [("a", "i4")]).view(np.recarray)))) is np.ndarray


def test_tuples_become_lists_but_not_as_keys():
    assert unpack(pack({(1, ("a", b"b")): (2, (3,))})) == {(1, ("a", b"b")): [2, [3]]}


def test_timestamps_of_other_libraries_are_datetimes():
    assert unpack(msgpack.packb(msgpack.Timestamp(1, 5000))) == datetime(1970, 1, 1, 0, 0, 1, 5, UTC)


@pytest.mark.parametrize(
    ("code", "payload", "value"),
    [
        (1, b"\x93NUMPY\3\0\x36\0\0\0{'descr': '|i1', 'fortran_order': False, 'shape': ()}\n\7", np.array(7, "i1")),
        (2, b"<f4\0\0\0\xc0\x3f", np.float32(1.5)),
        (3, b"\x002024-01-02T03:04:05.000006-01:30", datetime(2024, 1, 2, 3, 4, 5, 6, timezone(-timedelta(hours=1.5)))),
        (4, b"2024-01-02", date(2024, 1, 2)),
        (5, b"\x0103:04:05", time(3, 4, 5, fold=1)),
        (6, b"\xff\xff\xff\xff\0\0\0\1\0\0\0\2", timedelta(days=-1, seconds=1, microseconds=2)),
        (7, b"-1.5", Decimal("-1.5")),
        (8, bytes(range(16)), UUID(bytes=bytes(range(16)))),
    ],
)
def test_what_is_in_redis_stays_readable_after_an_upgrade(code, payload, value):
    assert pack(value) == msgpack.packb(msgpack.ExtType(code, payload))


def test_threads_do_not_disturb_each_other():
    value = {"when": [datetime(2024, 1, 1)] * 50, "array": np.arange(50)}
    with ThreadPoolExecutor(4) as pool:
        assert set(pool.map(pack, [value] * 500)) == {pack(value)}


class Tensor:
    def numpy(self): ...


OVERLAPPING = np.dtype({"names": ["a", "b"], "formats": ["i4", "i4"], "offsets": [0, 2]})


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ({1}, "msg (set): send a list"),
        ({"a": [1, 2, 3, frozenset()]}, "msg['a'][3] (frozenset): send a list"),
        ({"a": {(1, object()): 2}}, "a key of msg['a'] (object): send what it holds as"),
        ({10**5000: 1}, "a key of msg (int): it needs more than 64 bits"),
        ([-(2**63) - 1], "msg[0] (int): it needs more than 64 bits"),
        ({"x": "\ud800"}, "msg['x'] (str): UTF-8 has no lone surrogates"),
        ([memoryview(b"abcd")[::2]], "msg[0] (memoryview): memoryview: underlying buffer is not C-contiguous"),
        ({"k" * 500: [1j]}, "kkk'][0] (complex): send what it holds as"),
        (Tensor(), "Tensor): send its .numpy()"),
        ([np.array([None])], "msg[0] (numpy.ndarray): its dtype has no portable form; send .astype()"),
        (np.zeros(1, [("a", "O")]), "no portable form"),
        (np.zeros(1, [("a", "O")])[0], "no portable form"),
        (np.ma.masked_array([1, 2], [True, False]), "the mask would be lost; send .filled()"),
        (np.zeros(1, [(f"field{number:05}", "i4") for number in range(4000)]), "takes more than 65536 bytes"),
        (np.zeros(1, OVERLAPPING), "overlapping"),
        (np.zeros(3, []), "no portable form"),
    ],
)  # fmt: skip
def test_what_cannot_be_packed_is_refused_by_place_and_type(value, words):
    with pytest.raises(Unserializable) as caught:
        pack(value)
    assert words in str(caught.value)
    assert len(str(caught.value)) < 400
    with pytest.raises(Unserializable, match="result"):
        pack(value, "result")


def test_pandas_values_are_refused_with_a_way_out():
    pandas = pytest.importorskip("pandas")
    for value in (pandas.DataFrame({"a": [1]}), pandas.Series([1])):
        with pytest.raises(Unserializable, match=r"send its \.to_dict\(\) or \.to_numpy\(\)"):
            pack(value)
    for value in (pandas.Timestamp("2024-01-01"), pandas.NaT, pandas.Timedelta(1)):
        with pytest.raises(Unserializable, match=r"send its \.to_numpy\(\)"):
            pack([value])


def test_circles_and_depths_are_refused():
    circle = {"a": [1]}
    circle["a"].append((circle["a"],))
    with pytest.raises(Unserializable, match=r"msg\['a'\]\[1\]\[0\]: it is msg\['a'\] itself"):
        pack(circle)
    deep = []
    for _ in range(100_000):
        deep = [deep]
    with pytest.raises(Unserializable, match=r"msg: .*1,024 levels"):
        pack(deep)


def test_a_container_in_many_places_is_searched_once():
    value = []
    for _ in range(500):  # 2**500 ways lead to the innermost list
        value = [value, value]
    with pytest.raises(Unserializable, match="set"):
        pack([{1}, value])
    with pytest.raises(Unserializable, match="set"):
        pack([[deepest := {1}], deepest])


def ext(code, payload):
    return msgpack.packb(msgpack.ExtType(code, payload))


def npy(descr="'|i1'", shape="()", data=b"\0", header=None):
    text = (header or f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}}}").encode()
    return ext(1, b"\x93NUMPY\3\0" + len(text).to_bytes(4, "little") + text + data)


def test_the_npy_header_of_these_tests_is_good():
    assert unpack(npy()) == 0


BROKEN = {
    "nothing": b"", "cut short": pack({"a": [1, 2.5]})[:-1], "too long": pack(1) + pack(2), "unused byte": b"\xc1",
    "utf-8": b"\xa2\xff\xfe", "unknown code": ext(99, b"abc"),
    "4 G items": b"\xdd\xff\xff\xff\xff", "4 G pairs": b"\xdf\xff\xff\xff\xff", "4 GB": b"\xc6\xff\xff\xff\xff",
    "4 GB of text": b"\xdb\xff\xff\xff\xff", "4 GB of extension": b"\xc9\xff\xff\xff\xff\x01",
    "nested false lengths": b"\xdc\x0f\x00" * 1023 + bytes(1000), "deep lists": b"\x91" * 100_000,
    "deep dicts": b"\x81\x01" * 100_000, "deep key": b"\x81" + b"\x91" * 1020 + b"\1\1",
    "dict as key": b"\x81\x80\x01", "array as key": b"\x81" + npy() + b"\x01",
    "timestamp": b"\xc7\x0c\xff" + b"\xff" * 12, "far timestamp": msgpack.packb(msgpack.Timestamp(2**62)),
    "no datetime": ext(3, b""), "datetime": ext(3, b"\0" + b"never" * 1000), "fold": ext(3, b"\x022024-01-01T00:00"),
    "date": ext(4, b"\xff"), "time": ext(5, b"\x0025:00"), "timedelta": ext(6, b"123"),
    "far timedelta": ext(6, b"\x7f" + b"\xff" * 11), "decimal": ext(7, b"one"), "uuid": ext(8, b"123"),
    "no scalar": ext(2, b""), "object": ext(2, b"|O\0" + bytes(8)), "long scalar": ext(2, b"<f4\0" + bytes(8)),
    "code point": ext(2, b"<U1\0\0\0\0\x80"), "SIGFPE": ext(2, b"<M8[s/0]\0" + bytes(8)),
    "trap": ext(2, b"<M8[0s]\0" + bytes(8)), "no array": ext(1, b""), "version": ext(1, b"\x93NUMPY\1\0" + bytes(20)),
    "long header": npy(header=" " * 70_000), "header": npy(header="{'descr': "), "list header": npy(header="[1, 2]"),
    "no shape": npy(header="{'descr': '<f4'}"), "deep header": npy(header="(" * 60_000),
    "minuses": npy(header="-" * 60_000 + "1"), "sums": npy(header="1" + "+1" * 30_000),
    "array of objects": npy("'|O'", data=bytes(8)), "EB": npy(shape=f"({10**18},)"), "shape": npy(shape="'a'"),
    "negative shape": npy(shape="(-1, -1)"), "SIGFPE of a shape": npy("[]", "(-1,)", b""),
    "10**18 times nothing": npy("'|S0'", f"({10**18},)", b""),
    "100 dimensions": npy(shape=f"{(1,) * 100}"), "dtype": npy("'what?'"), "no dtype": npy("None"),
    "field": npy("[('a',)]"), "short array": pack(np.arange(9))[:-8],
}  # fmt: skip


@pytest.mark.parametrize("data", BROKEN.values(), ids=BROKEN.keys())
def test_broken_bytes_are_undecodable(data):
    with pytest.raises(Undecodable) as caught:
        unpack(data)
    assert 20 < len(str(caught.value)) < 300


def undecodable_or_fine(data):
    try:
        unpack(data)
    except Undecodable:
        return


@given(st.binary(max_size=200))
def test_random_bytes_are_undecodable_or_fine(data):
    undecodable_or_fine(data)


@given(st.integers(-1, 9), st.binary(max_size=60) | st.text(max_size=40).map(lambda text: b"\0" + text.encode()))
def test_random_extensions_are_undecodable_or_fine(code, payload):
    undecodable_or_fine(b"\xc7" + bytes((len(payload), code % 256)) + payload)


@given(VALUES, st.data())
def test_changed_bytes_are_undecodable_or_fine(value, data):
    packed = bytearray(pack(value))
    for _ in range(data.draw(st.integers(1, 4))):
        start = data.draw(st.integers(0, len(packed)))
        packed[start : start + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=3))
    undecodable_or_fine(bytes(packed))


SHAPES = st.lists(st.integers(-2, 3) | st.integers(), max_size=4).map(tuple) | st.integers() | st.text(max_size=2)
DESCRS = st.recursive(
    st.from_regex(_PLAIN_DTYPE, fullmatch=True) | st.text("<>|biufcSUVMmOT?0123456789[]ns(), ", max_size=8) | st.none(),
    lambda inner: (
        st.lists(st.tuples(st.text(max_size=2), inner) | st.tuples(st.text(max_size=2), inner, SHAPES), max_size=3)
        | st.tuples(inner, SHAPES)
    ),
    max_leaves=6,
)


@given(DESCRS, SHAPES, st.binary(max_size=32))
def test_random_npy_headers_are_undecodable_or_fine(descr, shape, data):
    undecodable_or_fine(npy(repr(descr), repr(shape), data))


def output(program):
    """What a new interpreter prints for `program`."""
    command = [sys.executable, "-c", program]
    return subprocess.run(command, cwd=Path(__file__).parents[2], check=True, capture_output=True, text=True).stdout


def test_importing_and_packing_leave_numpy_alone():
    assert output("import sys; from mlq.codec import pack; pack([1.5]); print('numpy' in sys.modules)") == "False\n"


def test_without_numpy_arrays_say_what_to_install_and_scalars_are_numbers():
    scalars = [np.float32(0.5), np.int64(-3), np.bool_(True), np.uint16(7)]
    program = f"""
import sys
sys.modules["numpy"] = None
from mlq.codec import pack, unpack
print(unpack({pack(scalars)!r}))
for data in {[pack(np.zeros(2)), pack(np.complex64(1))]!r}:
    try:
        unpack(data)
    except ValueError as error:
        print(error)
try:
    pack(set())
except TypeError:
    print("refused")
"""
    plain, array, scalar, refused = output(program).splitlines()
    assert (plain, refused) == ("[0.5, -3, True, 7]", "refused")
    assert "pip install numpy" in array
    assert "pip install numpy" in scalar
