"""Exceptions between processes: serialised where they were raised, rebuilt where the copy has the same message.

The same parts are sent as pickle would use, but packed: the arguments, and the attributes if there are any.
"""

import sys
from typing import Any

from mlq.core import codec
from mlq.errors import MLQError, ValidationError

TEXT_LIMIT = 64 * 1024  # characters kept of an error's message or its traceback
ARGS_LIMIT = 64 * 1024  # bytes kept of an exception's arguments, and of its attributes

_STOPS = (StopIteration, StopAsyncIteration)  # would end a loop or generator of the code that waits


def text_of(error: BaseException) -> str:
    """The exception's message, or its type's name; without lone surrogates, which can't be encoded."""
    try:
        return plain(str(error))[:TEXT_LIMIT] or type(error).__name__
    except BaseException:  # noqa: BLE001 - user code: the exception's __str__
        return type(error).__name__


def plain(words: str) -> str:
    """The text with lone surrogates replaced."""
    return words.encode("utf-8", "replace").decode()


def to_fields(error: BaseException) -> dict[str, bytes | str]:
    """The fields to rebuild the exception from; none if they would be different after the trip."""
    if type(error) is ValidationError:
        return {"error_state": codec.pack({"faults": list(map(list, error.faults))})}
    try:
        reduced: Any = error.__reduce__()
        kind, args, *rest = reduced
        state = {name: value for name, value in (rest[0] if rest and rest[0] else {}).items() if name != "args"}
        if kind is not type(error) or len(rest) > 1:
            return {}
        packed, more = codec.pack(args), codec.pack(state)
        if max(len(packed), len(more)) > ARGS_LIMIT or repr(codec.unpack(more)) != repr(state):
            return {}
        return _fields(packed, more if state else b"", repr(args))
    except BaseException:  # noqa: BLE001 - user code: `args` may be a property, and anything may have a __repr__
        return {}


def _fields(packed: bytes, more: bytes, wanted: str) -> dict[str, bytes | str]:
    """The fields, if the arguments survive packing unchanged, or do so once all lists are turned back into tuples."""
    values = codec.unpack(packed)
    fields: dict[str, bytes | str] = {"error_args": packed}
    if more:
        fields["error_state"] = more
    if repr(tuple(values)) == wanted:
        return fields
    return fields | {"error_tuples": "1"} if repr(codec.tuples(values)) == wanted else {}


def from_fields(fields: dict[str, bytes], kind: str, words: str) -> Exception | None:
    """The exception, if its class is a builtin or already imported here and the copy's message is `words`; else None.

    MLQ's own errors are not rebuilt: the caller would take a listener's error for one of its own call.
    """
    found = _class_of(kind)
    if not isinstance(found, type) or not issubclass(found, Exception) or issubclass(found, (*_STOPS, MLQError)):
        return None
    try:
        args, state = codec.unpack(fields["error_args"]), codec.unpack(fields.get("error_state", b"\xc0"))
        args = codec.tuples(args) if "error_tuples" in fields else tuple(args)
        error: Exception = found(*args)
        BaseException.__setstate__(error, state)
        if found.__reduce__ is BaseException.__reduce__:  # else its constructor may take more than `args`
            error.args = args
    except (Exception, SystemExit, GeneratorExit):  # noqa: BLE001 - user code: the exception's constructor
        return None
    return error if type(error) is found and text_of(error) == words else None


def faults_in(fields: dict[str, bytes], kind: str) -> list[tuple[str, str]]:
    """The wrong fields that a ValidationError named; none for another `kind` of error."""
    if kind != f"{ValidationError.__module__}.{ValidationError.__qualname__}":
        return []
    try:
        return [(str(path), str(reason)) for path, reason in codec.unpack(fields["error_state"])["faults"]]
    except (LookupError, TypeError, ValueError):  # of an older version, or damaged
        return []


def _class_of(kind: str) -> Any:
    """The object that `module.Outer.Inner` names, if its module is already imported."""
    names = kind.split(".")
    for cut in range(len(names) - 1, 0, -1):
        found: Any = sys.modules.get(".".join(names[:cut]))
        if found is not None:
            for name in names[cut:]:
                found = getattr(found, name, None)
            return found
    return None
