"""Throwaway servers for tests, benchmarks and demonstrations: private, and ended with the process that started them."""

import random
import signal
import socket
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from mlq.errors import ServerError
from mlq.server import process
from mlq.server.home import Home

# Waits for a line, or for the end of the process that would write it (even by SIGKILL), and removes everything.
_SWEEPER = 'read _; kill -9 "$(cat "$1")"; shift; rm -rf "$@"'


class Scratch:
    """A private server, made by `scratch`, that may be killed, stopped and restarted."""

    def __init__(self, home: Home, port: int, arguments: Sequence[str]) -> None:
        """Starts nothing; with `port` 0, the unix socket is its address."""
        self._home = home
        self._arguments = arguments
        self._child: int | None = None
        self.home: Path = home.path  # its directory
        self.url: str = f"redis://127.0.0.1:{port}" if port else home.url  # for `MLQ(url=...)`

    @property
    def pid(self) -> int:
        """The pid of the server process; raises ServerError after it was stopped or killed."""
        if not self._child:
            raise ServerError(f"the server at {self.url} does not run")
        return self._child

    def kill(self) -> None:
        """SIGKILL; returns when the process is gone."""
        if self._child:
            process.end(self._child, signal.SIGKILL)
            self._child = None
        self.stop()

    def stop(self) -> None:
        """Stop it cleanly; returns when its data is on disk and the process is gone."""
        process.shut_down(self._home)
        if self._child:
            process.end(self._child)
            self._child = None
        self._home.pid_file.unlink(missing_ok=True)  # left by a killed server; the sweeper must not trust it

    def restart(self) -> None:
        """Start it again at the same address, after stopping it if it runs."""
        self.stop()
        self._child = process.start(self._home, self._arguments)


@contextmanager
def scratch(
    appendfsync: str | None = "everysec", port: int | None = None, extra: Sequence[str] = ()
) -> Iterator[Scratch]:
    """A server in its own directory. Both are gone after the `with` block, or when this process ends.

    `appendfsync` is "everysec", "always", or None to keep nothing on disk. With `port` it also listens on TCP at
    127.0.0.1 (0 picks a free port), which is then its `url`. `extra` are more arguments, like `"--maxmemory", "100mb"`.
    """
    home = Home(Path(tempfile.mkdtemp(prefix="mlq-scratch-")).resolve())
    port = _free_port() if port == 0 else port or 0
    server = Scratch(home, port, [*process.arguments(home, appendfsync, port), *extra])
    with subprocess.Popen(
        ["/bin/sh", "-c", _SWEEPER, "sweeper", home.pid_file, home.path, home.socket.parent],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,  # a terminal's Ctrl-C should only reach this process
    ) as sweeper:
        try:
            server.restart()
            yield server
        finally:
            server.kill()
            sweeper.communicate(b"\n")  # closing is not enough: a forked child of ours may hold the pipe open


def _free_port() -> int:
    """A TCP port that is free now; below the range that systems use for outgoing connections."""
    while True:
        port = random.randrange(20_000, 32_000)  # noqa: S311 - no secret
        with suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port
