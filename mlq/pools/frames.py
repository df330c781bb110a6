"""What a worker and its child processes say to each other: MessagePack arrays over a socket pair, a word first.

    worker -> child
        run       number · id · attempt · worker · started · record
        cancel    number: the worker has given that run up
        answer    call · error's class name, or '' · value, or the error's text
        learn     name · code: an uploaded listener, to be loaded
        forget    name: an upload is no listener any more
        stop      end, when what runs has ended
    child -> worker
        ready     queues: [namespace, url or None, [[name, takes context, is async, queue, timeout, retries, backoff]]]
        failed    why the listeners can't be loaded
        learned   name · takes context · is async: an upload is loaded
        unlearned name · why it can't be loaded
        done      number · state · fields · said · hint · again · resident memory in bytes, or 0
        report    number · packed progress
        say       number · entry's number · kind · bytes
        call      number · call · name of a method of `context.Line` · arguments

`number` counts the runs of one child. Messages and results cross as the bytes that they are kept in: a worker decodes
none of them.
"""

import socket
import threading
from collections.abc import Iterator
from typing import Any

from msgpack import Packer, Unpacker  # type: ignore[import-untyped]

PORTION = 256 * 1024  # bytes of one read
FRAME_LIMIT = 1024 * 1024 * 1024  # bytes; what a listener may return is bounded far below
SEND_PATIENCE = 10.0  # seconds that the other side may take to read 64 KiB; a child that is stopped never does


class Wire:
    """One end. Several threads may send, one at a time may read."""

    def __init__(self, end: socket.socket) -> None:
        """`end`: a connected stream socket, which is this wire's from now on."""
        self.socket = end
        self._unpacker = Unpacker(max_buffer_size=FRAME_LIMIT, strict_map_key=False)
        self._packer = Packer(autoreset=True)
        self._buffer = bytearray(PORTION)  # kept: to make one for each read costs more than the read
        self._view = memoryview(self._buffer)
        self._sending = threading.Lock()

    def send(self, *frame: Any) -> None:
        """Send one frame. Raises OSError when the other side is gone."""
        with self._sending:
            self.socket.sendall(self._packer.pack(frame))

    def receive(self) -> Iterator[list[Any]]:
        """The frames of one read, which waits as the socket does. Raises EOFError when the other side is gone."""
        size = self.socket.recv_into(self._buffer)
        if not size:
            raise EOFError
        self._unpacker.feed(self._view[:size])
        yield from self._unpacker

    def close(self) -> None:
        """Close."""
        self.socket.close()
