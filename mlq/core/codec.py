"""Turns values into bytes and back: MessagePack and a few extension types.

The extension types, whose codes and payloads never change:

    code  type           payload
    -1    (timestamp)    MessagePack's own: never written; read as a datetime in UTC, since other libraries send it
     1    numpy.ndarray  a .npy file of version 3.0, never with Python objects; comes back writable
     2    numpy.generic  the dtype's `str`, NUL, the bytes; for a structured scalar a 0-d .npy file
     3    datetime       one byte of fold (0 or 1), then ISO 8601, with the offset if there is one
     4    date           ISO 8601
     5    time           as datetime
     6    timedelta      days, seconds and microseconds: big-endian int32, uint32, uint32
     7    Decimal        as a string
     8    UUID           16 bytes, big-endian

Some values come back as another type: a tuple as a list (but as the key of a dict, it stays a tuple), an instance of a
subclass as its base (defaultdict, IntEnum, numpy.matrix, ...), a bytearray or memoryview as bytes, a named time zone as
its offset. numpy's float64, str_ and bytes_ are subclasses of float, str and bytes and become those; its other scalars
keep their type, or become the equal Python number for a reader without numpy.

Dataclasses, pydantic models and msgspec structs become dicts of their fields (`plain.py`).

numpy is optional: packing looks for it only among the modules already loaded (otherwise there can't be a numpy value),
and unpacking imports it for the first numpy value. The same goes for decimal, which would cost each process 0.4 MB.
"""

import ast
import functools
import importlib
import math
import re
import struct
import sys
from collections.abc import Callable
from datetime import date, datetime, time, timedelta
from typing import Any
from uuid import UUID

from msgpack import ExtType, Packer, unpackb  # type: ignore[import-untyped]

from mlq.core.plain import fields_of
from mlq.core.unpackable import UNPACKABLE, advice, explain, reason
from mlq.errors import Undecodable, Unserializable

_NPY_MAGIC = b"\x93NUMPY\x03\x00"
_NPY_HEADER_MAX = 65_536  # bytes; enough for a structured dtype of 2,000 fields
_DELTA = struct.Struct(">iII")
# `struct` codes of the numpy scalars that equal a Python number.
_CODES = dict(zip("b1 i1 i2 i4 i8 u1 u2 u4 u8 f2 f4 f8".split(), "?bhiqBHIQefd", strict=True))  # noqa: SIM905
# The only dtypes that are read: numpy's own reader crashes (SIGFPE) on "<M8[s/0]" and makes a time bomb of "<M8[0s]".
_PLAIN_DTYPE = re.compile(r"[|<>][biufcSUV][0-9]{1,10}|[<>][mM]8(\[([1-9][0-9]{0,8})?[A-Za-z]{1,2}\])?")
# The only dtypes that are written: a long double has a different layout on other machines, under the same name.
_PORTABLE_DTYPE = re.compile(rf"(?!.(f1[26]|c24|c32)$)(?:{_PLAIN_DTYPE.pattern})")

# What msgpack, numpy, ast, struct, decimal and datetime raise for corrupt bytes. Not `Exception`: a time limit that is
# raised into this thread must get through.
_BROKEN = (TypeError, ValueError, ArithmeticError, LookupError, MemoryError, RecursionError, SyntaxError, SystemError,
           struct.error)  # fmt: skip


def pack(value: object, name: str = "msg") -> bytes:
    """The bytes of `value`. Raises Unserializable, which names the offending part of `name` (`msg['a'][3]`)."""
    try:
        # A Packer per call: a shared one would mix the output of threads; one per thread would save 0.03 of 0.45 µs
        # and hold on to the memory of its largest message. msgpack's default buffer of 256 KiB would cost 0.2 µs more.
        packed: bytes = Packer(default=_extend, buf_size=4096).pack(value)
    except UNPACKABLE as error:
        raise Unserializable(f"cannot serialise {explain(value, name, error, _extend)}") from error
    return packed


