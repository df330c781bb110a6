"""Makes the texts of a column what the model's schema declares for it: numbers, booleans, JSON. Pure."""

import math
import re
from collections.abc import Callable, Mapping
from typing import Any

from mlq.core.json_values import from_json
from mlq.core.schemas import UNIONS, target
from mlq.errors import InputError
from mlq.files.object_fields import fields_in
from mlq.files.rows import shown

_INTEGER = re.compile(r"[+-]?[0-9]{1,4000}", re.ASCII)  # Python itself reads no more digits
_BOOLEANS = {"true": True, "false": False, "1": True, "0": False}
_NULLS = frozenset({"", "null"})
_JSON_TYPES: dict[type, str] = {bool: "boolean", int: "integer", float: "number", str: "string", type(None): "null"}

MISSING = object()  # a text that stands for no value: the field is left out


class Unfit(ValueError):
    """A text does not fit its column."""


class Column:
    """How texts become values of one field."""

    def __init__(self, schema: Any, root: Any, *, required: bool) -> None:
        """`schema`: of the field, in `root`."""
        self._types = types_in(schema, root)
        self._takes_text = not self._types or "string" in self._types
        self._required = required
        self._only_numbers = self._types == {"number"}
        self._readers = [read for name, read in _READERS if name in self._types]

    def values(self, texts: list[str]) -> tuple[list[Any], bool]:
        """A value for each text, or MISSING, or an Unfit; and whether all of them are values."""
        if self._only_numbers and (numbers := _numbers(texts)) is not None:
            return numbers, True
        found = [self._value(text) for text in texts]
        return found, not any(value is MISSING or isinstance(value, Unfit) for value in found)

    def _value(self, text: str) -> Any:
        if text in _NULLS and not (text and self._takes_text):
            return self._empty(text)
        for read in self._readers:
            try:
                return read(text)
            except ValueError:
                continue
        if self._takes_text:
            return text
        return Unfit(f"must be {' or '.join(sorted(self._types - {'null'}))}, not {shown(text)}")

    def _empty(self, text: str) -> Any:
        if not self._required:
            return MISSING
        if "null" in self._types:
            return None
        return text if self._takes_text else Unfit("is empty")


def _numbers(texts: list[str]) -> list[float] | None:
    """All of them as numbers, fast; None if any needs a closer look."""
    try:
        found = list(map(float, texts))
    except ValueError:
        return None
    joined = "".join(texts)  # Python also reads 1_000, and digits of other scripts
    return found if joined.isascii() and "_" not in joined and all(map(math.isfinite, found)) else None


def _integer(text: str) -> int:
    stripped = text.strip()
    if _INTEGER.fullmatch(stripped):
        return int(stripped)
    number = _number(text)  # such as 5.0, which other programs write if a column has empty places
    if not number.is_integer() or abs(number) >= 2**53:
        raise Unfit
    return int(number)


def _number(text: str) -> float:
    if "_" in text or not text.isascii() or not math.isfinite(number := float(text)):
        raise Unfit
    return number


def _boolean(text: str) -> bool:
    if (found := _BOOLEANS.get(text.strip().lower())) is None:
        raise Unfit
    return found


def _json(kind: type) -> Callable[[str], Any]:
    def read(text: str) -> Any:
        if not isinstance(found := from_json(text), kind):
            raise Unfit
        return found

    return read


# In this order: 1 is an integer before it is a boolean.
_READERS: tuple[tuple[str, Callable[[str], Any]], ...] = (
    ("integer", _integer), ("number", _number), ("boolean", _boolean),
    ("array", _json(list)), ("object", _json(dict)),
)  # fmt: skip


def types_in(schema: Any, root: Any, depth: int = 0) -> set[str]:
    """The JSON types that a schema allows; empty if it says nothing of them, which is any."""
    if not isinstance(schema, dict) or depth > 20:  # references may form a circle
        return set()
    if isinstance(reference := schema.get("$ref"), str):
        try:
            return types_in(target(root, reference)[1], root, depth + 1)
        except InputError:
            return set()
    if (declared := schema.get("type")) is not None:
        return set(declared) if isinstance(declared, list) else {str(declared)}
    if "const" in schema or isinstance(schema.get("enum"), list):
        values = schema["enum"] if "enum" in schema else [schema["const"]]
        return {_type_of(value) for value in values}
    arms: list[Any] = next((schema[name] for name in (*UNIONS, "allOf") if isinstance(schema.get(name), list)), [])
    found = [types_in(arm, root, depth + 1) for arm in arms]
    return set().union(*found) if all(found) else set()


def _type_of(value: Any) -> str:
    return _JSON_TYPES.get(type(value), "array" if isinstance(value, list) else "object")


def columns_of(schema: Mapping[str, Any]) -> dict[str, Column]:
    """The fields of an object's schema; none if it is no object."""
    found = fields_in(schema)
    if found is None:
        return {}
    return {name: Column(each, schema, required=name in found.required) for name, each in found.schemas.items()}
