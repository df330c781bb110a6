"""Interpreters for tests, and models in them: one without packages, and programs that are no interpreters."""

import os
import stat
import sys
import venv
from pathlib import Path

import pytest

from mlq.models.testing import TestClient

HERE = Path(__file__).parent
# Others that are to be tested, as paths between colons, such as those of old Pythons.
PYTHONS = [sys.executable, *filter(None, os.environ.get("MLQ_TEST_PYTHONS", "").split(":"))]


@pytest.fixture(scope="session")
def bare(tmp_path_factory):
    """A Python without any package."""
    folder = tmp_path_factory.mktemp("bare")
    venv.create(folder, symlinks=True)
    return str(folder / "bin" / "python")


@pytest.fixture
def program(tmp_path):
    """Writes a shell script that stands where an interpreter should."""

    def write(text):
        path = tmp_path / "python"
        path.write_text(f"#!/bin/sh\n{text}\n")
        path.chmod(path.stat().st_mode | stat.S_IXUSR)
        return str(path)

    return write


def place(name, module="abroad"):
    """A model of the tests, as Python's functions take it."""
    return f"{HERE / module}.py:{name}"


@pytest.fixture(params=PYTHONS)
def python(request):
    return request.param


def client(name, python=sys.executable, module="abroad"):
    return TestClient(place(name, module), python=python)


def raised(ask):
    """What a model raises, as a job would tell it."""
    with pytest.raises(Exception) as error:  # noqa: PT011 - the caller looks at it
        ask()
    return error.value


def pid_of(does):
    return does.predict("pid")


def is_alive(pid):
    """Whether the process runs; a zombie does not."""
    try:
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):  # the latter while it is being read
        return False
