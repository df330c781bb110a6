"""Nobody else's process is taken for the embedded server, wherever it listens."""

import asyncio
import logging
import os
import shutil
import socket
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from mlq import MLQ, AsyncMLQ, ServerError
from mlq.cli.base import Settings
from mlq.core.keys import Keys
from mlq.ops.data import fetch
from mlq.server import ensure_running, peer, running, status, stop
from mlq.server.home import Home
from mlq.shell import target
from mlq.shell.aio import AsyncShell
from mlq.shell.sync import Shell
from mlq.shell.target import Target
from mlq.system import terminal

NOBODY = 65534
as_root = pytest.mark.skipif(os.getuid() != 0, reason="only root can be somebody else")


class Impostor:
    """Listens like a server, in a process of another user, and says what it hears. It ends with its starter."""

    CODE = """if True:
        import os, socket, sys, threading
        def answer(connection):
            while heard := connection.recv(1000):
                os.write(1, heard)
                connection.sendall(b"+PONG\\r\\n")
        def serve():
            while True:
                threading.Thread(target=answer, args=listening.accept()[:1], daemon=True).start()
        listening = socket.socket(socket.AF_UNIX)
        listening.bind(sys.argv[1])
        os.chmod(sys.argv[1], 0o777)
        os.setuid(int(sys.argv[2]))
        listening.listen()
        threading.Thread(target=serve, daemon=True).start()
        os.write(1, b".")
        sys.stdin.read()"""

    def __init__(self, path: Path) -> None:
        command = [sys.executable, "-c", self.CODE, str(path), str(NOBODY)]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert self._process.stdout
        assert self._process.stdout.read(1) == b"."

    def end(self) -> bytes:
        """All that it heard."""
        return self._process.communicate(timeout=10)[0]


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    """A directory whose path is too long for a socket, which then is in /tmp."""
    path = tmp_path / ("x" * 100)
    folder = Home.at(path).socket.parent
    yield path
    shutil.rmtree(folder, ignore_errors=True)


@as_root
@pytest.mark.parametrize("operation", [ensure_running, running, status, stop])
@pytest.mark.parametrize("made", ["by the other", "open to the other", "a link"])
def test_a_folder_that_somebody_else_could_make(
    home: Path, tmp_path: Path, operation: Callable[..., Any], made: str
) -> None:
    """It is refused, before anything is sent to whoever listens in it."""
    folder = Home.at(home).socket.parent
    place = tmp_path / "elsewhere" if made == "a link" else folder
    place.mkdir(mode=0o700)
    impostor = Impostor(place / "socket")
    if made == "by the other":
        os.chown(place, NOBODY, NOBODY)
    elif made == "open to the other":
        place.chmod(0o770)
    else:
        folder.symlink_to(place)
    home.mkdir(mode=0o700)
    (home / "lock").touch()
    try:
        if operation is stop:  # which asks only a server that holds the lock
            assert operation(home) is False
        else:
            with pytest.raises(ServerError, match=r"can't use the directory .*MLQ_HOME"):
                operation(home)
    finally:
        assert impostor.end() == b""
        if made == "a link":
            folder.unlink()


@as_root
def test_a_process_of_another_user(home: Path, monkeypatch: pytest.MonkeyPatch, namespace: str) -> None:
    """In a folder of ours, where it can hardly get: the kernel says who it is."""
    monkeypatch.setenv("MLQ_HOME", str(home))
    monkeypatch.delenv("MLQ_URL")
    Home.at(home).make()
    impostor = Impostor(Home.at(home).socket)
    told = f"belongs to user {NOBODY}, not to user 0"
    for operation in (ensure_running, running, status):
        with pytest.raises(ServerError, match=told):
            operation(home)
    with pytest.raises(ServerError, match=told):
        MLQ(namespace).post("secret")
    with pytest.raises(ServerError, match=told):
        asyncio.run(AsyncMLQ(namespace).post("secret"))
    chosen = Target(Home.at(home).url, "embedded")  # before the impostor came
    with pytest.raises(ServerError, match=told):
        Shell(chosen).run(fetch(Keys(namespace), "x"))
    with pytest.raises(ServerError, match=told):
        asyncio.run(AsyncShell(chosen).run(fetch(Keys(namespace), "x")))
    assert impostor.end() == b""


