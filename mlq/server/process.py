"""Starts one server process per home, sends it commands, and waits for its end.

A locked `lock` means that a server runs. Whoever starts a server locks it, and the server inherits the lock, so the
kernel releases it when both processes are gone, however they ended. So no pid has to be guessed, and two servers never
write the same log.
"""

import fcntl
import logging
import os
import posix
import signal
import socket
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO

from mlq.errors import ServerError
from mlq.server import peer
from mlq.server.binary import find_binary
from mlq.server.home import Home, as_server_error
from mlq.system.descriptors import keep_standard_open

# All in seconds.
LISTEN_LIMIT = 10.0  # from the start to the first accepted connection; 0.05 is usual
LOAD_LIMIT = 60.0  # until the data is in memory; 400,000 values of 200 bytes take 1.5
STOP_LIMIT = 60.0  # the last flush to a slow disk
ANSWER_LIMIT = 2.0  # one reply
POLL_PAUSE = 0.005

_log = logging.getLogger("mlq.server")


def arguments(home: Home, appendfsync: str | None, port: int = 0) -> list[str]:
    """The server's arguments; with `appendfsync` None it keeps nothing on disk, with `port` 0 it has no TCP port."""
    durability = ["--appendonly", "yes", "--appendfsync", appendfsync] if appendfsync else ["--appendonly", "no"]
    return [
        *("--bind", "127.0.0.1", "--port", str(port)),
        *("--unixsocket", str(home.socket), "--unixsocketperm", "700"),
        *("--dir", str(home.path), "--logfile", str(home.log), "--pidfile", str(home.pid_file)),
        *("--save", "", *durability),
    ]


def ask(home: Home, command: str) -> bytes | None:
    """The reply to an inline command: a line, or the content of a bulk string.

    None if nobody listens; empty if the reply takes too long or the connection is closed instead. It does not use
    redis-py, whose import takes longer than starting the server, and which has its own retries.
    Raises ServerError, and sends nothing, if somebody else may be listening.
    """
    if not os.path.lexists(home.socket):
        return None
    home.check()
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(ANSWER_LIMIT)
        try:
            connection.connect(str(home.socket))
        except (BlockingIOError, TimeoutError):  # too many connections wait to be accepted
            return b""
        except OSError:
            return None
        peer.check(connection, home.url)
        try:
            connection.sendall(command.encode() + b"\r\n")
            with connection.makefile("rb") as stream:
                line = stream.readline()
                return stream.read(int(line[1:])) if line.startswith(b"$") else line.rstrip()
        except OSError:
            return b""


def is_free(home: Home) -> bool:
    """Whether no server runs or is being started here. Raises ServerError if that can't be determined."""
    with as_server_error(home.path):
        try:
            with open(home.lock, "rb") as lock:
                return _take(lock, fcntl.LOCK_SH)
        except FileNotFoundError:
            return True


def start(home: Home, server_arguments: Sequence[str]) -> int | None:
    """Return when a server responds here: the pid that was launched, or None if one ran already; raises ServerError."""
    keep_standard_open()
    launched = None
    begun = time.monotonic()
    try:
        while not (answer := ask(home, "PING")) or answer.startswith(b"-LOADING"):
            if time.monotonic() - begun > (LISTEN_LIMIT if answer is None else LOAD_LIMIT):
                raise silent(home, answer)
            if is_free(home):
                if launched:
                    raise ServerError(f"the server did not start; the end of its log {home.log}:\n{_tail(home.log)}")
                launched = _launch(home, server_arguments)
            time.sleep(POLL_PAUSE)
    except BaseException:
        if launched:
            end(launched, signal.SIGKILL)
        raise
    return launched


def shut_down(home: Home) -> bool:
    """Stop the server, and return when its data is on disk and its process is gone; False if none ran."""
    deadline, running = time.monotonic() + STOP_LIMIT, False
    while not is_free(home):
        running = True
        answer = ask(home, "SHUTDOWN")
        if time.monotonic() > deadline:
            raise silent(home, answer)
        if answer:
            raise ServerError(f"the server refuses to stop: {answer.decode()}. See its log {home.log}.")
        time.sleep(POLL_PAUSE)
    return running


def end(child: int, by: signal.Signals | None = None) -> None:
    """Wait for the end of a child process, after sending it the signal `by`, if any."""
    with suppress(ProcessLookupError, ChildProcessError):  # an event loop of the program may have reaped it
        if by:
            os.kill(child, by)
        posix.waitpid(child, 0)


def silent(home: Home, answer: bytes | None) -> ServerError:
    """The error for a server that runs but doesn't serve, according to the reply of `ask`."""
    if answer is not None:
        return ServerError(f"the server at {home.url} is busy or still loads its data. See its log {home.log}.")
    return ServerError(
        f"a process holds {home.lock}, but no server listens at {home.url}. See the log {home.log}. If several hosts "
        "share this directory, its server may run on another one: set MLQ_HOME to a different directory on each host."
    )


def _take(lock: BinaryIO, kind: int) -> bool:
    """Lock an open file if that is possible at once; whether it was."""
    try:
        fcntl.flock(lock, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _launch(home: Home, server_arguments: Sequence[str]) -> int | None:
    """Run a server that holds the lock; None if somebody else was first."""
    program = find_binary()
    home.make()
    # Our copies of the lock exist only for the few ms of this block, because a fork in another thread would share them.
    with open(home.lock, "ab", opener=_private) as lock, open(home.log, "ab", opener=_private) as log:
        if not _take(lock, fcntl.LOCK_EX):
            return None
        _log.info("starting %s at %s", program, home.url)
        inherited = fcntl.fcntl(lock, fcntl.F_DUPFD, 3)
        try:
            return _spawn([str(program), *server_arguments], log.fileno(), inherited)
        except OSError as error:
            raise ServerError(f"{program} can't be run: {error}") from error
        finally:
            os.close(inherited)


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def _spawn(command: list[str], output: int, inherited: int) -> int:
    """Run a program in its own session, with only these descriptors; returns its pid.

    Not with `subprocess` or `os`: gevent's replacements for them fail on native threads, on which MLQ's services run.
    """
    actions: list[tuple[Any, ...]] = [
        (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
        (os.POSIX_SPAWN_DUP2, output, 1),
        (os.POSIX_SPAWN_DUP2, output, 2),
    ]
    for entry in Path("/dev/fd").iterdir():  # descriptors inherited from our parent, like the pipes of a shell or make
        descriptor = int(entry.name)
        with suppress(OSError):  # the descriptor of this listing is closed by now
            if descriptor > 2 and descriptor != inherited and os.get_inheritable(descriptor):
                actions.append((os.POSIX_SPAWN_CLOSE, descriptor))
    before = os.umask(0o077)  # the server inherits it, so that only this user can read its files
    try:
        return posix.posix_spawn(command[0], command, os.environ, file_actions=actions, setsid=True)
    finally:
        os.umask(before)


def _tail(log: Path, lines: int = 10) -> str:
    """The end of a text file of any size."""
    with open(log, "rb") as file:
        file.seek(max(0, file.seek(0, 2) - 4096))
        return "\n".join(file.read().decode(errors="replace").splitlines()[-lines:])
