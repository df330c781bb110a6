"""Interpreters that can't be used, and models that can't be hosted in them: each says why, with its path."""

import ast
import sys

import pytest

from mlq import MLQ, InputError, NotLoaded
from mlq.models.foreign import description, here
from mlq.models.foreign.interpreter import PROGRAM
from mlq.models.testing import TestClient
from tests.models.interpreters import PYTHONS, bare, place, program
from tests.models.test_foreign import is_alive
from tests.programs import until

__all__ = ["bare", "program"]

# A real Python that says that it is an older one.
OLD = """exec {python} -I -c "import runpy, sys
sys.version_info, sys.version = (3, 6, 15, 'final', 0), '3.6.15 (old)'
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name='__main__')" "$2" "$3"
"""

GARBAGE = f"""exec {sys.executable} -Ic "import os, sys, time
os.write(int(sys.argv[1]), b'12345678garbage')
time.sleep(600)" "$3"
"""


def why(python, name="Where"):
    with pytest.raises(InputError) as error:
        TestClient(place(name), python=str(python))
    return str(error.value)


@pytest.fixture(autouse=True)
def nothing_known(monkeypatch):
    """Each test asks for itself."""
    monkeypatch.setattr(here, "KNOWN", {})


def test_one_that_is_missing(tmp_path):
    assert f"{tmp_path}/none can't be started: No such file or directory" in why(tmp_path / "none")


def test_one_that_is_not_executable(tmp_path):
    (tmp_path / "python").write_text("")
    assert f"{tmp_path}/python can't be started: Permission denied" in why(tmp_path / "python")
    assert f"{tmp_path} can't be started: Permission denied" in why(tmp_path)


def test_a_file_that_is_no_program(program, tmp_path):
    path = program("")
    (tmp_path / "python").write_bytes(b"\0\1\2\3")
    assert f"{path} can't be started: Exec format error" in why(path)


@pytest.mark.parametrize(
    ("text", "how"),
    [
        ("exit 0", "it exited with code 0"),
        ("echo one >&2; echo two >&2; echo >&2; exit 2", "it exited with code 2 (two)"),
        ("kill -SEGV $$", "it was killed by SIGSEGV"),
        (GARBAGE, "it was killed by SIGKILL"),
    ],
)
def test_one_that_is_no_python(program, text, how):
    path = program(text)
    assert f"{path} does not answer as Python 3.7 or newer does: {how}" in why(path)


def test_one_that_does_not_answer_in_time(program, monkeypatch, tmp_path):
    monkeypatch.setattr(description, "PATIENCE", 0.5)
    path = program(f"echo $$ > {tmp_path}/pid; exec sleep 600")
    assert f"{path} has not described it within 0.5 s" in why(path)
    until(lambda: not is_alive((tmp_path / "pid").read_text().strip()))


def test_one_that_is_too_old(program):
    path = program(OLD.format(python=sys.executable))
    assert f"{path}: it is Python 3.6.15, and 3.7 or newer is needed" in why(path)


@pytest.mark.parametrize("python", PYTHONS)
@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("None", "there is no 'None' in module abroad"),
        ("NUMBER", "it is not a class"),
        ("Nameless", "it has no name and no version"),
        ("Endless", "its predict is an async generator"),
        ("Speechless", "it is not a valid model: the schema of the input of speechless can't be used"),
    ],
)
def test_classes_that_are_no_models(python, name, words):
    said = why(python, name)
    assert said.startswith(f"{place(name)} is not available: {python}: ")
    assert words in said


def test_a_model_whose_package_is_missing_there(bare, tmp_path):
    (tmp_path / "needs.py").write_text("import numpy\n")
    with pytest.raises(InputError, match=f"{bare}: ModuleNotFoundError: No module named 'numpy'"):
        TestClient(f"{tmp_path}/needs.py:Model", python=bare)


@pytest.mark.parametrize("text", ["raise SystemExit(5)", "1 / 0", "import os; os._exit(4)", "def"])
def test_a_module_that_can_not_be_imported(bare, tmp_path, text):
    (tmp_path / "broken.py").write_text(text)
    with pytest.raises(InputError, match=r"SystemExit: 5|division|code 4|SyntaxError"):
        TestClient(f"{tmp_path}/broken.py:Model", python=bare)


@pytest.mark.parametrize("file", sorted(PROGRAM.parent.glob("*.py")), ids=lambda file: file.name)
def test_what_runs_there_is_written_for_the_oldest_python(file):
    ast.parse(file.read_text("utf-8"), feature_version=(3, 7))


def test_packages_and_folders_of_this_process_are_not_seen(bare, tmp_path, monkeypatch):
    """Neither those that are installed here, nor the working folder, nor PYTHONPATH."""
    for name in ("working", "of_the_path"):
        (tmp_path / f"in_{name}").mkdir()
        (tmp_path / f"in_{name}" / f"{name}.py").write_text("")
    monkeypatch.chdir(tmp_path / "in_working")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "in_of_the_path"))
    for name in ("working", "of_the_path", "mlq", "pydantic", "values", "program"):
        (tmp_path / f"asks_{name}.py").write_text(f"import {name}")
        with pytest.raises(InputError, match=f"No module named '{name}'"):
            TestClient(f"{tmp_path}/asks_{name}.py:Model", python=bare)


def test_in_python_the_others_go_on(bare, caplog):
    mlq = MLQ()
    mlq.add_model(place("None"), python=bare)
    mlq.add_model(place("None"), python=bare, name="gone", version="3", queue="q", batch=8, max_cost=5)
    mlq.add_model(place("Sums"), python=bare)
    assert mlq.listeners.names() == ("gone@3", "sums@1")
    assert f"abroad:None is not available: {bare}: there is no 'None' in module abroad" in caplog.text
    assert caplog.text.count("is not available") == 1
    gone = mlq.listeners.loads.all()["gone@3"]
    assert (gone.state, "there is no 'None'" in gone.why) == ("broken", True)
    with pytest.raises(NotLoaded, match="there is no 'None' in module abroad"):
        mlq.listeners.all()[0].function([1])


def test_a_name_that_is_not_the_models_own(bare, caplog):
    mlq = MLQ()
    mlq.add_model(place("Sums"), python=bare, name="sums", version="2")
    mlq.add_model(place("Sums"), python=bare, name="sums", version="1")
    assert "its version is 1, and not '2'" in mlq.listeners.loads.all()["sums@2"].why
    assert set(mlq.listeners.loads.all()) == {"sums@2"}


@pytest.mark.parametrize(("option", "value"), [("name", "a/b"), ("version", 5)])
def test_names_that_are_refused(bare, option, value):
    with pytest.raises(InputError, match=f"the {option} must be"):
        MLQ().add_model(place("None"), python=bare, **{"name": "x", "version": "1", option: value})
