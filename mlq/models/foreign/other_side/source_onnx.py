"""A file of ONNX as a model, run by onnxruntime, which must be installed in this interpreter. See program.py."""

import importlib
from pathlib import Path
from typing import Any, Dict, List, Tuple

import numpy as np

onnxruntime: Any = importlib.import_module("onnxruntime")

TYPES = {  # as JSON Schema calls them, and numpy
    "tensor(float)": ("number", "float32"), "tensor(double)": ("number", "float64"),
    "tensor(float16)": ("number", "float16"), "tensor(int8)": ("integer", "int8"),
    "tensor(uint8)": ("integer", "uint8"), "tensor(int16)": ("integer", "int16"),
    "tensor(int32)": ("integer", "int32"), "tensor(int64)": ("integer", "int64"),
    "tensor(bool)": ("boolean", "bool"), "tensor(string)": ("string", "object"),
}  # fmt: skip


def class_of(target: Dict[str, str]) -> Any:
    """The class of the model in a file. Raises what onnxruntime raises, and ValueError for types that JSON lacks."""
    session = _session(target["uri"], "cpu")
    inputs, outputs = session.get_inputs(), session.get_outputs()
    for one in inputs:
        if one.type not in TYPES:
            raise ValueError(f"its input {one.name} is a {one.type}, which JSON can't hold")
    is_batched = all(one.shape and not isinstance(one.shape[0], int) for one in [*inputs, *_tensors(outputs)])
    rows = 1 if is_batched else 0
    members: Dict[str, Any] = {
        "name": target["name"], "version": target["version"], "uri": target["uri"],
        "__doc__": f"The model in {Path(target['uri']).name}.",
        "Input": _object({one.name: _schema(one, rows) for one in inputs}),
        "Output": _object({one.name: _schema(one, rows) if one.type in TYPES else {} for one in outputs}),
        "types": {one.name: TYPES[one.type][1] for one in inputs},
    }  # fmt: skip
    kind = Batched if is_batched else Single
    if is_batched and any(not isinstance(size, int) for one in inputs for size in one.shape[1:]):
        kind = Shaped
    return type("Model", (kind,), members)


class Model:
    """What the classes of models have in common."""

    uri: str
    types: Dict[str, str]

    def load(self, device: str) -> None:
        """Load it onto a device."""
        self._session = _session(self.uri, device)
        self._names = [one.name for one in self._session.get_outputs()]

    def _run(self, given: Dict[str, Any]) -> List[Any]:
        return list(self._session.run(self._names, given))


class Single(Model):
    """A model that takes one input at a time."""

    def predict(self, x: Dict[str, Any]) -> Dict[str, Any]:
        """The outputs by their names."""
        found = self._run({name: np.array(x[name], kind) for name, kind in self.types.items()})
        return {name: _plain(value) for name, value in zip(self._names, found)}


class Batched(Model):
    """A model whose tensors have a first dimension of any size: a row for each input."""

    def predict_batch(self, xs: List[Dict[str, Any]]) -> List[Dict[str, Any]]:
        """The outputs by their names, for each row."""
        found = self._run({name: np.array([x[name] for x in xs], kind) for name, kind in self.types.items()})
        return [{name: _plain(value[row]) for name, value in zip(self._names, found)} for row in range(len(xs))]


class Shaped(Batched):
    """A model whose rows may have several shapes: only those of the same shape make one tensor."""

    def group(self, x: Dict[str, Any]) -> Tuple[Any, ...]:
        """The shapes. Raises ValueError if one is ragged."""
        return tuple(np.array(x[name], kind).shape for name, kind in self.types.items())


def _session(uri: str, device: str) -> Any:
    chosen: List[Any] = ["CPUExecutionProvider"]
    if device != "cpu":
        kind, _, number = device.partition(":")
        if kind != "cuda" or "CUDAExecutionProvider" not in onnxruntime.get_available_providers():
            raise ValueError(f"this onnxruntime can't use the device {device!r}")
        chosen = [("CUDAExecutionProvider", {"device_id": int(number or 0)}), *chosen]
    return onnxruntime.InferenceSession(uri, providers=chosen)


def _tensors(given: List[Any]) -> List[Any]:
    return [one for one in given if one.type in TYPES]


def _object(parts: Dict[str, Any]) -> Dict[str, Any]:
    return {"type": "object", "properties": parts, "required": list(parts), "additionalProperties": False}


def _schema(tensor: Any, skipped: int) -> Dict[str, Any]:
    """Nested arrays, without the first dimensions that are skipped."""
    schema: Dict[str, Any] = {"type": TYPES[tensor.type][0]}
    for size in reversed(tensor.shape[skipped:]):
        bounds = {"minItems": size, "maxItems": size} if isinstance(size, int) else {}
        schema = {"type": "array", "items": schema, **bounds}
    return schema


def _plain(value: Any) -> Any:
    """An output: arrays as lists, and maps with texts as keys."""
    if isinstance(value, dict):
        return {str(key): _plain(one) for key, one in value.items()}
    if isinstance(value, list):
        return [_plain(one) for one in value]
    return value.tolist() if hasattr(value, "tolist") else value
