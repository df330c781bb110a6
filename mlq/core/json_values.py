"""Values of messages and results as JSON text, and JSON text as messages. The command line uses it too.

JSON has no form for some of what MessagePack carries. It becomes:

    bytes                       {"base64": "..."}
    numpy arrays and scalars    lists and numbers, as their `tolist` gives them
    datetime, date, time        ISO 8601
    timedelta                   seconds
    Decimal, UUID               their text
    NaN and the infinities      null, as in JavaScript
    longdouble, complex         their text
    keys that are no text       their text; where two become the same, there is no JSON
"""

import base64
import json
import math
import threading
from collections.abc import Mapping
from datetime import date, datetime, time, timedelta
from time import sleep
from typing import Any, NoReturn, Self

from mlq.errors import InputError, Undecodable

MOST = 10_000_000  # parts of a value, containers among them, that JSON is made of: some seconds, and 1 GB
TURN = 5_000  # parts after which other greenlets of the process have their turn: some milliseconds


def to_json(value: object, indent: int | None = None) -> str:
    """The value as strict JSON. A large one holds up no other greenlet: it is taken in parts.

    Raises Undecodable for one that is nested too deeply for Python, whose keys would collide, or that has too many
    parts.
    """
    with _Count() as count:
        try:
            plain = _plain(value, count)
            if count.total < TURN:
                return json.dumps(plain, ensure_ascii=False, allow_nan=False, indent=indent)
            texts = json.JSONEncoder(ensure_ascii=False, allow_nan=False, indent=indent).iterencode(plain)
            return "".join(count.passing(text) for text in texts)
        except RecursionError:
            raise Undecodable("this value is nested too deeply for JSON; read it with mlq.get_job in Python") from None


class _Count:
    """Counts the parts of a value, and lets others have their turn. Only one large value is taken at a time."""

    _room = threading.Lock()

    def __init__(self) -> None:
        self.total = 0
        self._passed = 0
        self._holds = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._holds:
            self._room.release()

    def check(self, parts: int) -> None:
        """Raises Undecodable where there may not be so many more."""
        if self.total + parts > MOST:
            raise Undecodable(
                f"this value has more than {MOST:,} parts, too many for JSON; read it with mlq.get_job in Python"
            )

    def add(self) -> None:
        """One more. Raises Undecodable."""
        self.total += 1
        if not self.total % TURN:
            self.check(0)
            self._holds = self._holds or self._room.acquire()
            sleep(0)

    def passing(self, text: str) -> str:
        """The text, after a rest now and then."""
        self._passed += 1
        if not self._passed % TURN:
            sleep(0)
        return text


def as_text(value: object) -> str:
    """A value that is neither bytes nor a container, as people write it: what `str` gives, and ISO 8601 for times."""
    return value.isoformat() if isinstance(value, (datetime, date, time)) else str(value)


def is_array(value: object) -> bool:
    """Whether it is a numpy array; numpy itself need not be here."""
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
            raise Undecodable("a map has keys that are the same in JSON, such as 1 and '1'; read it in Python")
        return made
    if isinstance(value, (list, tuple)):
        return [_plain(item, count) for item in value]
    if isinstance(value, timedelta):
        return value.total_seconds()
    if type(value).__module__ == "numpy" and hasattr(value, "tolist"):
        return _from_numpy(value, count)
    return as_text(value)


def _from_numpy(value: Any, count: _Count) -> Any:
    parts = length = 1
    for axis in value.shape:  # before lists are made of it: ten million empty ones take no byte in an array
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
    """Whether there are dates or spans in it: `tolist` makes bare numbers of those that count nanoseconds."""
    return dtype.base.kind in "mM" or any(_has_dates(dtype.base[name]) for name in dtype.base.names or ())


def _key(key: object) -> str:
    if isinstance(key, bytes):
        return key.decode("utf-8", "backslashreplace")
    if key is None or isinstance(key, bool):
        return json.dumps(key)
    return as_text(key)


def from_json(text: str) -> Any:
    """The value of strict JSON. Raises ValueError for all else, NaN included, and InputError for absurd nesting.

    A number that is too large for a float, such as 1e999, becomes an infinite one, as Python reads it.
    """
    try:
        return _decode(text)
    except RecursionError:
        raise InputError("the JSON is nested too deeply") from None


def read_message(text: str) -> Any:
    """A message given as text: what it says where it is JSON, else the text itself."""
    try:
        return from_json(text)
    except InputError:
        raise
    except ValueError:
        return text


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not JSON")


_decode = json.JSONDecoder(parse_constant=_refuse).decode  # made once: `json.loads` would make one each time
