"""Start one server process per home, ask it, and see it end.

The lock tells whether a server lives. Whoever starts a server takes it and the server inherits it, so the kernel frees
it when the last of them is gone, however that came about: no pid is guessed, and two servers never write one log.
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
from mlq.server.home import Home, told
from mlq.system.descriptors import keep_standard_open

# All in seconds.
LISTEN_LIMIT = 10.0  # from the start to the first accepted connection; 0.05 is usual
LOAD_LIMIT = 60.0  # until the data are in memory; 400,000 values of 200 bytes take 1.5
STOP_LIMIT = 60.0  # the last flush to a slow disk
ANSWER_LIMIT = 2.0  # one reply
POLL_PAUSE = 0.005

_log = logging.getLogger("mlq.server")


def arguments(home: Home, appendfsync: str | None, port: int = 0) -> list[str]:
    """The server's command line; `appendfsync` None keeps nothing on disk, `port` 0 means the socket alone."""
    durability = ["--appendonly", "yes", "--appendfsync", appendfsync] if appendfsync else ["--appendonly", "no"]
    return [
        *("--bind", "127.0.0.1", "--port", str(port)),
        *("--unixsocket", str(home.socket), "--unixsocketperm", "700"),
        *("--dir", str(home.path), "--logfile", str(home.log), "--pidfile", str(home.pid_file)),
        *("--save", "", *durability),
    ]


def ask(home: Home, command: str) -> bytes | None:
    """The reply to an inline command: a line, or a bulk's content.

    None where nobody listens, empty where the answer takes too long or the connection is closed instead. It does
    without redis-py, whose import takes longer than the server's whole start and which has retries of its own.
    Raises ServerError, and asks nothing, where somebody else may be listening.
    """
    if not os.path.lexists(home.socket):
        return None
    home.check()
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(ANSWER_LIMIT)
        try:
            connection.connect(str(home.socket))
        except (BlockingIOError, TimeoutError):  # too many wait to be accepted
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
    """Whether no server lives here and nobody starts one. Raises ServerError where that can't be seen."""
    with told(home.path):
        try:
            with open(home.lock, "rb") as lock:
                return _take(lock, fcntl.LOCK_SH)
        except FileNotFoundError:
            return True


def start(home: Home, server_arguments: Sequence[str]) -> int | None:
    """Return when a server answers here: the pid launched for it, or None where one ran; raises ServerError."""
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
    """End the server, with its data on disk, and return when its process is gone; False where none ran."""
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
    """Wait for the end of a child process, after sending it a signal if that is asked for."""
    with suppress(ProcessLookupError, ChildProcessError):  # an event loop of the program may have reaped it
        if by:
            os.kill(child, by)
        posix.waitpid(child, 0)


def silent(home: Home, answer: bytes | None) -> ServerError:
    """The error for a server that lives but doesn't serve, by what `ask` gave."""
    if answer is not None:
        return ServerError(f"the server at {home.url} is busy or still loads its data. See its log {home.log}.")
    return ServerError(
        f"a process holds {home.lock}, but no server listens at {home.url}. See the log {home.log}. Where hosts share "
        "this directory, its server may run on another one: set MLQ_HOME to a directory of this host's own."
    )


def _take(lock: BinaryIO, kind: int) -> bool:
    """Lock an open file if that is possible at once."""
    try:
        fcntl.flock(lock, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _launch(home: Home, server_arguments: Sequence[str]) -> int | None:
    """Run a server that holds the lock; None where somebody else was first."""
    program = find_binary()
    home.make()
    # Our copies of the lock live for the few ms of this block: a fork in another thread would share them.
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
    """Run a program in a session of its own with these descriptors alone; its pid.

    Not by `subprocess` or `os`: what gevent puts in their place fails on native threads, where MLQ's services run.
    """
    actions: list[tuple[Any, ...]] = [
        (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
        (os.POSIX_SPAWN_DUP2, output, 1),
        (os.POSIX_SPAWN_DUP2, output, 2),
    ]
    for entry in Path("/dev/fd").iterdir():  # what our own parent left us, like the pipes of a shell or of make
        descriptor = int(entry.name)
        with suppress(OSError):  # the descriptor of this listing is closed by now
            if descriptor > 2 and descriptor != inherited and os.get_inheritable(descriptor):
                actions.append((os.POSIX_SPAWN_CLOSE, descriptor))
    before = os.umask(0o077)  # its files are for this user alone, and it inherits this
    try:
        return posix.posix_spawn(command[0], command, os.environ, file_actions=actions, setsid=True)
    finally:
        os.umask(before)


def _tail(log: Path, lines: int = 10) -> str:
    """The end of a text file of any size."""
    with open(log, "rb") as file:
        file.seek(max(0, file.seek(0, 2) - 4096))
        return "\n".join(file.read().decode(errors="replace").splitlines()[-lines:])
