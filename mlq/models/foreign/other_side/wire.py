"""The socket from another interpreter to the process that started it. See program.py."""

import json
import os
import socket
import struct
import threading
from typing import Any, Callable, List

HEAD = struct.Struct(">Q")


class Wire:
    """The socket."""

    def __init__(self, number: int, plain: Callable[[Any], Any]) -> None:
        """`number`: its file descriptor; `plain`: what stands for a value that JSON does not know."""
        self._plain = plain
        self._socket = socket.fromfd(number, socket.AF_UNIX, socket.SOCK_STREAM)
        os.close(number)
        self._socket.setblocking(True)  # noqa: FBT003 - the other side may have made it otherwise
        self._file = self._socket.makefile("rb")
        self.calling = 0  # the thread that answers, while it does

    def send(self, word: str, value: Any) -> None:
        """Send a frame. Raises TypeError, ValueError or RecursionError if JSON can't hold it."""
        body = json.dumps([word, value], default=self._plain).encode()
        self._socket.sendall(HEAD.pack(len(body)) + body)

    def receive(self) -> Any:
        """The next frame; None if there will be none."""
        head = self._file.read(HEAD.size)
        body = self._file.read(HEAD.unpack(head)[0]) if len(head) == HEAD.size else b""
        return json.loads(body.decode()) if body else None

    def forked(self) -> None:
        """In a process that the model forked: it is not the one that answers."""
        self.calling = 0
        self._file.close()
        self._socket.close()


class Said:
    """Stands for stdout or stderr: what the model writes while it is called belongs to the call."""

    def __init__(self, number: int, stream: Any, wire: Wire) -> None:
        """`number`: 1 or 2; `stream`: where the rest goes."""
        self._number = number
        self._stream = stream
        self._wire = wire

    def write(self, words: str) -> int:
        """Tell the other side, or write it."""
        if isinstance(words, str) and self._wire.calling == threading.get_ident():
            self._wire.send("said", [self._number, words])
            return len(words)
        return int(self._stream.write(words))

    def writelines(self, lines: List[str]) -> None:
        """Write all of them."""
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)
