"""Commands of the real command line, in a test's namespace, and files of models for them."""

import json
import signal
import subprocess
import sys
from contextlib import contextmanager, suppress

import pytest

from tests.programs import environment


@pytest.fixture
def models_toml(tmp_path):
    """Writes a file with some models of the tests, each with options, and more of them for single models."""

    def write(names="Iris NewerIris Number Numbers Odd Words Waiting Broken", module="zoo", more=None, **options):
        path = tmp_path / "models.toml"
        entries = []
        for name in names.split():
            given = options | (more or {}).get(name, {})
            lines = "\n".join(f"{option} = {json.dumps(value)}" for option, value in given.items())
            entries.append(f'[[models]]\nclass = "tests.models.{module}:{name}"\n{lines}')
        path.write_text("\n".join(entries))
        return path

    return write


@pytest.fixture
def start(mlq, server_url, tmp_path):
    """Runs a command in the test's namespace, until the block ends; with what it said so far."""

    @contextmanager
    def run(*words, **more):
        said = tmp_path / f"said-{len(list(tmp_path.iterdir()))}"
        with said.open("wb") as output:
            process = subprocess.Popen(
                (sys.executable, "-m", "mlq.cli", *words), stdout=output, stderr=subprocess.STDOUT,
                env=environment(server_url) | {"MLQ_NAMESPACE": mlq.namespace} | more,
            )  # fmt: skip
        process.said = lambda: said.read_text("utf-8")
        try:
            yield process
        finally:
            with suppress(ProcessLookupError):
                process.send_signal(signal.SIGTERM)
            process.wait(30)
            print(process.said())

    return run


@pytest.fixture
def loaded(tmp_path, monkeypatch):
    """The loads so far, each as a model's name and its process."""
    path = tmp_path / "loaded"
    path.touch()
    monkeypatch.setenv("STABLE_LOADED", str(path))
    return lambda: [(name, int(pid)) for name, pid in (line.split() for line in path.read_text().splitlines())]


@pytest.fixture
def gate(tmp_path, monkeypatch):
    """A file: while it is there, what waits at it waits."""
    path = tmp_path / "gate"
    path.touch()
    monkeypatch.setenv("STABLE_GATE", str(path))
    yield path
    path.unlink(missing_ok=True)
