"""What goes through the codec comes back; what can't is refused by name."""

import enum
import io
import math
from collections import OrderedDict, defaultdict
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, time, timedelta, timezone, tzinfo
from decimal import Decimal
from typing import NamedTuple
from uuid import UUID

import msgpack
import numpy as np
import pytest
from hypothesis import given

from mlq.core.codec import pack, unpack
from mlq.errors import Unserializable
from tests.unit.codec_values import ARRAYS, VALUES


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
        ({"a": {(1, object()): 2}}, "a key of msg['a'] (object): send its content as"),
        ({10**5000: 1}, "a key of msg (int): it needs more than 64 bits"),
        ([-(2**63) - 1], "msg[0] (int): it needs more than 64 bits"),
        ({"x": "\ud800"}, "msg['x'] (str): UTF-8 has no lone surrogates"),
        ([memoryview(b"abcd")[::2]], "msg[0] (memoryview): memoryview: underlying buffer is not C-contiguous"),
        ({"k" * 500: [1j]}, "kkk'][0] (complex): send its content as"),
        (Tensor(), "Tensor): send its .numpy()"),
        ([np.array([None])], "msg[0] (numpy.ndarray): its dtype object has no portable form; convert it with"),
        (np.zeros(1, [("a", "O")]), "no portable form"),
        (np.zeros(3, np.longdouble), "no portable form"),
        (np.clongdouble(1), "no portable form"),
        (np.zeros(1, [("a", [("b", np.longdouble, (2,))])]), "no portable form"),
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
    with pytest.raises(Unserializable, match=r"msg\['a'\]\[1\]\[0\]: this is msg\['a'\] itself"):
        pack(circle)
    deep = []
    for _ in range(100_000):
        deep = [deep]
    with pytest.raises(Unserializable, match=r"msg: .*1,024 levels"):
        pack(deep)


def test_a_search_in_a_large_value_lets_others_have_their_turn(monkeypatch):
    """Half a million numbers before the one that does not fit took a server 0.6 s."""
    pauses = []
    monkeypatch.setattr("mlq.core.unpackable.sleep", pauses.append)
    with pytest.raises(Unserializable, match=r"msg\[20000\]"):
        pack([*range(20_000), 2**70], "msg")
    assert pauses == [0] * 4


def test_a_container_in_many_places_is_searched_once():
    value = []
    for _ in range(500):  # 2**500 ways lead to the innermost list
        value = [value, value]
    with pytest.raises(Unserializable, match="set"):
        pack([{1}, value])
    with pytest.raises(Unserializable, match="set"):
        pack([[deepest := {1}], deepest])
