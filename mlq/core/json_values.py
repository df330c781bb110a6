"""Converts messages and results to JSON text, and JSON text to messages. Also used by the command line.

Values that JSON can't represent become:

    bytes                       {"base64": "..."}
    numpy arrays and scalars    lists and numbers, as returned by `tolist`
    datetime, date, time        ISO 8601
    timedelta                   seconds
    named tuples                objects
    Decimal, UUID               strings
    NaN and the infinities      null, as in JavaScript
    longdouble, complex         strings
    keys that are not strings   strings; if two keys become the same, the conversion fails
"""

import base64
import json
import math
import re
import threading
from collections.abc import Mapping
from datetime import date, datetime, time, timedelta
from time import sleep
from typing import Any, NoReturn, Self

from mlq.errors import InputError, Undecodable

MOST_PARTS = 500_000  # of a text that others send, as `parts_in` counts: 0.1 s to decode, if half belong to keys
MOST = 10_000_000  # most parts of a value, containers included, that are converted: some seconds, and 1 GB
TURN = 5_000  # parts after which to yield to other greenlets of the process: some milliseconds


def to_json(value: object, indent: int | None = None, *, in_turn: bool = False) -> str:
    """The value as strict JSON. Yields to other greenlets while it converts a large value, one at a time.

    `in_turn`: the caller sees to it that only one is converted, and waits for no large ones of other callers.

    Raises Undecodable if the value is nested too deeply for Python, has keys that would collide, or has too many parts.
    """
    with _Count(in_turn=in_turn) as count:
        try:
            plain = _plain(value, count)
            if count.total < TURN:
                return json.dumps(plain, ensure_ascii=False, allow_nan=False, indent=indent)
            texts = json.JSONEncoder(ensure_ascii=False, allow_nan=False, indent=indent).iterencode(plain)
            return "".join(count.passing(text) for text in texts)
        except RecursionError:
            raise Undecodable("this value is nested too deeply for JSON; read it with mlq.get_job in Python") from None


class _Count:
    """Counts the parts of a value, and yields to other greenlets. Only one large value is converted at a time."""

    _room = threading.Lock()

    def __init__(self, *, in_turn: bool) -> None:
        self.total = 0
        self._passed = 0
        self._in_turn = in_turn
        self._holds = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._holds:
            self._room.release()

    def check(self, parts: int) -> None:
        """Raises Undecodable if so many more parts would be too many."""
        if self.total + parts > MOST:
            raise Undecodable(
                f"this value has more than {MOST:,} parts, too many for JSON; read it with mlq.get_job in Python"
            )

    def add(self) -> None:
        """Count one part. Raises Undecodable."""
        self.total += 1
        if not self.total % TURN:
            self.check(0)
            self._holds = self._holds or (not self._in_turn and self._room.acquire())
            sleep(0)

    def passing(self, text: str) -> str:
        """Return the text, yielding to other greenlets now and then."""
        self._passed += 1
        if not self._passed % TURN:
            sleep(0)
        return text


def as_text(value: object) -> str:
    """A value that is neither bytes nor a container, for people to read: `str(value)`, or ISO 8601 for times."""
    return value.isoformat() if isinstance(value, (datetime, date, time)) else str(value)


def is_array(value: object) -> bool:
    """Whether it is a numpy array; numpy need not be installed."""
    return type(value).__module__ == "numpy" and hasattr(value, "tolist") and getattr(value, "shape", ()) != ()


def _plain(value: Any, count: _Count) -> Any:
    count.add()
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, (bytes, bytearray, memoryview)):
        return {"base64": base64.b64encode(value).decode()}
    if isinstance(value, Mapping):
        made = {_key(key): _plain(item, count) for key, item in value.items()}
        if len(made) < len(value):
            raise Undecodable(
                "this value has a dict with keys that are the same in JSON, such as 1 and '1'; "
                "read it with mlq.get_job in Python"
            )
        return made
    if isinstance(value, tuple) and hasattr(value, "_asdict"):
        return {name: _plain(item, count) for name, item in value._asdict().items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item, count) for item in value]
    if isinstance(value, timedelta):
        return value.total_seconds()
    if type(value).__module__ == "numpy" and hasattr(value, "tolist"):
        return _from_numpy(value, count)
    return as_text(value)


def _from_numpy(value: Any, count: _Count) -> Any:
    parts = length = 1
    for axis in value.shape:  # counted before `tolist`: an array of no bytes can become ten million empty lists
        length *= axis
        parts += length
    count.check(parts)
    dtype = value.dtype
    if dtype.names is not None and _has_dates(dtype):
        rows = value if value.shape else (value[name] for name in dtype.names)
        return [_from_numpy(part, count) for part in rows]
    made = (value.astype(str) if _has_dates(dtype) else value).tolist()
    return str(made) if type(made).__module__ == "numpy" else _plain(made, count)


def _has_dates(dtype: Any) -> bool:
    """Whether the dtype has dates or durations: `tolist` turns those in nanoseconds into bare integers."""
    return dtype.base.kind in "mM" or any(_has_dates(dtype.base[name]) for name in dtype.base.names or ())


def _key(key: object) -> str:
    if isinstance(key, bytes):
        return key.decode("utf-8", "backslashreplace")
    if key is None or isinstance(key, bool):
        return json.dumps(key)
    return as_text(key)


def from_json(text: str) -> Any:
    """The value of strict JSON. Raises ValueError for invalid JSON, NaN included, and InputError for absurd nesting.

    A number that is too large for a float, such as 1e999, becomes infinite, as Python reads it.
    """
    try:
        return _decode(text)
    except RecursionError:
        raise InputError("the JSON is nested too deeply") from None


def parts_in(text: bytes) -> int:
    """Commas, colons and opening brackets of a text of JSON: it has not many more values and keys."""
    return sum(map(text.count, (b",", b":", b"[", b"{")))


def has_too_many_parts(text: bytes) -> bool:
    """Whether parsing a text of JSON would take too much memory, or block others too long."""
    return len(text) > MOST_PARTS and parts_in(text) > MOST_PARTS


def read_message(text: str) -> Any:
    """A message given as text: its value if it is JSON, else the text itself.

    Raises InputError for what begins like JSON and is none: it is a typing error more often than a text.
    """
    try:
        return from_json(text)
    except InputError:
        raise
    except ValueError as error:
        if text.lstrip().startswith(("{", "[", '"')):
            if re.match(r"\s*[{\[]\s*'", text):
                raise InputError("the message is not JSON, which has double quotes: '{\"a\": 1}'") from None
            raise InputError(
                f"the message begins like JSON, but is not: {error}. To send it as a text, write it as a JSON string: "
                f"{json.dumps(text, ensure_ascii=False)[:200]}"
            ) from None
        return text


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not JSON")


_decode = json.JSONDecoder(parse_constant=_refuse).decode  # made once: `json.loads` would make one per call
