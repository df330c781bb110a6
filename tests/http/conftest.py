"""What tests of the HTTP service share: its application without a socket, and real server processes."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient

from mlq import MLQ
from mlq.core.keys import Keys
from mlq.http import process
from mlq.http.app import make_app
from mlq.http.process import Plan, ServerProcess
from mlq.http.settings import Settings
from mlq.shell.sync import Shell
from tests.hand import Hand
from tests.http.asking import Events
from tests.programs import until

Serve = Callable[..., ServerProcess]


@pytest.fixture
def client(mlq: MLQ) -> FlaskClient:
    """The application, called without a socket."""
    return make_app(mlq).test_client()


@pytest.fixture
def hand(shell: Shell, keys: Keys) -> Hand:
    """Does what a worker does, step by step."""
    return Hand(shell, keys)


@pytest.fixture
def serve(mlq: MLQ, server_url: str) -> Iterator[Serve]:
    """Starts server processes on free ports; they are gone afterwards."""
    started = []

    def begin(url: str = server_url, **settings: Any) -> ServerProcess:
        started.append(ServerProcess(Plan(mlq.namespace, url, Settings(**settings)), "127.0.0.1", 0))
        started[-1].start()
        return started[-1]

    yield begin
    for one in started:
        one.stop(0)


@pytest.fixture
def prepared(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[str], None]:
    """Has server processes run a line before they serve."""

    def prepare(line: str) -> None:
        (tmp_path / "prepared_service.py").write_text(f"{line}\nfrom {process.PROGRAM} import main\n")
        monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=os.pathsep)
        monkeypatch.setattr(process, "PROGRAM", "prepared_service")

    return prepare


@pytest.fixture
def follow() -> Iterator[Callable[..., Events]]:
    """Follows jobs; whoever still follows afterwards leaves."""
    opened = []

    def begin(*args: Any) -> Events:
        opened.append(Events(*args))
        return opened[-1]

    yield begin
    for one in opened:
        one.close()


@pytest.fixture
def echo(mlq: MLQ) -> None:
    """A worker that gives back what it gets, and raises what it is told to."""

    def echo(msg: Any) -> Any:
        if isinstance(msg, dict) and "raise" in msg:
            raise ValueError(msg["raise"])
        return msg

    mlq.create_listener(echo)
    until(mlq.workers)  # it has said that it lives: until then, posts are warned of
