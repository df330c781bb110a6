"""Types of pydantic in another interpreter: inputs are validated there, and outputs."""

import subprocess

import pytest

from mlq import InputError, ValidationError, WrongOutput
from mlq.models.testing import TestClient
from tests.models.interpreters import HERE, PYTHONS, bare, place

__all__ = ["bare"]


def has_pydantic(python):
    return subprocess.run([python, "-Ic", "import pydantic.v1"], capture_output=True, check=False).returncode == 0


@pytest.fixture(params=[python for python in PYTHONS if has_pydantic(python)])
def python(request):
    return request.param


def client(name, python):
    return TestClient(place(name, "typed_abroad"), python=python)


FERN = {"name": "fern", "leaves": [{"size": 1}, {"size": 2.5}]}


def test_aliases_lists_and_nested_models(python):
    botanist = client("Botanist", python)
    assert botanist.predict(FERN) == {"class": "FERN", "area": 3.5}
    assert botanist.predict_batch([FERN, {"name": "moss", "age": None}]) == [
        {"class": "FERN", "area": 3.5}, {"class": "MOSS", "area": 0.0},
    ]  # fmt: skip
    assert botanist._declared.info.output["required"] == ["class", "area"]


def test_wrong_inputs_name_their_fields(python):
    botanist = client("Botanist", python)
    with pytest.raises(ValidationError) as by_schema:
        botanist.predict({"leaves": [{"size": 0}, {"size": "x"}]})
    assert {path for path, _ in by_schema.value.faults} == {"name", "leaves[0].size", "leaves[1].size"}
    with pytest.raises(ValidationError) as by_validator:
        botanist.predict({"name": "weed"})
    assert by_validator.value.faults == (("name", "Value error, no weeds"),)
    assert str(by_validator.value) == "the input of botanist does not fit Plant: name: Value error, no weeds"
    fine, weed = botanist._hosted.many([FERN, {"name": "weed"}])
    assert (fine["class"], type(weed)) == ("FERN", ValidationError)


def test_wrong_outputs(python):
    with pytest.raises(WrongOutput, match=r"botanist returned a value that does not match Known: .*area"):
        client("Botanist", python).predict({"name": "moss", "age": 0})


def test_streams(python):
    leaves = client("Leaves", python)
    assert list(leaves.stream(2)) == [{"size": 1.0}, {"size": 2.0}]
    assert leaves.predict(2) == [{"size": 2.0}]


def test_a_type_without_a_schema(python):
    with pytest.raises(InputError, match="pydantic can make no JSON Schema of its Input"):
        client("Odd", python)


def test_without_pydantic(bare):
    with pytest.raises(InputError, match=f"{bare}: ModuleNotFoundError: No module named 'pydantic'"):
        client("Botanist", bare)
    with pytest.raises(InputError, match=f"{bare}: its Input is <class 'int'>, and pydantic is not installed there"):
        TestClient(place("Untyped"), python=bare)


def test_with_an_old_pydantic(bare, tmp_path):
    (tmp_path / "pydantic.py").write_text('VERSION = "1.10.2"\nValidationError = ValueError\n')
    (tmp_path / "abroad.py").write_text((HERE / "abroad.py").read_text())
    with pytest.raises(InputError, match=r"its Input needs pydantic 2, and 1\.10\.2 is installed there"):
        TestClient(f"{tmp_path}/abroad.py:Untyped", python=bare)
