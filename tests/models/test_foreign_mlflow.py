"""Folders of MLflow as models: what is read here without mlflow, and what is asked where it is installed."""

import json
import os
import pickle
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import pytest

from mlq import MLQ, InputError, NotLoaded
from mlq.models.config import read
from mlq.models.foreign.description import described
from mlq.models.foreign.hosting import source_of_uri
from tests.models.interpreters import bare

__all__ = ["bare"]

REAL = os.environ.get("MLQ_TEST_MLFLOW")  # an interpreter with mlflow, pandas and scikit-learn
HERE = ".".join(map(str, sys.version_info[:2]))

# As mlflow 3.17 writes it.
MLMODEL = """
flavors:
  python_function:
    env:
      conda: conda.yaml
      virtualenv: python_env.yaml
    loader_module: mlflow.sklearn
    python_version: {python}.7
mlflow_version: 3.17.2
signature:
  inputs: '{inputs}'
  outputs: '{outputs}'
  params: null
utc_time_created: '2026-11-30 00:50:16.772287'
"""
COLUMNS = [{"type": "double", "name": "a b", "required": True}, {"type": "long", "name": "n"},
           {"type": "string", "name": "word", "required": False}]  # fmt: skip
NUMBERS = [{"type": "tensor", "tensor-spec": {"dtype": "int64", "shape": [-1]}}]


def tensor(*shape, dtype="float64", **more):
    return {"type": "tensor", "tensor-spec": {"dtype": dtype, "shape": list(shape)}, **more}


@pytest.fixture
def folder(tmp_path):
    """Writes a folder of MLflow."""

    def write(inputs=COLUMNS, outputs=NUMBERS, python=HERE, text=MLMODEL, model=None):
        filled = text.format(python=python, inputs=json.dumps(inputs), outputs=json.dumps(outputs))
        (tmp_path / "MLmodel").write_text(filled)
        (tmp_path / "python_env.yaml").write_text(f"python: {python}.7\ndependencies:\n- -r requirements.txt\n")
        (tmp_path / "model.pkl").write_bytes(pickle.dumps(model))
        return tmp_path

    return write


# What stands for mlflow: its one function, for models that are pickled functions of builtins.
STAND_IN = """
import pickle
class Loaded:
    def __init__(self, uri):
        with open(uri + "/model.pkl", "rb") as file:
            self.text = pickle.load(file)
    def predict(self, data):
        import numpy, pandas
        return eval(self.text, {"data": data, "numpy": numpy, "pandas": pandas})
load_model = Loaded
"""
STAND_IN_OF_MODELS = """
import json, os
class Signature:
    def __init__(self, found):
        self.to_dict = lambda: found
class Info:
    def __init__(self, found):
        self.signature = found and Signature(found)
def get_model_info(uri):
    with open(os.environ["REGISTRY"]) as file:
        return Info(json.load(file)[uri])
"""


@pytest.fixture(scope="session")
def with_mlflow(tmp_path_factory):
    """An interpreter with pandas, and what stands for mlflow."""
    folder = tmp_path_factory.mktemp("mlflow")
    venv.create(folder, symlinks=True)
    packages = folder / "lib" / f"python{HERE}" / "site-packages"
    (packages / "others.pth").write_text(sysconfig.get_path("purelib"))
    (packages / "mlflow").mkdir()
    (packages / "mlflow" / "__init__.py").write_text("")
    (packages / "mlflow" / "pyfunc.py").write_text(STAND_IN)
    (packages / "mlflow" / "models.py").write_text(STAND_IN_OF_MODELS)
    return str(folder / "bin" / "python")


def hosted(folder, python, **options):
    """The MLQ object that hosts a folder, and the listener."""
    mlq = MLQ()
    mlq.add_model(f"mlflow:{folder}", python=python, name="m", version="1", **options)
    (listener,) = mlq.listeners.all()
    return mlq, listener


def why(mlq):
    load = mlq.listeners.loads.all()["m@1"]
    assert load.state == "broken"
    return load.why


def test_the_signature_is_the_schema(folder, with_mlflow):
    source = source_of_uri(f"mlflow:{folder()}", {"python": with_mlflow, "name": "m", "version": "1"}, Path("/"))
    told = described(source)
    assert told.input == {
        "type": "object", "additionalProperties": False, "required": ["a b", "n"],
        "properties": {"a b": {"type": "number"}, "n": {"type": "integer"},
                       "word": {"anyOf": [{"type": "string"}, {"type": "null"}]}},
    }  # fmt: skip
    assert (told.output, told.methods) == ({"type": "integer"}, ["predict_batch"])


