"""Checks values against the JSON Schema of a model, and names all fields that are wrong."""

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any

from mlq.client.recursive_schema import RecursiveSchema, Wrong
from mlq.core.json_values import from_json, to_json
from mlq.core.plain import fields_of
from mlq.core.schemas import reachable, recursive
from mlq.errors import InputError, MLQError, ValidationError
from mlq.system.extras import require

SHOWN = 20  # wrong fields that an error names
SMALL = 2_000  # parts of a value of which all wrong fields are named; of a larger one, the first: 20 ms
REASON = 200  # characters shown of a reason, which may quote the value

BOUNDS = {
    "minimum": "at least",
    "exclusiveMinimum": "greater than",
    "maximum": "at most",
    "exclusiveMaximum": "less than",
}

Fault = tuple[str, str]  # path and reason


class Checker:
    """Checks values against one schema."""

    def __init__(self, schema: dict[str, Any], what: str) -> None:
        """`what` the values are, for errors. Raises InputError if the schema is of no use, or a package is missing."""
        try:
            import jsonschema_rs
        except ImportError:
            require("models", "the check of a model's input")
            raise
        self._what = what
        try:
            self._recursive = RecursiveSchema(schema) if recursive(reachable(schema)[1]) else None
            # A schema from the server must not have this process fetch what it refers to.
            given = self._recursive.schema if self._recursive else schema
            self._validator = jsonschema_rs.validator_for(given, offline=True)
        except (InputError, ValueError, jsonschema_rs.ValidationError, jsonschema_rs.ReferencingError) as error:
            raise InputError(f"the schema of {what} can't be used: {error!s:.200}") from None

    def check(self, value: Any) -> Any:
        """The value in the form in which it is sent: an object's fields, and arrays as lists. Raises ValidationError.

        Numbers must be finite: JSON has no others.
        """
        value = fields_of(value)
        try:
            found = self._faults(value)
        except ValueError:  # it holds what JSON has no form for, such as an array
            try:
                value = from_json(to_json(value))
                found = self._faults(value)
            except (ValueError, MLQError) as error:
                found = [("", str(error)[:REASON])]
        if found:
            words = "; ".join(f"{path}: {reason}" if path else reason for path, reason in found)
            raise ValidationError(f"{self._what} does not fit its schema: {words}", found)
        return value

    def _faults(self, value: Any) -> list[Fault]:
        if self._validator.is_valid(value):  # the usual case; it takes a third of the time
            return []
        if self._recursive is not None:
            return [(path_of(steps), why) for steps, why in islice(self._recursive.faults(value, _told), SHOWN)]
        # All errors are made at once: half a million of them would take 5 s and 1 GB.
        errors = self._validator.iter_errors(value) if is_small(value) else self._first(value)
        found = islice((fault for error in errors for fault in _told(error, value)), SHOWN)
        return [(path_of(steps), why) for steps, why in found]

    def _first(self, value: Any) -> list[Any]:
        import jsonschema_rs

        try:
            self._validator.validate(value)
        except jsonschema_rs.ValidationError as error:
            return [error.with_traceback(None)]  # else it and the caller's frame, with the value, would hold each other
        return []


def is_small(value: Any) -> bool:
    """Whether a value has few parts."""
    left, seen = [value], 0
    while left and seen <= SMALL:
        part = left.pop()
        seen += 1
        if isinstance(part, (dict, list, tuple)):
            left += list(islice(part.values() if isinstance(part, dict) else part, SMALL))
    return seen <= SMALL


def _told(error: Any, value: Any) -> Iterator[Wrong]:
    """The wrong fields of one error: where, and why."""
    path, kind = list(error.instance_path), error.kind
    if kind.name == "required":
        yield [*path, kind.property], "is missing"
    elif kind.name == "additionalProperties":
        for name in kind.unexpected:
            yield [*path, name], "is not a field"
    elif kind.name == "anyOf" and all(one.kind.name == "type" for each in kind.context for one in each):
        wanted = [name for each in kind.context for one in each for name in one.kind.types]
        yield path, f"must be {' or '.join(dict.fromkeys(wanted))}, not {_shown(value, path)}"
    elif kind.name == "type":
        yield path, f"must be {' or '.join(kind.types)}, not {_shown(value, path)}"
    elif kind.name in BOUNDS:
        yield path, f"must be {BOUNDS[kind.name]} {kind.limit}, not {_shown(value, path)}"
    else:
        yield path, error.message[:REASON]


def _shown(value: Any, path: list[Any]) -> str:
    """The value at a path, shortened; the validator itself takes NaN and the infinities for null."""
    for step in path:  # a key of digits is told as a number
        value = value.get(str(step)) if isinstance(value, dict) else value[step]
    if isinstance(value, str):
        return f"a string ({value!r:.60})"
    if isinstance(value, (dict, list, tuple)):
        return "an object" if isinstance(value, dict) else "an array"
    if isinstance(value, bool):
        return str(value).lower()
    return "null" if value is None else f"{value!r:.60}"


def path_of(steps: Sequence[Any]) -> str:
    """`layers[0].size`."""
    words = "".join(f"[{step}]" if isinstance(step, int) else f".{step[:80]}" for step in steps)
    return words.removeprefix(".")
