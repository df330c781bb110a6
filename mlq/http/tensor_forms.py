"""Which tensors a model has in the Open Inference Protocol, by the JSON Schema of its inputs or outputs. Pure.

Each row is one input. A field that is a number, text or truth value is a tensor with one value per row; a field that is
an array has further dimensions. An input that is itself such a value or array is the only tensor, named `input`.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from mlq.errors import InputError

DEEPEST = 16  # levels of a schema that are looked at; one that refers to itself has no end
SHOWN = 80  # characters of a name
_SHOWN_AS = {"boolean": "BOOL", "integer": "INT64", "number": "FP64", "string": "BYTES"}


class Column(NamedTuple):
    """A tensor of a model, by its schema."""

    name: str
    kind: str  # boolean, integer, number or string
    sizes: tuple[int, ...]  # of the dimensions of one row; -1 is any
    required: bool

    @property
    def datatype(self) -> str:
        """The datatype by which it is described."""
        return _SHOWN_AS[self.kind]

    @property
    def shape(self) -> list[int]:
        """Its shape, with any number of rows."""
        return [-1, *self.sizes]


class Form(NamedTuple):
    """The tensors of a model's inputs or outputs."""

    columns: dict[str, Column]
    is_whole: bool  # the only one is the input or output itself, and no field of it


class _Unmapped(Exception):
    """A schema that no tensor has."""


def form_of(schema: Mapping[str, Any], name: str) -> Form:
    """The tensors of a JSON Schema. `name`: of the tensor if there are no fields. Raises InputError."""
    field = ""
    try:
        root = _resolved(schema, schema)
        fields, needed, columns = root.get("properties"), set(root.get("required", ())), {}
        if not isinstance(fields, dict) or not fields:
            return Form({name: Column(name, *_tensor(schema, schema), required=True)}, is_whole=True)
        for field, one in fields.items():
            columns[field] = Column(field, *_tensor(one, schema), field in needed)
    except (_Unmapped, TypeError, AttributeError) as error:
        why = str(error) if isinstance(error, _Unmapped) else "has a schema that can't be read"
        raise InputError(f"{f'the field {field!r:.{SHOWN}} of ' if field else ''}the {name} {why}") from None
    return Form(columns, is_whole=False)


def _resolved(schema: Any, root: Mapping[str, Any]) -> Mapping[str, Any]:
    """The schema that this one refers to, if it does."""
    for _ in range(DEEPEST):
        if not isinstance(schema, Mapping):
            break
        if "$ref" not in schema:
            return schema
        found: Any = root
        for step in str(schema["$ref"]).removeprefix("#").split("/")[1:]:
            found = found.get(step.replace("~1", "/").replace("~0", "~")) if isinstance(found, Mapping) else None
        schema = found
    raise _Unmapped("may be anything")


def _tensor(schema: Any, root: Mapping[str, Any], depth: int = 0) -> tuple[str, tuple[int, ...]]:
    """The type of the values, and the sizes of the dimensions. Raises _Unmapped."""
    if depth > DEEPEST:
        raise _Unmapped("is nested without end")
    found = _resolved(schema, root)
    if choices := found.get("anyOf", found.get("oneOf")):
        some = [one for one in choices if _resolved(one, root).get("type") != "null"]
        return _common([_tensor(one, root, depth + 1) for one in some])
    kind = found.get("type", _kind_of(found))
    if kind in _SHOWN_AS:
        return kind, ()
    if kind != "array":
        raise _Unmapped("is an object" if kind == "object" else "may be anything")
    first = found.get("prefixItems")
    inner = _common([_tensor(one, root, depth + 1) for one in first or [found.get("items")]])
    least, most = found.get("minItems"), found.get("maxItems")
    return inner[0], (least if least == most and least is not None else -1, *inner[1])


def _kind_of(schema: Mapping[str, Any]) -> str | None:
    """The type of constants, which may have none beside them."""
    kinds = {bool: "boolean", int: "integer", float: "number", str: "string"}
    values = [schema["const"]] if "const" in schema else schema.get("enum", ())
    return _common([(kinds.get(type(one), ""), ()) for one in values])[0] if values else None


def _common(found: Sequence[tuple[str, tuple[int, ...]]]) -> tuple[str, tuple[int, ...]]:
    """What alternatives, or the items of an array, have in common."""
    kinds, ranks = {kind for kind, _ in found}, {len(sizes) for _, sizes in found}
    if kinds == {"integer", "number"}:
        kinds = {"number"}
    if len(kinds) != 1 or len(ranks) != 1:
        raise _Unmapped("may be of several types")
    sizes = (one.pop() if len(one) == 1 else -1 for one in map(set, zip(*(sizes for _, sizes in found), strict=True)))
    return kinds.pop(), tuple(sizes)