def unpack(data: bytes | memoryview) -> Any:
    """The value that `pack` wrote. Raises Undecodable for anything else, and for arrays if numpy is not installed.

    Lengths beyond the end of `data` are refused before anything is allocated. msgpack trusts shorter ones: nested lists
    with inflated lengths briefly take 85 MB and 0.1 s if `data` is 1 MB, 170 MB and 0.3 s if it is 10 MB.
    """
    try:
        try:
            return unpackb(data, strict_map_key=False, ext_hook=_restore, timestamp=3)
        except TypeError:  # a list as a key: rare, so decode a second time instead of checking every key every time
            return unpackb(data, strict_map_key=False, ext_hook=_restore, timestamp=3, object_pairs_hook=_tuple_keys)
    except ImportError as error:
        raise Undecodable("this is a numpy value, which can't be read without numpy: pip install numpy") from error
    except _BROKEN as error:
        raise Undecodable(f"{len(data)} bytes that are not a packed value: {reason(error)}") from error


def unpack_raw(data: bytes) -> Any:
    """What a script packed (`cmsgpack`): lists of strings, which stay bytes."""
    try:
        return unpackb(data, raw=True)
    except _BROKEN as error:
        raise Undecodable(f"{len(data)} bytes that no MLQ script packed: {reason(error)}") from error


def _tuple_keys(pairs: list[tuple[object, object]]) -> dict[object, object]:
    return {tuples(key): value for key, value in pairs}


def tuples(value: Any) -> Any:
    """A list as a tuple, and so on for the lists in it."""
    return tuple(map(tuples, value)) if isinstance(value, list) else value


def _moment_bytes(kind: Any, value: Any) -> bytes:
    """A datetime or a time. Uses `isoformat` of `kind`, since a subclass may format itself differently."""
    return bytes((value.fold,)) + bytes(kind.isoformat(value), "ascii")


def _read_moment(kind: Any, payload: bytes) -> object:
    return kind.fromisoformat(payload[1:].decode()).replace(fold=payload[0])


_EXTENSIONS: tuple[tuple[int, type, Callable[[Any], bytes], Callable[[bytes], object]], ...] = (
    # datetime stands before date, of which it is a subclass
    (3, datetime, functools.partial(_moment_bytes, datetime), functools.partial(_read_moment, datetime)),
    (4, date, lambda v: date.isoformat(v).encode(), lambda p: date.fromisoformat(p.decode())),
    (5, time, functools.partial(_moment_bytes, time), functools.partial(_read_moment, time)),
    (6, timedelta, lambda v: _DELTA.pack(v.days, v.seconds, v.microseconds), lambda p: timedelta(*_DELTA.unpack(p))),
    (8, UUID, lambda v: v.bytes, lambda p: UUID(bytes=p)),
)


def _read_decimal(payload: bytes) -> object:
    return importlib.import_module("decimal").Decimal(payload.decode())


def _extend(value: object) -> object:
    """Packs types that MessagePack lacks. Raises TypeError, with advice, if there is no extension type either."""
    if type(value).__module__.partition(".")[0] != "pandas":  # its Timestamp is a datetime, but with nanoseconds
        for code, kind, write, _ in _EXTENSIONS:
            if isinstance(value, kind):
                return ExtType(code, write(value))
        if isinstance(value, getattr(sys.modules.get("decimal"), "Decimal", ())):
            return ExtType(7, str(value).encode())
        numpy = sys.modules.get("numpy")
        if isinstance(value, getattr(numpy, "ndarray", ())):
            return ExtType(1, _array_bytes(value))
        if isinstance(value, getattr(numpy, "generic", ())):
            return ExtType(2, _scalar_bytes(value))
    if (fields := fields_of(value)) is not value:
        return fields
    raise TypeError(advice(value))


def _restore(code: int, payload: bytes) -> object:
    """Unpacks an extension type. Raises ImportError if it needs numpy and that isn't installed, or any of _BROKEN."""
    if code not in _READERS:
        raise ValueError(f"extension type {code} is unknown")
    return _READERS[code](payload)


# --- numpy

_numpy = functools.partial(importlib.import_module, "numpy")


