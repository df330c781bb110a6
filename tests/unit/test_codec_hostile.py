"""Broken and hostile bytes are Undecodable, and cost no more than they should."""

import subprocess
import sys
from pathlib import Path

import msgpack
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlq.core.codec import _PLAIN_DTYPE, pack, unpack
from mlq.errors import Undecodable
from tests.unit.codec_values import VALUES


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
    assert (
        output("import sys; from mlq.core.codec import pack; pack([1.5]); print('numpy' in sys.modules)") == "False\n"
    )


def test_without_numpy_arrays_say_what_to_install_and_scalars_are_numbers():
    scalars = [np.float32(0.5), np.int64(-3), np.bool_(True), np.uint16(7)]
    program = f"""
import sys
sys.modules["numpy"] = None
from mlq.core.codec import pack, unpack
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
