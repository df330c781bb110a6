"""The unions of recursive schemas, and how equal ones share their work."""

import json
from typing import Any

from mlq.core.schemas import DATA, DEFINITIONS, NAMED, UNIONS


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
                name = names.setdefault(json.dumps(content), f"mlq:{len(names)}")
                definitions[name] = content
                found["allOf"] = [*found.get("allOf", []), {"$ref": f"#/$defs/{name}"}]
        return found

    whole = moved(root)
    return {**whole, "$defs": {**whole.get("$defs", {}), **definitions}}
