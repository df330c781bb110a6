"""Finds the wrong fields of a value where the validator's own search takes forever: in schemas that contain themselves.

For each alternative that does not fit, the validator makes all its errors, with those of the alternatives within it.
Of a value of 1 kB that is 15 deep, that is 3 GB. Whether a value fits takes it microseconds. So this walks down the
value itself, asks that of its parts, and at a union follows the one alternative that is meant, if that is clear.
"""

from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import Any, NamedTuple
from urllib.parse import quote

from mlq.core.schemas import UNIONS, reachable, step, target, weight
from mlq.core.unions import shared

WORK = 500_000  # parts of values, each as often as it is looked at, in one search: up to 0.2 s
CALL = 3  # parts that cost as much as one look: 1 us
WEIGHT = 200  # parts of a schema that double the work of a look
FEW = 2_000  # items or fields of a part of which all wrong ones are named; of more, the first
_HERE = "urn:mlq:schema"
_OWN = frozenset(
    {"type", "enum", "const", "minimum", "exclusiveMinimum", "maximum", "exclusiveMaximum", "multipleOf", "minLength",
     "maxLength", "pattern", "format", "minItems", "maxItems", "uniqueItems", "minProperties", "maxProperties",
     "required", "dependentRequired"}
)  # fmt: skip
_NOTES = frozenset({"title", "description", "default", "examples", "deprecated", "readOnly", "writeOnly", "$defs"})

Steps = Sequence[Any]
Wrong = tuple[Steps, str]  # where, and why


class Part(NamedTuple):
    """A part of the value that does not fit a schema."""

    steps: Steps
    pointer: str  # of the schema
    value: Any


class _Spent(Exception):
    """The search has done all the work that it may."""


class RecursiveSchema:
    """One schema that contains itself."""

    def __init__(self, schema: dict[str, Any]) -> None:
        """Raises InputError, and what the validator raises for a schema that is wrong."""
        self.schema = shared(schema)
        self._nodes, _ = reachable(self.schema)
        self._meant = {pointer: self._end_of(pointer) for pointer in self._nodes}
        self.weight = 1 + weight(self.schema) // WEIGHT  # of a look at a part
        self._compiled: tuple[Any, Any, Any] | None = None

    def faults(self, value: Any, told: Callable[[Any, Any], Iterator[Wrong]]) -> Iterator[Wrong]:
        """Where a value that does not fit is wrong, and why; `told` tells that of an error of the validator."""
        return _Search(self, told).faults(value)

    def validators(self) -> tuple[Any, Any, Any]:
        """Of a part in whole, of a part without those within it, and of what tells alternatives apart.

        Each takes an object with one field, whose name is that of the schema that is meant.
        """
        if self._compiled is None:
            import jsonschema_rs

            registry = jsonschema_rs.Registry([(_HERE, self.schema)])
            nodes, draft = self._nodes, {key: self.schema[key] for key in ("$schema",) if key in self.schema}
            whole, own, tags = (
                jsonschema_rs.validator_for({**draft, "properties": parts}, registry=registry, offline=True)
                for parts in (
                    {_name(pointer): {"$ref": f"{_HERE}#{quote(pointer, safe='/~')}"} for pointer in nodes},
                    {_name(pointer): self._own(pointer) for pointer in nodes},
                    {_name(pointer): _tags(node) for pointer, node in nodes.items()},
                )
            )
            self._compiled = whole, own, tags
        return self._compiled

    def node(self, pointer: str) -> Any:
        """The schema there."""
        return self._nodes[pointer]

    def meant(self, pointer: str) -> str:
        """Where the schema there really is."""
        return self._meant[pointer]

    def parts(self, pointer: str, value: Any) -> Iterator[tuple[Any, str]]:
        """The parts of a value that the schema there has schemas for: the step to each, and its schema's pointer."""
        node = self._nodes[pointer]
        if isinstance(value, dict):
            known, others = node.get("properties", {}), node.get("additionalProperties")
            for name in value:
                if name in known:
                    yield name, f"{pointer}/properties{step(name)}"
                elif isinstance(others, dict) and "patternProperties" not in node:
                    yield name, f"{pointer}/additionalProperties"
        elif isinstance(value, (list, tuple)):
            first = len(node.get("prefixItems", ()))
            for index in range(len(value)):
                if index < first:
                    yield index, f"{pointer}/prefixItems/{index}"
                elif isinstance(node.get("items"), (dict, bool)):
                    yield index, f"{pointer}/items"

    def also(self, pointer: str) -> Iterator[str]:
        """Other schemas that a value must fit as well as the one there."""
        node = self._nodes[pointer]
        if isinstance(node.get("$ref"), str):
            yield self._meant[target(self.schema, node["$ref"])[0]]
        yield from (self._meant[f"{pointer}/allOf/{index}"] for index in range(len(node.get("allOf", ()))))

    def alternatives(self, pointer: str) -> list[str]:
        """Those of the union there."""
        node = self._nodes[pointer]
        return [
            self._meant[f"{pointer}/{union}/{index}"] for union in UNIONS for index in range(len(node.get(union, ())))
        ]

    def _own(self, pointer: str) -> Any:
        """What a schema says of a value itself, not of its parts."""
        node = self._nodes[pointer]
        if not isinstance(node, dict):
            return node
        kept = {name: one for name, one in node.items() if name in _OWN}
        if node.get("additionalProperties") is False:
            kept["additionalProperties"] = False
            for names in ("properties", "patternProperties"):
                kept[names] = dict.fromkeys(node.get(names, {}), True)
        several = [self._nodes[one] for one in self.alternatives(pointer)]
        types = [one.get("type") for one in several if isinstance(one, dict)]
        if types and "type" not in kept and all(isinstance(one, str) for one in types) and len(types) == len(several):
            kept["anyOf"] = [{"type": one} for one in dict.fromkeys(types)]
        return kept

    def _end_of(self, pointer: str) -> str:
        """The pointer of the schema that is meant by one which only refers to another."""
        for _ in range(len(self._nodes)):
            node = self._nodes[pointer]
            if not isinstance(node, dict) or len(rest := node.keys() - _NOTES) != 1:
                break
            if isinstance(node.get("$ref"), str):
                pointer = target(self.schema, node["$ref"])[0]
            elif rest == {"allOf"} and len(node["allOf"]) == 1:
                pointer += "/allOf/0"
            else:
                break
        return pointer


