"""Checks values against structured types, and converts them, by pydantic or msgspec; names all fields that are wrong.

The only module that imports either for messages, and only once a type needs it. pydantic takes a type in which anything
is pydantic's own, msgspec all others, dataclasses included.
"""

import contextlib
import dataclasses
import sys
import types
import typing
from collections import abc
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from pathlib import PurePath
from typing import Annotated, Any, get_args, get_origin, get_type_hints

from mlq.errors import ValidationError

SHOWN = 20  # wrong fields that an error names
DEPTH = 6  # steps of a path; each further one would convert all below once more. Deeper, only the first is named
COLLECTED = 1000  # faults of pydantic that are made into objects: a million take 1 GB
REASON = 200  # characters shown of a reason, which may quote the value

_MISSING, _UNKNOWN = object(), object()
_LISTS = (list, tuple, set, frozenset, abc.Sequence, abc.Collection, abc.Iterable, abc.Set)
_DICTS = (dict, abc.Mapping, abc.MutableMapping)
_UNIONS = (typing.Union, types.UnionType)

Fault = tuple[str, str]  # path and reason


def libraries_of(hint: Any, seen: dict[int, Any] | None = None) -> set[str]:
    """Which of dataclasses, pydantic and msgspec the structured types in `hint` come from; empty if it has none."""
    seen = {} if seen is None else seen  # by id, since hints need not be hashable; held, so that no id is used twice
    kind = get_origin(hint) or hint
    if id(hint) in seen:
        return set()
    seen[id(hint)] = hint
    if type(kind).__name__ == "TypeAliasType":  # `type Name = ...`
        return libraries_of(kind.__value__, seen)
    if kind is Annotated:
        extras = {type(extra).__module__.partition(".")[0] for extra in hint.__metadata__}
        return extras & {"pydantic", "msgspec"} | libraries_of(hint.__origin__, seen)
    found, inner = _library_of(kind), [*get_args(hint)]
    if "dataclasses" in found or typing.is_typeddict(kind):
        inner += get_type_hints(kind, include_extras=True).values()
    return found.union(*(libraries_of(part, seen) for part in inner))


def _library_of(kind: Any) -> set[str]:
    if not isinstance(kind, type):
        return set()
    pydantic: Any = sys.modules.get("pydantic.main")
    if issubclass(kind, getattr(pydantic, "BaseModel", ())) or hasattr(kind, "__is_pydantic_dataclass__"):
        return {"pydantic"}
    if hasattr(kind, "__struct_config__"):
        return {"msgspec"}
    return {"dataclasses"} if dataclasses.is_dataclass(kind) else set()


def engine_for(hint: Any, what: str, always: str = "") -> Callable[[Any], Any]:
    """A function that converts a value to `hint`, and raises ValidationError. Raises anything if there can't be one.

    `always`: the library that is to do it, whatever the type is.
    """
    libraries = {always} if always else libraries_of(hint)
    if not libraries:
        return lambda value: value
    convert, faults = _by_pydantic(hint) if "pydantic" in libraries else _by_msgspec(hint)
    wanted = hint.__name__ if isinstance(hint, type) and not get_args(hint) else str(hint)

    def convert_or_explain(value: Any) -> Any:
        try:
            return convert(value)
        except RecursionError:
            raise ValidationError(f"{what} is nested too deeply", [("", "is nested too deeply")]) from None
        except Exception as error:
            found = list(islice(faults(value, error), SHOWN))
            if not found:  # an error of the type's own code
                raise
        words = "; ".join(f"{path}: {reason}" if path else reason for path, reason in found)
        raise ValidationError(f"{what} does not fit {wanted}: {words}", found)

    return convert_or_explain


def many_by_pydantic(hint: Any) -> Callable[[list[Any]], list[Any]]:
    """A function that converts many values at once, in half of the time. It raises something if one is wrong."""
    return _by_pydantic(list[hint])[0]


Engine = tuple[Callable[[Any], Any], Callable[[Any, Exception], Iterator[Fault]]]


def _by_pydantic(hint: Any) -> Engine:
    import pydantic

    adapter: Any = pydantic.TypeAdapter(hint)
    # Objects are sent with the names of their fields; others may use the aliases. Older ones know no such choice.
    known = tuple(map(int, pydantic.VERSION.split(".")[:2])) >= (2, 11)
    either = {"by_alias": True, "by_name": True} if known else {}

    def convert(value: Any) -> Any:
        return adapter.validate_python(value, **either)

    def faults(value: Any, error: Exception) -> Iterator[Fault]:
        if isinstance(error, pydantic.ValidationError) and error.error_count() > COLLECTED:
            yield "", f"{error.error_count():,} of its values are wrong"
        elif isinstance(error, pydantic.ValidationError):
            found = error.errors(include_url=False, include_context=False, include_input=False)
            if isinstance(value, dict) and any(each["type"] == "missing" and len(each["loc"]) == 1 for each in found):
                yield from ((path_of([key]), "is not a field") for key in _ignored(hint, value))
            for each in found:
                yield path_of(each["loc"]), each["msg"][:REASON]

    return convert, faults


