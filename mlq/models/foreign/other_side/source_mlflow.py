"""A folder of MLflow as a model, loaded by mlflow.pyfunc, which must be installed in this interpreter. See program.py.

The other side has read its signature, if it is a folder of this machine: mlflow itself takes seconds to import.
"""

import importlib
import importlib.util
import json
import os
from pathlib import Path
from typing import Any, Dict, List, Optional

TYPES = {  # of columns: as JSON Schema calls them, and pandas
    "boolean": ("boolean", "bool"), "integer": ("integer", "int32"), "long": ("integer", "int64"),
    "float": ("number", "float32"), "double": ("number", "float64"), "string": ("string", "object"),
    "datetime": ("string", "datetime64[ns]"),
}  # fmt: skip
KINDS = {"float": "number", "int": "integer", "uint": "integer", "bool": "boolean", "str": "string"}  # of tensors


def class_of(target: Dict[str, str]) -> Any:
    """The class of the model in a folder. Raises ModuleNotFoundError, and ValueError for odd signatures."""
    if importlib.util.find_spec("mlflow") is None:
        raise ModuleNotFoundError("No module named 'mlflow'")
    signature = target if "inputs" in target else _signature_of(target["uri"])
    inputs, outputs = json.loads(signature["inputs"]), json.loads(signature["outputs"])
    members = {
        "name": target["name"], "version": target["version"], "uri": target["uri"], "inputs": inputs,
        "outputs": outputs, "__doc__": f"The model in {Path(target['uri']).name}.",
        "Input": _whole(inputs, is_input=True), "Output": _whole(outputs, is_input=False),
    }  # fmt: skip
    return type("Model", (Model,), members)


def _signature_of(uri: str) -> Dict[str, str]:
    """The signature of a model at an address. Raises what mlflow raises, and ValueError if there is none."""
    signature = importlib.import_module("mlflow.models").get_model_info(uri).signature
    found = {} if signature is None else signature.to_dict()
    if not found.get("inputs") or not found.get("outputs"):
        raise ValueError(f"{uri} has no signature of its inputs and outputs: log it with infer_signature")
    return dict(found)


class Model:
    """A model of MLflow."""

    uri: str
    inputs: List[Dict[str, Any]]
    outputs: List[Dict[str, Any]]

    def load(self, device: str) -> None:
        """Load it; some flavours of MLflow heed the device."""
        if device != "cpu":
            os.environ["MLFLOW_DEFAULT_PREDICTION_DEVICE"] = device
        self._model = importlib.import_module("mlflow.pyfunc").load_model(self.uri)

    def predict_batch(self, xs: List[Any]) -> List[Any]:
        """One call for all inputs, as a frame or as tensors."""
        return _rows(self._model.predict(self._given(xs)), self.outputs)

    def _given(self, xs: List[Any]) -> Any:
        if self.inputs[0]["type"] == "tensor":
            np = importlib.import_module("numpy")
            made = {one.get("name"): np.array(_column(xs, one), one["tensor-spec"]["dtype"]) for one in self.inputs}
            return made.get(None, made)
        pandas = importlib.import_module("pandas")
        columns = {}
        for one in self.inputs:
            kind = TYPES.get(one["type"], ("", "object"))[1]
            columns[one.get("name", 0)] = pandas.Series(_column(xs, one), dtype=kind)
        return pandas.DataFrame(columns)


def _column(xs: List[Any], one: Dict[str, Any]) -> List[Any]:
    return [x.get(one["name"]) for x in xs] if "name" in one else xs


def _rows(found: Any, outputs: List[Dict[str, Any]]) -> List[Any]:
    """What the model returned, as one output for each input."""
    name: Optional[str] = outputs[0].get("name") if len(outputs) == 1 else None
    is_named = "name" in outputs[0]
    if hasattr(found, "to_dict") and hasattr(found, "columns"):
        records = found.to_dict("records")
        return [_plain(row if is_named else next(iter(row.values()))) for row in records]
    if isinstance(found, dict):
        columns = {key: _listed(column) for key, column in found.items()}
        return [_plain(dict(zip(columns, row))) for row in zip(*columns.values())]
    return [_plain({name: row} if name is not None and not isinstance(row, dict) else row) for row in _listed(found)]


def _listed(found: Any) -> List[Any]:
    return list(found.tolist() if hasattr(found, "tolist") else found)


def _plain(value: Any) -> Any:
    """Moments as texts; arrays and scalars become plain with all other outputs."""
    if isinstance(value, dict):
        return {str(key): _plain(one) for key, one in value.items()}
    return value.isoformat() if hasattr(value, "isoformat") else value


def _whole(given: List[Dict[str, Any]], *, is_input: bool) -> Dict[str, Any]:
    """The JSON Schema of one input or output: an object, if its parts have names."""
    if not given:
        raise ValueError("its signature has no columns")
    if len(given) == 1 and "name" not in given[0]:
        return _schema(given[0])
    if any("name" not in one for one in given):
        raise ValueError("its signature has several columns without names")
    parts = {one["name"]: _or_null(one) for one in given}
    required = [one["name"] for one in given if one.get("required", True)]
    schema = {"type": "object", "properties": parts, "required": required}
    return dict(schema, additionalProperties=False) if is_input else schema


def _or_null(one: Dict[str, Any]) -> Dict[str, Any]:
    schema = _schema(one)
    return schema if one.get("required", True) else {"anyOf": [schema, {"type": "null"}]}


def _schema(one: Dict[str, Any]) -> Dict[str, Any]:
    kind = one["type"]
    if kind in TYPES:
        return {"type": TYPES[kind][0]}
    if kind == "tensor":
        return _tensor(one["tensor-spec"])
    if kind == "array":
        return {"type": "array", "items": _schema(one["items"])}
    if kind == "object":
        parts = one["properties"]
        required = [name for name, part in parts.items() if part.get("required", True)]
        return {"type": "object", "properties": {name: _or_null(part) for name, part in parts.items()},
                "required": required}  # fmt: skip
    if kind == "map":
        return {"type": "object", "additionalProperties": _schema(one["values"])}
    if kind == "any":
        return {}
    raise ValueError(f"its signature has a {kind}, which JSON can't hold")


def _tensor(spec: Dict[str, Any]) -> Dict[str, Any]:
    """Nested arrays, without the dimension of the rows."""
    shape, kind = spec["shape"], str(spec["dtype"]).rstrip("0123456789")
    if not shape or shape[0] != -1:
        raise ValueError(f"its signature has a tensor of shape {shape}, which has no dimension for rows (-1) first")
    schema: Dict[str, Any] = {"type": KINDS[kind]} if kind in KINDS else {}
    for size in reversed(shape[1:]):
        bounds = {} if size == -1 else {"minItems": size, "maxItems": size}
        schema = dict(type="array", items=schema, **bounds)
    return schema
