"""The command `mlq predict` in a test's namespace, in this process and as one of its own."""

import os
import signal
import subprocess
import sys
from collections import Counter
from contextlib import suppress

import pytest
from click.testing import CliRunner

from mlq import MLQ
from mlq.cli.program import program
from mlq.models.hosting import hosting_of
from mlq.ops import models as model_ops
from mlq.running.loads import Loads
from tests.models.zoo import Iris, Number
from tests.programs import ROOT, until


@pytest.fixture
def known(mlq):
    """Two models that are known, though nobody hosts them now."""
    for kind in (Iris, Number):
        about = hosting_of(kind, "x", {}, Loads()).listener.about
        mlq._shell.run_many(model_ops.describe(mlq._keys, about))


@pytest.fixture
def predict(server_url, mlq, tmp_path, monkeypatch):
    """Runs `mlq predict` with these words in the test's folder."""
    monkeypatch.chdir(tmp_path)

    def call(*words):
        environment = {"MLQ_URL": server_url, "MLQ_NAMESPACE": mlq.namespace}
        found = CliRunner(env=environment).invoke(program, ["predict", *words], prog_name="mlq")
        assert found.exception is None or isinstance(found.exception, SystemExit), found.exception
        return found

    return call


@pytest.fixture
def seen(tmp_path, monkeypatch):
    """How often each row was predicted, as the listeners of rows_app.py note it."""
    path = tmp_path / "seen"
    path.touch()
    monkeypatch.setenv("ROWS_SEEN", str(path))
    return lambda: Counter(line.split()[0] for line in path.read_text().splitlines())


class Program:
    """A command of `mlq` as a process of its own."""

    def __init__(self, said, *words, **more):
        self._said = said
        with said.open("wb") as output:
            self.process = subprocess.Popen(
                (sys.executable, "-m", "mlq.cli", *words), cwd=said.parent, stdout=output, stderr=subprocess.STDOUT,
                env=os.environ | {"PYTHONPATH": str(ROOT)} | more, start_new_session=True,
            )  # fmt: skip

    def said(self):
        return self._said.read_text()

    def wait(self, limit=60):
        return self.process.wait(limit)

    def send(self, number):
        self.process.send_signal(number)

    def kill(self):
        """The process and its children."""
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(60)


@pytest.fixture
def start(namespace, server_url, tmp_path):
    """Starts commands in the test's folder, namespace and server; they are killed afterwards."""
    made = []

    def run(*words, **more):
        given = {"MLQ_URL": server_url, "MLQ_NAMESPACE": namespace, **more}
        made.append(Program(tmp_path / f"said-{len(made)}", *map(str, words), **given))
        return made[-1]

    yield run
    for one in made:
        one.kill()
        print(one.said())


@pytest.fixture
def work(start, namespace, server_url):
    """Starts a worker of rows_app.py with two children; it is known to clients then."""

    def run(*words, **more):
        worker = start("worker", ROOT / "tests/files/rows_app.py", "--concurrency", "2", *words, **more)
        with MLQ(namespace, url=more.get("MLQ_URL", server_url)) as mlq:
            until(lambda: any(one["pid"] == str(worker.process.pid) for one in mlq.workers()))
        return worker

    return run


@pytest.fixture
def rows(tmp_path):
    """Writes a file of so many numbers, and what its predictions are."""

    def make(count):
        (tmp_path / "in.csv").write_text("n\n" + "".join(f"{n}\n" for n in range(count)))
        return "n,twice\n" + "".join(f"{n},{2 * n}\n" for n in range(count))

    return make