def _ignored(hint: Any, value: dict[Any, Any]) -> Iterator[str]:
    """The keys that a model of pydantic ignores: one of them may be a missing field's name, misspelt."""
    fields = getattr(hint, "model_fields", {})
    aliases = [alias for field in fields.values() for alias in (field.alias, field.validation_alias) if alias]
    if fields and hint.model_config.get("extra", "ignore") == "ignore" and all(isinstance(a, str) for a in aliases):
        yield from (key for key in value if isinstance(key, str) and key not in {*fields, *aliases})


def _by_msgspec(hint: Any) -> Engine:
    import msgspec

    def convert(value: Any, wanted: Any = hint) -> Any:
        return msgspec.convert(value, wanted, dec_hook=_of_another_type)

    def faults(value: Any, error: Exception) -> Iterator[Fault]:
        if isinstance(error, msgspec.ValidationError):
            yield from _msgspec_faults(hint, value, (), convert)

    with contextlib.suppress(msgspec.ValidationError):
        convert(None)  # raises TypeError for a type that msgspec does not support, such as a union of dataclasses
    return convert, faults


def _of_another_type(wanted: Any, value: Any) -> Any:
    """For fields of types that msgspec does not know, such as arrays."""
    kind = get_origin(wanted) or wanted
    if isinstance(value, kind):
        return value
    if issubclass(kind, PurePath) and isinstance(value, str):
        return kind(value)
    generic: Any = getattr(sys.modules.get("numpy"), "generic", ())
    if issubclass(kind, generic) and isinstance(value, (int, float)):
        return kind(value)
    raise TypeError(f"Expected {kind.__qualname__}, got {type(value).__qualname__}")


def _msgspec_faults(hint: Any, value: Any, path: tuple[Any, ...], convert: Callable[..., Any]) -> Iterator[Fault]:
    """All of them, each by its own path; msgspec itself stops at the first."""
    if value is _MISSING or hint is _UNKNOWN:
        yield path_of(path), "is missing" if value is _MISSING else "is not a field"
        return
    try:
        convert(value, hint)
    except sys.modules["msgspec"].ValidationError as error:
        own, _, where = str(error).partition(" - at `$")
        parts = _parts(hint, value) if len(path) < DEPTH else ()
        inner = (_msgspec_faults(part, item, (*path, step), convert) for step, part, item in parts)
        none = True
        for fault in (fault for each in inner for fault in each):
            none = False
            yield fault
        if none:
            yield (path_of(path) + where.rstrip("`")).removeprefix("."), own.replace("`", "")[:REASON]


def _parts(hint: Any, value: Any) -> Iterable[tuple[Any, Any, Any]]:
    """The parts of a value that has parts, each as (step, type, value); _MISSING for one that is not there."""
    kind, args = get_origin(hint) or hint, get_args(hint)
    if kind is Annotated:
        return _parts(hint.__origin__, value)
    if kind in _UNIONS:
        arms = [arm for arm in args if libraries_of(arm)]
        return _parts(arms[0], value) if len(arms) == 1 else ()
    if kind in _LISTS and isinstance(value, list) and args:
        each = args if kind is tuple and args[-1] is not Ellipsis else [args[0]] * len(value)
        return zip(range(len(value)), each, value, strict=False)
    if not isinstance(value, dict):
        return ()
    if kind in _DICTS and len(args) == 2:
        return ((key, args[1], item) for key, item in value.items())
    return _fields(kind, value) if isinstance(kind, type) else ()


def _fields(kind: Any, value: dict[Any, Any]) -> Iterator[tuple[str, Any, Any]]:
    if hasattr(kind, "__struct_config__"):
        for each in sys.modules["msgspec"].structs.fields(kind):
            if each.required or each.encode_name in value:
                yield each.encode_name, each.type, value.get(each.encode_name, _MISSING)
    elif dataclasses.is_dataclass(kind):
        yield from _unknown(kind, value)
        hints, no = get_type_hints(kind, include_extras=True), dataclasses.MISSING
        for field in dataclasses.fields(kind):
            if field.name in value or field.default is field.default_factory is no:
                yield field.name, hints[field.name], value.get(field.name, _MISSING)
    elif typing.is_typeddict(kind):
        for name, part in get_type_hints(kind, include_extras=True).items():
            optional = get_origin(part) is typing.NotRequired or name not in kind.__required_keys__
            if name in value or not optional:
                wrapped = get_origin(part) in (typing.Required, typing.NotRequired)
                yield name, get_args(part)[0] if wrapped else part, value.get(name, _MISSING)


def _unknown(kind: Any, value: dict[Any, Any]) -> Iterator[tuple[str, Any, Any]]:
    """The keys that are no fields, if a field is missing: one of them may be its name, misspelt."""
    fields, no = dataclasses.fields(kind), dataclasses.MISSING
    if any(field.default is field.default_factory is no and field.name not in value for field in fields):
        names = {field.name for field in fields}
        yield from ((str(key), _UNKNOWN, value[key]) for key in value if key not in names)


def path_of(steps: Iterable[Any]) -> str:
    """`layers[0].size`."""
    words = "".join(f"[{step!r:.80}]" if not isinstance(step, str) else f".{step[:80]}" for step in steps)
    return words.removeprefix(".")
