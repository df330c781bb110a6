"""The parts of the OpenAPI document that name the hosted models, with their own schemas and examples."""

import contextlib
import itertools
import re
import threading
import time
from collections.abc import Iterable
from typing import Any

from mlq import MLQ, ServerError
from mlq.core.model import ModelInfo

MOST = 512 * 1024  # characters of the schemas of all models: everybody who may read gets a copy
FRESH = 5.0  # seconds for which the list of models is used again: everybody may ask for the document


class Documented:
    """The models of a queue, as the document shows them."""

    def __init__(self, mlq: MLQ) -> None:
        """Does not contact the server."""
        self._mlq = mlq
        self._packed: tuple[str, ...] = ()
        self._until = 0.0
        self._asking = threading.Lock()

    def packed(self) -> tuple[str, ...]:
        """All versions of all models; those that were known last if the server does not respond."""
        with self._asking:
            if time.monotonic() >= self._until:
                with contextlib.suppress(ServerError):
                    self._packed = _first(state.info.packed() for state in self._mlq.models())
                self._until = time.monotonic() + FRESH
            return self._packed


def _first(packed: Iterable[str]) -> tuple[str, ...]:
    """As many as the document has room for; all are at /models."""
    several = tuple(packed)
    sizes = itertools.accumulate(map(len, several))
    return tuple(one for one, size in zip(several, sizes, strict=True) if size <= MOST)


def with_models(document: dict[str, Any], infos: list[ModelInfo]) -> dict[str, Any]:
    """The document with a path for the predictions of each model, made of the path that stands for all of them."""
    paths, schemas, newest = dict(document["paths"]), dict(document["components"]["schemas"]), set[str]()
    for info in infos:
        names = {which: f"{info.name}.{info.version}.{which}" for which in ("Input", "Output")}
        schemas[names["Input"]], schemas[names["Output"]] = (
            _moved(schema, f"#/components/schemas/{names[which]}")
            for which, schema in (("Input", info.input), ("Output", info.output))
        )
        ends = [f"/versions/{info.version}"] + [""] * (info.name not in newest)
        newest.add(info.name)
        for end in ends:
            general = document["paths"][
                "/models/{name}/versions/{version}/predict" if end else "/models/{name}/predict"
            ]
            paths[f"/models/{info.name}{end}/predict"] = {"post": _predicting(general["post"], info, names, end)}
    return document | {"paths": paths, "components": document["components"] | {"schemas": schemas}}


def _predicting(general: dict[str, Any], info: ModelInfo, names: dict[str, str], end: str) -> dict[str, Any]:
    content: dict[str, Any] = {"schema": {"$ref": f"#/components/schemas/{names['Input']}"}}
    if examples := info.input.get("examples"):
        content["example"] = examples[0]
    output = {"application/json": {"schema": {"$ref": f"#/components/schemas/{names['Output']}"}}}
    return general | {
        "operationId": re.sub(r"[^A-Za-z0-9]", _escaped, f"post/models/{info.name}{end}/predict"),
        "summary": f"Predict with {info.name}{f' {info.version}' if end else ''}",
        "description": info.about or general.get("description", ""),
        "parameters": [one for one in general["parameters"] if one["in"] != "path"],
        "requestBody": {"required": True, "content": {"application/json": content}},
        "responses": general["responses"]
        | {"200": {"description": "The output, if it was waited for.", "content": output}},
    }


def _escaped(found: re.Match[str]) -> str:
    """A character of an operation's id: a.b and a-b must not become the same."""
    return "_" if found[0] == "/" else f"_{ord(found[0]):x}_"


_DATA = ("const", "default", "enum", "examples")  # parts of a schema that are values
_BY_NAME = ("$defs", "patternProperties", "properties")  # and schemas by names of their own


def _moved(schema: Any, to: str) -> Any:
    """A JSON Schema whose references to its own parts are right at its new place in the document."""
    if isinstance(schema, dict):
        return {name: part if name in _DATA else _moved_part(name, part, to) for name, part in schema.items()}
    return [_moved(one, to) for one in schema] if isinstance(schema, list) else schema


def _moved_part(name: str, part: Any, to: str) -> Any:
    if name == "$ref":
        return _moved_reference(part, to)
    if name in _BY_NAME and isinstance(part, dict):
        return {field: _moved(one, to) for field, one in part.items()}
    if name == "mapping" and isinstance(part, dict):  # of a discriminator
        return {kind: _moved_reference(one, to) for kind, one in part.items()}
    return _moved(part, to)


def _moved_reference(reference: Any, to: str) -> Any:
    return f"{to}{reference[1:]}" if isinstance(reference, str) and reference.startswith("#/") else reference
