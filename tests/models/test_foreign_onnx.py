"""Files of ONNX as models: their schemas, batches of rows, and files that are none."""

import base64
import subprocess
import sys
import venv

import pytest

from mlq import MLQ, InputError, NotLoaded, ValidationError
from mlq.models.config import read
from mlq.models.foreign.description import described
from mlq.models.foreign.hosting import source_of_file
from tests.models.interpreters import bare

__all__ = ["bare"]

# Graphs of one node, as onnx.helper makes them: the squares of a row added up, for rows of two and of any length;
# the sum of two vectors of two; texts as they are.
FILES = {
    "rows": "CAgSADpiCjUKAXgSAXkiD1JlZHVjZVN1bVNxdWFyZSoLCgRheGVzQAGgAQcqDwoIa2VlcGRpbXMYAKABAhIBZ1oUCg"
    "F4Eg8KDQgBEgkKAxIBbgoCCAJiEAoBeRILCgkIARIFCgMSAW5CBAoAEA0=",
    "shaped": "CAgSADpjCjUKAXgSAXkiD1JlZHVjZVN1bVNxdWFyZSoLCgRheGVzQAGgAQcqDwoIa2VlcGRpbXMYAKABAhIBZ1oVCg"
    "F4EhAKDggBEgoKAxIBbgoDEgFtYhAKAXkSCwoJCAESBQoDEgFuQgQKABAN",
    "single": "CAgSADpGCg4KAWEKAWISAWMiA0FkZBIBZ1oPCgFhEgoKCAgHEgQKAggCWg8KAWISCgoICAcSBAoCCAJiDwoBYxIKCg"
    "gIBxIECgIIAkIECgAQDQ==",
    "words": "CAgSADo5ChAKAWESAWIiCElkZW50aXR5EgFnWhAKAWESCwoJCAgSBQoDEgFuYhAKAWISCwoJCAgSBQoDEgFuQgQKABAN",
}


@pytest.fixture
def folder(tmp_path):
    for name, text in FILES.items():
        (tmp_path / f"{name}.onnx").write_bytes(base64.b64decode(text))
    (tmp_path / "none.onnx").write_bytes(b"no ONNX")
    return tmp_path


@pytest.fixture(scope="session")
def with_onnx(tmp_path_factory):
    """An interpreter with onnxruntime."""
    folder = tmp_path_factory.mktemp("onnx")
    venv.create(folder, symlinks=True, with_pip=True)
    python = str(folder / "bin" / "python")
    install = ("-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-compile")
    subprocess.run([python, *install, "onnxruntime"], check=True)
    return python


def hosted(folder, name, python, **options):
    """The MLQ object that hosts a file, and the function of its listener."""
    mlq = MLQ()
    mlq.add_model(f"onnx:{folder}/{name}.onnx", python=python, name=name, version="1", **options)
    (listener,) = mlq.listeners.all()
    return mlq, listener


@pytest.mark.slow
def test_rows_are_predicted_together(folder, with_onnx):
    _, rows = hosted(folder, "rows", with_onnx)
    assert (rows.batch, rows.split) == (32, None)
    assert rows.function([{"x": [1, 2]}, {"x": [3.0, 4.0]}]) == [{"y": 5.0}, {"y": 25.0}]
    for wrong in ({"x": [1]}, {"x": [1, 2, 3]}, {"x": ["a", 2]}, {}, {"x": [1, 2], "z": 1}):
        with pytest.raises(ValidationError):
            rows.convert(wrong)


@pytest.mark.slow
def test_rows_of_one_shape_share_a_call(folder, with_onnx):
    _, shaped = hosted(folder, "shaped", with_onnx)
    assert shaped.function([{"x": [1, 2, 3]}, {"x": [1, 1, 1]}]) == [{"y": 14.0}, {"y": 3.0}]
    group = shaped.split.group
    assert group({"x": [1, 2]}) == group({"x": [3, 4]}) != group({"x": [1]})


@pytest.mark.slow
def test_one_without_a_dimension_for_rows_takes_one_input(folder, with_onnx):
    _, single = hosted(folder, "single", with_onnx)
    assert single.batch == 0
    assert single.function({"a": [1, 2], "b": [10, 20]}) == {"c": [11, 22]}
    _, words = hosted(folder, "words", with_onnx)
    assert words.function([{"a": "eins"}, {"a": "zwei"}]) == [{"b": "eins"}, {"b": "zwei"}]


@pytest.mark.slow
def test_devices_and_files_that_are_none(folder, with_onnx):
    _, rows = hosted(folder, "rows", with_onnx, device="tpu:0")
    with pytest.raises(NotLoaded, match="this onnxruntime can't use the device 'tpu:0'"):
        rows.function([{"x": [1, 2]}])
    for name, words in (("none", "(?i)protobuf"), ("missing", "(?i)such ?file")):
        mlq, listener = hosted(folder, name, with_onnx)
        assert mlq.listeners.loads.all()[f"{name}@1"].state == "broken"
        with pytest.raises(NotLoaded, match=words) as error:
            listener.function([{}])
        assert with_onnx in str(error.value)


def test_without_onnxruntime(folder, bare):
    mlq, _ = hosted(folder, "rows", bare)
    assert f"{bare}: ModuleNotFoundError: No module named" in mlq.listeners.loads.all()["rows@1"].why


@pytest.mark.slow
def test_in_models_toml(folder, with_onnx):
    path = folder / "models.toml"
    lines = 'source = "onnx:./rows.onnx"\nname = "rows"\nversion = "3"\nbatch = 8\npython = '
    path.write_text(f'[[models]]\n{lines}"{with_onnx}"\n')
    (entry,) = read(path, {})
    assert (entry.options["batch"], entry.source.target["uri"]) == (8, f"{folder}/rows.onnx")
    told = described(entry.source)
    assert (told.name, told.version, told.about) == ("rows", "3", "The model in rows.onnx.")
    assert told.input["properties"]["x"] == {
        "type": "array", "items": {"type": "number"}, "minItems": 2, "maxItems": 2,
    }  # fmt: skip
    assert told.output["properties"]["y"] == {"type": "number"}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('source = "onnx:a.onnx"', "onnx:a.onnx: the name must be"),
        ('source = "onnx:a.onnx"\nname = "a"', "the version must be"),
        ('source = "onnx:"\nname = "a"\nversion = "1"', "a source is written as 'onnx:model.onnx'"),
        ('source = "tflite:a"\nname = "a"\nversion = "1"', "a source is written as 'onnx:model.onnx'"),
        ('source = 5\nname = "a"\nversion = "1"', "a source is written as 'onnx:model.onnx'"),
        ('source = "onnx:s3://bucket/a"\nname = "a"\nversion = "1"', "is not a path: copy the model to this machine"),
        ('source = "onnx:a"\nclass = "a:B"\nname = "a"\nversion = "1"', "has class and source"),
        ('source = "onnx:a"\nname = "a"\nversion = "1"\npython = ""', "python must be the path"),
        ('source = "onnx:a"\nname = "a"\nversion = "1"\nbach = 1', "has an option 'bach'"),
    ],
)
def test_what_is_refused(tmp_path, text, words):
    path = tmp_path / "models.toml"
    path.write_text(f"[[models]]\n{text}\n")
    with pytest.raises(InputError, match=words) as error:
        read(path, {})
    assert str(path) in str(error.value)


def test_this_interpreter_is_the_usual_one(tmp_path):
    source = source_of_file("onnx:a.onnx", {"name": "a", "version": "1"})
    assert source.python == sys.executable
