"""The service's store of files where that is a URL: reached through a process of its own (`disk_program.py`).

The process is started with the first call, and again if it has ended. No call waits longer than its time for it.
"""

import errno
import io
import os
import socket
import subprocess
import threading
import time
from contextlib import suppress
from typing import IO, Any, cast

from mlq.http import disk_frames
from mlq.http.disk_frames import PIECE
from mlq.http.disk_program import STORE
from mlq.system import launch

PROGRAM = "mlq.http.disk_program"
AT_ONCE = 32  # calls; others wait
PATIENCE = 60.0  # seconds for a call
LONG = 600.0  # seconds for one that looks at all files
MOST_LEFT = 32  # calls that took too long, after which the process is ended: each holds a thread of it
PAUSE = 1.0  # seconds between two starts


class ServiceDisk:
    """As `batches.disks.Disk`. Raises ConnectionError, an OSError, where the process or the store does not answer."""

    def __init__(self, url: str) -> None:
        """Starts nothing yet."""
        self.where = url
        self._places = threading.BoundedSemaphore(AT_ONCE)
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._control: socket.socket | None = None
        self._started = -PAUSE
        self._idle: list[socket.socket] = []
        self._left = 0

    def address(self, name: str) -> str:
        """As in `Disk`."""
        return f"{self.where}/{name}"

    def names(self) -> list[str]:
        """As in `Disk`."""
        return list(self.call("names", seconds=LONG))

    def total(self) -> int:
        """As in `Disk`."""
        return int(self.call("total", seconds=LONG))

    def size(self, name: str) -> int:
        """As in `Disk`."""
        return int(self.call("size", name))

    def read(self, name: str) -> bytes:
        """As in `Disk`."""
        return bytes(self.call("read", name))

    def write(self, name: str, data: bytes) -> None:
        """As in `Disk`."""
        self.call("write", name, data)

    def open(self, name: str) -> IO[bytes]:
        """As in `Disk`."""
        return io.BufferedReader(_Reader(self, self.call("open", name)), PIECE)

    def create(self, name: str) -> IO[bytes]:
        """As in `Disk`."""
        return cast("IO[bytes]", io.BufferedWriter(_Writer(self, self.call("create", name)), PIECE))

    def move(self, name: str, to: str) -> None:
        """As in `Disk`."""
        self.call("move", name, to)

    def remove(self, name: str) -> None:
        """As in `Disk`."""
        self.call("remove", name)

    def call(self, what: str, *given: Any, seconds: float = PATIENCE) -> Any:
        """What the process answers. Raises OSError."""
        if not self._places.acquire(timeout=PATIENCE):
            raise ConnectionError(errno.EBUSY, "too many calls wait for the store of files")
        try:
            return self._called([what, *given], seconds)
        finally:
            self._places.release()

    def _called(self, asked: list[Any], seconds: float) -> Any:
        sock = self._connection()
        try:
            sock.settimeout(seconds)
            disk_frames.send(sock, asked)
            answer = disk_frames.receive(sock)
        except BaseException as error:  # also a request whose client has gone
            self._give_up(sock)
            if isinstance(error, OSError):
                raise ConnectionError(errno.ETIMEDOUT, "the store of files does not answer") from None
            raise
        if answer is None:
            sock.close()
            raise ConnectionError(errno.ECONNRESET, "the process that reaches the store of files has ended")
        self._idle.append(sock)
        if not answer[0]:
            raise OSError(*answer[1:])
        return answer[1]

    def _connection(self) -> socket.socket:
        """A connection that no other call uses. Raises ConnectionError."""
        with self._lock:
            if self._process is None or self._process.poll() is not None:
                self._start()
            if self._idle:
                return self._idle.pop()
            assert self._control is not None  # noqa: S101 - the process was started
            mine, theirs = socket.socketpair()
            with theirs:
                try:
                    socket.send_fds(self._control, [b"x"], [theirs.fileno()])
                except OSError:
                    mine.close()
                    raise ConnectionError(errno.ECONNRESET, "the process of the store of files has ended") from None
            return mine

    def _start(self) -> None:
        """Start the process anew. With the lock held."""
        if time.monotonic() - self._started < PAUSE:
            raise ConnectionError(errno.ECONNRESET, "the process that reaches the store of files has just ended")
        self._started, self._left = time.monotonic(), 0
        for one in (*self._idle, *filter(None, [self._control])):
            one.close()
        self._idle = []
        self._control, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(
                launch.command(PROGRAM), stdin=theirs.fileno(), env=os.environ | {STORE: self.where}
            )

    def _give_up(self, sock: socket.socket) -> None:
        """Leave a call whose answer nobody waits for any more."""
        sock.close()
        with self._lock:
            self._left += 1
            if self._left > MOST_LEFT and self._process is not None:
                self._process.kill()


class _Reader(io.RawIOBase):
    """A file that the process has open."""

    def __init__(self, disk: ServiceDisk, number: int) -> None:
        self._disk, self._number = disk, number

    def readable(self) -> bool:
        return True

    def readinto(self, into: Any) -> int:
        piece = self._disk.call("take", self._number, min(len(into), PIECE))
        into[: len(piece)] = piece
        return len(piece)

    def close(self) -> None:
        if not self.closed:
            super().close()
            with suppress(OSError):
                self._disk.call("close", self._number)


class _Writer(io.RawIOBase):
    """A file that the process writes."""

    def __init__(self, disk: ServiceDisk, number: int) -> None:
        self._disk, self._number = disk, number

    def writable(self) -> bool:
        return True

    def write(self, piece: Any) -> int:
        some = bytes(piece[:PIECE])
        self._disk.call("put", self._number, some)
        return len(some)

    def close(self) -> None:
        if not self.closed:
            super().close()
            self._disk.call("close", self._number)