@pytest.mark.parametrize(
    ("inputs", "outputs", "model", "given", "found"),
    [
        (COLUMNS, NUMBERS, "(data['a b'] + data['n']).to_numpy().astype(int)", {"a b": 1, "n": 2}, 3),
        (COLUMNS, [{"type": "string", "name": "t"}], "[' '.join(map(str, data.dtypes[:2]))] * 2",
         {"a b": 1, "n": 2}, {"t": "float64 int64"}),
        (COLUMNS, [{"type": "double", "name": "x"}, {"type": "long", "name": "y"}],
         "pandas.DataFrame({'x': data['a b'], 'y': data['n']})", {"a b": 1, "n": 2, "word": "w"}, {"x": 1.0, "y": 2}),
        ([tensor(-1, 2)], [tensor(-1, 2)], "data * 2", [1, 2], [2.0, 4.0]),
        ([tensor(-1, 2, name="a"), tensor(-1, name="b")], [tensor(-1, name="c")], "{'c': data['a'][:, 0] + data['b']}",
         {"a": [1, 2], "b": 5}, {"c": 6.0}),
        ([{"type": "string"}], [{"type": "string"}], "data[0].str.upper()", "word", "WORD"),
        ([{"type": "array", "items": {"type": "double"}, "name": "l"}], [{"type": "double"}],
         "pandas.DataFrame({'s': [sum(l) for l in data['l']]})", {"l": [1, 2]}, 3.0),
        ([{"type": "any"}], [{"type": "datetime", "name": "d"}], "pandas.DataFrame({'d': pandas.to_datetime(data[0])})",
         "2026-11-30", {"d": "2026-11-30T00:00:00"}),
    ],
    ids=range(8),
)  # fmt: skip
def test_predictions(folder, with_mlflow, inputs, outputs, model, given, found):
    _, listener = hosted(folder(inputs, outputs, model=model), with_mlflow)
    assert listener.function([listener.convert(given)] * 2) == [found] * 2


@pytest.mark.parametrize(
    ("inputs", "outputs", "words"),
    [
        ([], NUMBERS, "its signature has no columns"),
        ([{"type": "long"}, {"type": "long"}], NUMBERS, "several columns without names"),
        ([{"type": "binary", "name": "b"}], NUMBERS, "has a binary, which JSON can't hold"),
        ([tensor(3, 4)], NUMBERS, "which has no dimension for rows"),
    ],
)
def test_signatures_that_are_no_json(folder, with_mlflow, inputs, outputs, words):
    mlq, _ = hosted(folder(inputs, outputs), with_mlflow)
    assert words in why(mlq)


def test_folders_without_a_signature(folder, with_mlflow, tmp_path):
    path = folder(text="flavors: {{}}\n")
    mlq, listener = hosted(path, with_mlflow)
    assert (
        why(mlq)
        == f"{path} has no signature of its inputs and outputs: log the model with signature=infer_signature(...)"
    )
    with pytest.raises(NotLoaded, match="has no signature"):
        listener.function([1])
    assert "no signature of its outputs" in why(
        hosted(folder(text="signature: {{inputs: '[]', outputs: null}}"), "x")[0]
    )


@pytest.mark.parametrize(("text", "words"), [("a: [", "MLmodel can't be read"),
                                             ("a: &a\n  b: 1\nc:\n  <<: *a", "has no signature"),
                                             ("a: !!int ''\nb: !!timestamp x\nc: !!bool x", "has no signature"),
                                             ("a: " + "1:" * 100_000 + "1.0", "has no signature"),
                                             ("a: !!python/object/apply:os.abort []", "has no signature"),
                                             ("[" * 100_000, "MLmodel can't be read"),
                                             ("a: b\n" * 100_000, "has more than 262,144 bytes"),
                                             ("{{[a]: 1}}", "MLmodel can't be read"),
                                             ("- 1", "has no signature"),
                                             ("\\x00", "has no signature")])  # fmt: skip
def test_files_that_are_no_description(folder, text, words):
    mlq, _ = hosted(folder(text=text), "x")
    assert words in why(mlq)


def test_a_folder_that_is_missing(tmp_path):
    mlq, _ = hosted(tmp_path / "none", "x")
    assert why(mlq) == f"{tmp_path}/none/MLmodel can't be read: there is no such file"


@pytest.mark.parametrize("name", ["../../../etc/passwd", "/dev/zero", "pipe"])
def test_an_environment_that_is_no_file_of_the_folder(folder, tmp_path, name):
    os.mkfifo(tmp_path / "pipe")
    path = folder(text=MLMODEL.replace("python_env.yaml", name))
    source = source_of_uri(f"mlflow:{path}", {"name": "m", "version": "1"}, tmp_path)
    assert "there is no such file" in source.why if name == "pipe" else "names a file that is not in it" in source.why


