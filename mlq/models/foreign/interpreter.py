"""One process of another Python interpreter that runs `other_side/program.py`, and the frames to it and from it."""

import contextlib
import json
import socket
import struct
import subprocess
from pathlib import Path
from typing import IO, Any

PROGRAM = Path(__file__).with_name("other_side") / "program.py"
HEAD = struct.Struct(">Q")
FRAME_LIMIT = 1024 * 1024 * 1024  # bytes
PORTION = 1024 * 1024  # bytes that are read at once


class Interpreter:
    """The process, and the socket to it. One thread at a time may use it."""

    def __init__(
        self, python: str, output: int | IO[bytes] | None = None, errors: int | IO[bytes] | None = None
    ) -> None:
        """Start it. `output` and `errors`: where its stdout and stderr go; where this process's own go, if left out.

        It sees no variables of Python's, no packages of the user's home and no folder of this process (`-I`). On
        Linux it is killed when the thread that starts it ends. Raises OSError.
        """
        self.socket, theirs = socket.socketpair()
        with theirs:
            try:
                self.process = subprocess.Popen(
                    [python, "-I", str(PROGRAM), str(theirs.fileno())], pass_fds=[theirs.fileno()],
                    stdin=subprocess.DEVNULL, stdout=output, stderr=errors,
                )  # fmt: skip
            except BaseException:
                self.socket.close()
                raise
        self._read = bytearray()

    def send(self, frame: bytes) -> None:
        """Send what `frame_of` made. Raises OSError if the process is gone."""
        self.socket.sendall(frame)

    def receive(self) -> tuple[str, Any]:
        """The word and the value of one frame. Raises EOFError or OSError if the process is gone.

        Raises ValueError or TypeError if other code wrote to its socket.
        """
        size = HEAD.unpack(self._exactly(HEAD.size))[0]
        if size > FRAME_LIMIT:
            raise ValueError(f"a frame of {size:,} bytes")
        word, value = json.loads(self._exactly(size))
        return str(word), value

    def _exactly(self, size: int) -> bytes:
        while len(self._read) < size:
            more = self.socket.recv(PORTION)
            if not more:
                raise EOFError
            self._read += more
        found = bytes(self._read[:size])
        del self._read[:size]
        return found

    def hang_up(self) -> None:
        """Have whoever reads stop: processes that it has started may hold the other end open."""
        with contextlib.suppress(OSError):
            self.socket.shutdown(socket.SHUT_RDWR)

    def end(self) -> None:
        """Kill it, and close the socket."""
        self.process.kill()
        self.hang_up()
        self.socket.close()


def frame_of(word: str, *arguments: Any) -> bytes:
    """A request. Raises TypeError, ValueError or RecursionError if JSON can't hold it."""
    body = json.dumps([word, arguments]).encode()
    return HEAD.pack(len(body)) + body
