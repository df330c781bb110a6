"""The unions of recursive schemas: what a value costs there, which of them share their work, and which make trouble."""

import json
from typing import Any

from mlq.core.schemas import DATA, DEFINITIONS, NAMED, UNIONS, reachable, recursive, target


def shared(root: dict[str, Any]) -> dict[str, Any]:
    """The same schema in which equal unions are one definition.

    The validator tries a definition once for each part of a value. Written out in each place, as pydantic does, 16
    alternatives that contain each other take 15 s for a value that is 50 deep.
    """
    definitions: dict[str, Any] = {}
    names: dict[str, str] = {}

    def moved(node: Any) -> Any:
        if isinstance(node, list):
            return [moved(one) for one in node]
        if not isinstance(node, dict):
            return node
        found: dict[str, Any] = {}
        for name, one in node.items():
            if name in NAMED | DEFINITIONS and isinstance(one, dict):
                found[name] = {key: moved(each) for key, each in one.items()}
            else:
                found[name] = one if name in DATA else moved(one)
        for union in UNIONS:
            if isinstance(found.get(union), list):
                content = {union: found.pop(union)}
                # in any order, they allow the same values
                key = union + "".join(sorted(map(json.dumps, content[union])))
                name = names.setdefault(key, f"mlq:{len(names)}")
                definitions[name] = content
                found["allOf"] = [*found.get("allOf", []), {"$ref": f"#/$defs/{name}"}]
        return found

    whole = moved(root)
    return {**whole, "$defs": {**whole.get("$defs", {}), **definitions}}


def undecided(root: Any) -> list[str]:
    """The places of unions that pydantic would try in full at each level of a value.

    These contain themselves in several alternatives of one JSON type, and have no discriminator: each level doubles the
    work.
    """
    nodes, leads = reachable(root)
    circle, found = recursive(leads), []
    for pointer in sorted(circle):
        node = nodes[pointer]
        for union in UNIONS if isinstance(node, dict) and "discriminator" not in node else ():
            ways = [f"{pointer}/{union}/{index}" for index in range(len(node.get(union, ())))]
            kinds = [_kind(nodes[_meant(way, nodes, root)]) for way in ways if way in circle]
            found += [_place(pointer)] if len(set(kinds)) < len(kinds) else []
    return found


def _kind(node: Any) -> str:
    return str(node.get("type")) if isinstance(node, dict) else ""


def _meant(pointer: str, nodes: dict[str, Any], root: Any) -> str:
    """Where a schema that only refers to another one leads."""
    for _ in range(len(nodes)):
        node = nodes[pointer]
        reference = node.get("$ref") if isinstance(node, dict) else None
        if not isinstance(reference, str):
            break
        pointer = target(root, reference)[0]
    return pointer


def _place(pointer: str) -> str:
    """`/$defs/Add/properties/left` as `Add.left`."""
    steps = iter(pointer.split("/")[1:])
    words = [next(steps, "") for one in steps if one in NAMED | DEFINITIONS]
    return ".".join(words) or "the whole input"