def test_the_kernel_says_who_it_is() -> None:
    one, other = socket.socketpair()
    assert peer.owner_of(one) in (os.getuid(), None)
    peer.check(one, "unix:///x")
    one.close()
    other.close()


def test_a_place_that_all_may_change(tmp_path: Path) -> None:
    """Whoever can rename a directory above can put another one there."""
    open_to_all = tmp_path / "open"
    open_to_all.mkdir()
    open_to_all.chmod(0o777)
    with pytest.raises(ServerError, match=f"everybody can change {open_to_all}"):
        ensure_running(open_to_all / "a" / "home")
    open_to_all.chmod(0o1777)
    ensure_running(open_to_all / "a" / "home")
    stop(open_to_all / "a" / "home")


def test_the_short_way_may_begin_with_a_link(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As /tmp is one on macOS: nobody but root can put another one in its place."""
    (tmp_path / "real").mkdir()
    (tmp_path / "real").chmod(0o1777)
    (tmp_path / "link").symlink_to(tmp_path / "real")
    monkeypatch.setattr("mlq.server.home.SHORT", tmp_path / "link")
    home = Home.at(tmp_path / ("x" * 100))
    home.make()
    home.check()
    assert home.socket.parent.parent == tmp_path / "real"


@as_root
def test_a_directory_of_another_in_a_shared_one(tmp_path: Path) -> None:
    shared = tmp_path / "shared"
    (shared / "his").mkdir(parents=True)
    shared.chmod(0o1777)
    os.chown(shared / "his", NOBODY, NOBODY)
    with pytest.raises(ServerError, match=f"his, in which it is, belongs to user {NOBODY}"):
        ensure_running(shared / "his" / "home")


def test_files_are_for_their_user_alone(tmp_path: Path) -> None:
    home = tmp_path / "home"
    mask = os.umask(0)
    try:
        ensure_running(home)
        files = [path for path in home.glob("**/*") if not path.is_dir()]
        assert {"server.log", "lock", "server.pid", "socket"} <= {path.name for path in files}
        assert not [path for path in files if stat.S_IMODE(path.stat().st_mode) & 0o077]
        assert os.umask(0) == 0
    finally:
        os.umask(mask)
        stop(home)


def test_the_embedded_server_that_runs_comes_before_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, namespace: str
) -> None:
    """One that somebody starts on localhost:6379 takes no program away."""
    monkeypatch.setenv("MLQ_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("MLQ_URL")
    assert running() is None
    assert MLQ(namespace).post(1) == "1"
    monkeypatch.setattr(target, "_answers_locally", lambda: True)
    late = MLQ(namespace)
    assert late.server == f"{running()} (from embedded)"
    assert late.post(2) == "2"
    stop()
    assert MLQ(namespace).server == "redis://localhost:6379 (from localhost:6379)"


def test_commands_on_a_terminal_tell_which_server_they_found(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Unless it is the embedded one that runs, as it does day after day."""
    caplog.set_level(logging.WARNING, logger="mlq.server")  # at INFO the log tells it instead
    monkeypatch.setenv("MLQ_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("MLQ_URL")
    monkeypatch.setattr(terminal, "is_watched", lambda: True)
    monkeypatch.setattr(target, "_answers_locally", lambda: False)
    try:
        Settings().queue()
        assert capsys.readouterr().err == f"mlq: using the server at {running()} (from embedded)\n"
        Settings().queue()
        assert capsys.readouterr().err == ""
    finally:
        stop()
    monkeypatch.setattr(target, "_answers_locally", lambda: True)
    Settings().queue()
    assert "redis://localhost:6379" in capsys.readouterr().err