def test_without_mlflow_where_it_runs(folder, bare):
    mlq, _ = hosted(folder(), bare)
    assert why(mlq) == f"{bare}: ModuleNotFoundError: No module named 'mlflow'"


def test_a_python_that_is_not_there(folder, monkeypatch, tmp_path):
    """Unless the configuration names another one."""
    path = folder(python="3.2")
    source = source_of_uri(f"mlflow:{path}", {"name": "m", "version": "1"}, tmp_path)
    assert source.why.startswith(f"{path} was saved by Python 3.2, and there is no python3.2 on the path")
    assert source_of_uri(f"mlflow:{path}", {"name": "m", "version": "1", "python": "x"}, tmp_path).why == ""
    there = tmp_path / "python3.2"
    there.write_text("#!/bin/sh\n")
    there.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    assert source_of_uri(f"mlflow:{path}", {"name": "m", "version": "1"}, tmp_path).python == str(there)
    same = source_of_uri(f"mlflow:{folder()}", {"name": "m", "version": "1"}, tmp_path)
    assert (same.python, same.why) == (sys.executable, "")


@pytest.mark.parametrize("uri", ["models:/churn/1", "runs:/abc/model", "s3://bucket/churn", "https://a.example/churn"])
def test_a_remote_folder_is_refused(tmp_path, uri):
    path = tmp_path / "models.toml"
    path.write_text(f'[[models]]\nsource = "mlflow:{uri}"\nname = "m"\nversion = "1"\n')
    with pytest.raises(InputError, match="is not a path: copy the model to this machine"):
        read(path, {})


@pytest.fixture
def registry(tmp_path, monkeypatch):
    """What is registered, by address."""
    file = tmp_path / "registry.json"
    monkeypatch.setenv("REGISTRY", str(file))

    def write(**models):
        file.write_text(json.dumps({f"models:/{name}/1": found for name, found in models.items()}))

    return write


def test_a_remote_model_that_is_allowed(with_mlflow, registry):
    """Its interpreter reads the signature, and would download the rest when the model is loaded."""
    registry(churn={"inputs": json.dumps(COLUMNS), "outputs": json.dumps(NUMBERS), "params": None})
    options = {"python": with_mlflow, "name": "m", "version": "1", "remote": True}
    told = described(source_of_uri("mlflow:models:/churn/1", options, Path("/")))
    assert (told.input["required"], told.output) == (["a b", "n"], {"type": "integer"})


@pytest.mark.parametrize("found", [None, {"inputs": "[]", "outputs": None}])
def test_a_remote_model_without_a_signature(with_mlflow, registry, found):
    registry(bare=found)
    mlq = MLQ()
    mlq.add_model("mlflow:models:/bare/1", python=with_mlflow, name="m", version="1", remote=True)
    assert "models:/bare/1 has no signature of its inputs and outputs" in why(mlq)


def test_a_remote_model_that_is_not_there(with_mlflow, registry):
    registry()
    mlq = MLQ()
    mlq.add_model("mlflow:models:/none/1", python=with_mlflow, name="m", version="1", remote=True)
    assert why(mlq).startswith(f"{with_mlflow}: KeyError")


@pytest.mark.parametrize(
    ("source", "remote", "words"),
    [
        ("mlflow:models:/churn/1", "yes", "remote must be true or false"),
        ("onnx:https://a.example/m", True, "is not a path"),
    ],
)
def test_what_remote_can_not_be(source, remote, words):
    with pytest.raises(InputError, match=words):
        source_of_uri(source, {"name": "m", "version": "1", "remote": remote}, Path("/"))


SAVE = """
import sys
import mlflow.sklearn, pandas
from mlflow.models import infer_signature
from sklearn.tree import DecisionTreeClassifier
frame, classes = pandas.DataFrame({"a": [0.0, 1.0], "b": [1.0, 0.0]}), [7, 8]
model = DecisionTreeClassifier(random_state=0).fit(frame, classes)
options = {"signature": infer_signature(frame, model.predict(frame)), "serialization_format": "cloudpickle"}
mlflow.sklearn.save_model(model, sys.argv[1], **options)
with mlflow.start_run():
    mlflow.sklearn.log_model(model, name="m", registered_model_name="churn", **options)
"""


@pytest.mark.slow
@pytest.mark.skipif(REAL is None, reason="MLQ_TEST_MLFLOW names no interpreter with mlflow")
def test_with_mlflow_itself(tmp_path, monkeypatch):
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"file:{tmp_path}/runs")
    subprocess.run([REAL, "-c", SAVE, str(tmp_path / "saved")], check=True)
    for place, options in ((tmp_path / "saved", {}), ("models:/churn/1", {"remote": True})):
        _, listener = hosted(place, REAL, **options)
        assert listener.function([{"a": 0, "b": 1}, {"a": 1, "b": 0}]) == [7, 8]
