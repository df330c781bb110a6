"""The fields of an object, by its JSON Schema. Pure."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from mlq.core.schemas import target
from mlq.errors import InputError

REFERENCES = 20  # that are followed one after the other: they may form a circle


class Fields(NamedTuple):
    """The fields of an object."""

    schemas: dict[str, Any]  # by name, in order
    required: frozenset[str]


def fields_in(schema: Mapping[str, Any] | None) -> Fields | None:
    """The fields of an object that has named ones; None for a schema of anything else."""
    node = _followed(schema)
    named = node.get("properties") if isinstance(node, dict) else None
    if not isinstance(named, dict) or not named:
        return None
    required = node.get("required")
    return Fields(named, frozenset(required if isinstance(required, list) else ()))


def _followed(schema: Mapping[str, Any] | None) -> Any:
    """What a schema that only refers to a part of its own means."""
    node: Any = schema
    for _ in range(REFERENCES):
        if not isinstance(node, dict) or not isinstance(node.get("$ref"), str):
            break
        try:
            node = target(schema, node["$ref"])[1]
        except InputError:
            return None
    return node
