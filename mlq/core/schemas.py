"""Follows a JSON Schema: its sub-schemas, its references within itself, and where these lead back to themselves."""

from collections.abc import Iterator
from typing import Any
from urllib.parse import unquote

from mlq.errors import InputError

DEFINITIONS = frozenset({"$defs", "definitions"})  # they apply only where they are referred to
NAMED = frozenset({"properties", "patternProperties", "dependentSchemas"})  # names, each with a schema
DATA = frozenset({"const", "default", "enum", "examples", "example", "required", "discriminator"})  # no schemas
UNIONS = ("anyOf", "oneOf")
_ALONE = frozenset(
    {"items", "additionalItems", "additionalProperties", "contains", "propertyNames", "not", "if", "then", "else",
     "unevaluatedItems", "unevaluatedProperties"}
)  # fmt: skip
_MANY = frozenset({"anyOf", "oneOf", "allOf", "prefixItems", "items"})
_UNFOLLOWED = ("$dynamicRef", "$recursiveRef")


def step(name: str | int) -> str:
    """One step of a JSON pointer."""
    return "/" + str(name).replace("~", "~0").replace("/", "~1")


def target(root: Any, reference: str) -> tuple[str, Any]:
    """The pointer and the schema that a reference means. Raises InputError if it is none within this schema."""
    pointer, found = unquote(reference.removeprefix("#")), root
    if reference.startswith("#") and (not pointer or pointer.startswith("/")):
        for one in pointer.split("/")[1:]:
            name = one.replace("~1", "/").replace("~0", "~")
            if isinstance(found, list) and name.isdecimal() and len(name) < 6:
                found = found[int(name)] if int(name) < len(found) else None
            else:
                found = found.get(name) if isinstance(found, dict) else None
        if isinstance(found, (dict, bool)):
            return pointer, found
    raise InputError(f"it refers to {reference!r:.80}, which can't be followed: refer to '#/$defs/NAME'")


def check_followed(node: dict[str, Any], root: Any) -> None:
    """Raises InputError if references of this sub-schema can't be followed, or mean others than they seem to."""
    for name in _UNFOLLOWED:
        if isinstance(node.get(name), str):
            raise InputError(f"it has a {name}, which can't be followed: refer to '#/$defs/NAME'")
    if isinstance(node.get("$id"), str) and node is not root:
        raise InputError("a part of it has an $id of its own: references within that part would mean others")


def parts_of(node: Any) -> Iterator[tuple[str, Any]]:
    """The schemas directly within this one, with their pointers from here; not its definitions."""
    for name, one in node.items() if isinstance(node, dict) else ():
        if name in NAMED and isinstance(one, dict):
            yield from ((step(name) + step(key), each) for key, each in one.items())
        elif name in _MANY and isinstance(one, list):
            yield from ((f"{step(name)}/{index}", each) for index, each in enumerate(one))
        elif name in _ALONE and isinstance(one, (dict, bool)):
            yield step(name), one


def weight(root: Any) -> int:
    """How many parts a schema has, if every reference within it is followed, but none within itself.

    So it is a measure of the work that one part of a value makes. Raises InputError if there is a reference that can't
    be followed; RecursionError.
    """
    return _weight(root, root, {})


def _weight(node: Any, root: Any, known: dict[str, int], *, is_schema: bool = True) -> int:
    if isinstance(node, list):
        return 1 + sum(_weight(one, root, known, is_schema=is_schema) for one in node)
    if not isinstance(node, dict):
        return 1
    if not is_schema:
        return 1 + sum(_weight(one, root, known, is_schema=False) for one in node.values())
    check_followed(node, root)
    total = 1
    for name, one in node.items():
        if name in NAMED and isinstance(one, dict):
            total += 1 + sum(_weight(each, root, known) for each in one.values())
        elif name not in DEFINITIONS:
            total += _weight(one, root, known, is_schema=name not in DATA)
    reference = node.get("$ref")
    if isinstance(reference, str):
        pointer, found = target(root, reference)
        if pointer not in known:
            known[pointer] = 1  # while it is followed
            known[pointer] = _weight(found, root, known)
        total += known[pointer]
    return total


def reachable(root: Any) -> tuple[dict[str, Any], dict[str, list[str]]]:
    """All schemas that apply somewhere, by their pointers, and to which others each leads. Raises InputError."""
    nodes, leads, left = {"": root}, {}, [""]
    while left:
        pointer = left.pop()
        node = nodes[pointer]
        found = [(pointer + way, one) for way, one in parts_of(node)]
        if isinstance(node, dict):
            check_followed(node, root)
            if isinstance(node.get("$ref"), str):
                found.append(target(root, node["$ref"]))
        leads[pointer] = list(dict.fromkeys(other for other, _ in found))
        left += [other for other, _ in found if other not in nodes]
        nodes.update(found)
    return nodes, leads


def recursive(leads: dict[str, list[str]]) -> set[str]:
    """The pointers of schemas that lead back to themselves, and of those between two such circles."""
    back: dict[str, list[str]] = {pointer: [] for pointer in leads}
    for pointer, others in leads.items():
        for other in others:
            back[other].append(pointer)
    return _without_ends(_without_ends(set(leads), leads, back), back, leads)


def _without_ends(kept: set[str], leads: dict[str, list[str]], back: dict[str, list[str]]) -> set[str]:
    """What remains if those that lead nowhere are taken away, one after another."""
    kept = set(kept)
    ways = {pointer: sum(other in kept for other in leads[pointer]) for pointer in kept}
    ends = [pointer for pointer, count in ways.items() if not count]
    while ends:
        gone = ends.pop()
        kept.discard(gone)
        for before in filter(kept.__contains__, back[gone]):
            ways[before] -= 1
            ends += [] if ways[before] else [before]
    return kept