class _Search:
    """The search for what is wrong with one value."""

    def __init__(self, schema: RecursiveSchema, told: Callable[[Any, Any], Iterator[Wrong]]) -> None:
        self._schema, self._told = schema, told
        self._whole, self._own, self._tags = schema.validators()
        self._left = WORK

    def faults(self, value: Any) -> Iterator[Wrong]:
        """All of them; when the work is spent, the places that are known to be wrong by then."""
        left = [Part((), self._schema.meant(""), value)]
        while left:
            part = left.pop()
            found: list[Wrong | Part] = []
            try:
                found.extend(self._within(part))  # keeps those before an exception
            except _Spent:
                found = found or [(part.steps, "does not fit")]
            yield from (one for one in found if not isinstance(one, Part))
            left += reversed([one for one in found if isinstance(one, Part)])

    def _within(self, part: Part) -> Iterator[Wrong | Part]:
        """What is wrong with a part: itself, or parts of it."""
        node, found = self._schema.node(part.pointer), False
        self._spend(1)
        for one in self._of_its_own(part):
            found = True
            yield one
        if not isinstance(node, dict):
            return
        for name, pointer in self._schema.parts(part.pointer, part.value):
            inner = Part((*part.steps, name), self._schema.meant(pointer), part.value[name])
            if not self._fits(inner):
                found = True
                yield inner
        for pointer in self._schema.also(part.pointer):
            other = part._replace(pointer=pointer)
            if not self._fits(other):
                found = True
                yield other
        if not found:
            yield self._of_union(part)

    def _of_its_own(self, part: Part) -> Iterator[Wrong]:
        """What is wrong with a part whatever is within it."""
        alone = {_name(part.pointer): part.value}
        self._spend(_size(part.value, self._left))
        if self._own.is_valid(alone):
            return
        for error in self._errors(part.value, alone):
            yield from (((*part.steps, *steps[1:]), why) for steps, why in self._told(error, alone))

    def _errors(self, value: Any, alone: dict[str, Any]) -> Iterator[Any]:
        import jsonschema_rs

        if not isinstance(value, (dict, list, tuple)) or len(value) <= FEW:
            yield from self._own.iter_errors(alone)
            return
        try:
            self._own.validate(alone)
        except jsonschema_rs.ValidationError as error:
            yield error.with_traceback(None)  # as in `Checker`

    def _of_union(self, part: Part) -> Wrong | Part:
        """The alternative that is meant, if that is clear."""
        alternatives = self._schema.alternatives(part.pointer)
        if not alternatives:
            return part.steps, "does not fit"
        self._spend(_size(part.value, self._left) * len(alternatives))
        for validator in (self._tags, self._own):
            close = [one for one in alternatives if validator.is_valid({_name(one): part.value})]
            if len(close) == 1 and not self._fits(only := part._replace(pointer=close[0])):
                return only
        return part.steps, "fits none of the alternatives"

    def _fits(self, part: Part) -> bool:
        self._spend((_size(part.value, self._left) + CALL) * self._schema.weight)
        return bool(self._whole.is_valid({_name(part.pointer): part.value}))

    def _spend(self, work: int) -> None:
        if work > self._left:
            self._left = 0
            raise _Spent
        self._left -= work


def _size(value: Any, most: int) -> int:
    """How many parts a value has, or more than `most`."""
    left, seen = [value], 0
    while left and seen <= most:
        part = left.pop()
        seen += 1
        if isinstance(part, (dict, list, tuple)):
            left += islice(part.values() if isinstance(part, dict) else part, most - seen + 1)
    return seen


def _name(pointer: str) -> str:
    """The field of a schema in the validators: an empty one would have no path in their errors."""
    return f"#{pointer}"


def _tags(node: Any) -> Any:
    """What tells a schema from other alternatives: its type, and fields with one value or a few."""
    if not isinstance(node, dict):
        return node
    fixed = {
        name: {key: one[key] for key in ("const", "enum") if key in one}
        for name, one in node.get("properties", {}).items()
        if isinstance(one, dict)
    }
    return {key: node[key] for key in ("type", "const", "enum") if key in node} | {"properties": fixed}