def _array_bytes(array: Any) -> bytes:
    """An array as a .npy file. Raises TypeError or ValueError if it has Python objects, a mask or an unusual dtype.

    Done here because numpy's writer takes 10 µs for a small array and its reader 35 µs; ours take 4 µs each.
    """
    if isinstance(array, getattr(sys.modules.get("numpy.ma"), "MaskedArray", ())):
        raise TypeError("the mask would be lost; send .filled(), or .data and .mask")
    fortran: bool = array.flags.fnc
    header = f"{{'descr': {_descr(array.dtype)}, 'fortran_order': {fortran}, 'shape': {array.shape}}}\n".encode()
    if len(header) > _NPY_HEADER_MAX:
        raise ValueError(f"the description of its dtype takes more than {_NPY_HEADER_MAX} bytes")
    # `tobytes` would copy: 1.6 ms for 1 MB instead of 0.07. Viewed as void because datetime64 exports no buffer.
    data = _numpy().ascontiguousarray(array.T if fortran else array).view(f"V{array.dtype.itemsize}")
    return b"".join((_NPY_MAGIC, len(header).to_bytes(4, "little"), header, data))


def _read_array(payload: bytes) -> Any:
    npy = _numpy().lib.format
    end = 12 + int.from_bytes(payload[8:12], "little")
    if not payload.startswith(_NPY_MAGIC) or end > 12 + _NPY_HEADER_MAX:
        raise ValueError("not a .npy file of version 3.0")
    descr, order, shape = _read_header(payload[12:end])
    return _build(npy.descr_to_dtype(descr), shape, memoryview(payload)[end:], order)


def _build(dtype: Any, shape: tuple[int, ...], data: bytes | memoryview, order: str = "C") -> Any:
    """An array with a copy of `data`, whose length must fit dtype and shape; zero-size items are refused."""
    if not dtype.itemsize or math.prod(shape) * dtype.itemsize != len(data):
        raise ValueError(f"{len(data)} bytes for an array of shape {shape} and dtype {dtype}")
    return _numpy().ndarray(shape, dtype, bytearray(data), order=order)


@functools.lru_cache(maxsize=64)  # saves 20 µs when many arrays have the same shape
def _read_header(header: bytes) -> tuple[Any, str, tuple[int, ...]]:
    """The dtype's description, the order (C or F), and the shape."""
    fields = ast.literal_eval(header.decode())
    descr, shape = fields["descr"], fields["shape"]
    if not _is_plain(descr) or min(shape, default=0) < 0:
        raise ValueError(f"no array has the shape {shape} and the dtype {descr}")
    return descr, "F" if fields["fortran_order"] else "C", shape


@functools.lru_cache(maxsize=64)
def _descr(dtype: Any) -> str:
    """A dtype as a .npy file describes it. Raises TypeError or ValueError if it would come back different."""
    if not dtype.hasobject and dtype.itemsize:
        npy = _numpy().lib.format
        descr = npy.dtype_to_descr(dtype)
        # a bfloat16 would come back as two raw bytes
        if _is_plain(descr, _PORTABLE_DTYPE) and npy.descr_to_dtype(descr) == dtype:
            return repr(descr)
    raise TypeError(f"its dtype {dtype} has no portable form; convert it with .astype() to a plain one, or .tolist()")


def _is_plain(descr: object, kinds: re.Pattern[str] = _PLAIN_DTYPE) -> bool:
    if isinstance(descr, list):
        return all(_is_plain(field[1], kinds) for field in descr)
    return isinstance(descr, str) and kinds.fullmatch(descr) is not None


def _scalar_bytes(scalar: Any) -> bytes:
    if scalar.dtype.kind == "V":
        return _array_bytes(sys.modules["numpy"].asarray(scalar))
    _descr(scalar.dtype)  # refuses a dtype that would come back different
    return b"\0".join((scalar.dtype.str.encode(), scalar.tobytes()))


def _read_scalar(payload: bytes) -> Any:
    if payload.startswith(_NPY_MAGIC):
        return _read_array(payload)[()]
    head, _, data = payload.partition(b"\0")
    kind = head.decode()
    if not _is_plain(kind):
        raise ValueError(f"no scalar has dtype {kind}")
    try:
        return _build(_numpy().dtype(kind), (), data)[()]
    except ImportError:
        if kind[1:] not in _CODES:
            raise
        return struct.unpack(kind[0].replace("|", "=") + _CODES[kind[1:]], data)[0]


_READERS = {1: _read_array, 2: _read_scalar, 7: _read_decimal, **{code: read for code, _, _, read in _EXTENSIONS}}
