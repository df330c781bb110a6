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
        say       number · kind · bytes
        call      number · call · name of a method of `context.Channel` · arguments

`number` counts the runs of one child. Messages and results cross as the bytes that they are kept in: a worker decodes
none of them.
"""

import socket
from collections import deque
from collections.abc import Iterator
from typing import Any

from msgpack import Packer, Unpacker  # type: ignore[import-untyped]

from mlq.system import memory
from mlq.system.turn import Turn

PORTION = 256 * 1024  # bytes of one read; what grew beyond that for a large frame is given back
FRAME_LIMIT = 1024 * 1024 * 1024  # bytes; what a listener may return is bounded far below
SEND_PATIENCE = 10.0  # seconds that the other side may take to read 64 KiB; a child that is stopped never does
CROWD = 64  # frames that wait while another thread sends; above that, whoever can wait does


class _Frame:
    """One that is on its way, and the sizes of the parts that are sent."""

    __slots__ = ("data", "sent")

    def __init__(self, data: bytes) -> None:
        self.data = memoryview(data)
        self.sent: list[int] = []


class Wire:
    """One end. Several threads may send, one at a time may read.

    Nobody waits for a lock here (see `turn`): a frame joins a queue, and whoever has the turn sends all that is there.
    How far a frame got is noted by the same call of C code that sends, amid which no signal handler runs: when one
    raises, whoever sends next completes the frame.
    """

    def __init__(self, end: socket.socket) -> None:
        """`end`: a connected stream socket, which is this wire's from now on."""
        self.socket = end
        self._unpacker = _unpacker()
        self._fed = 0  # bytes, to this unpacker
        self._grown = False
        self._buffer = bytearray(PORTION)  # kept: to make one for each read costs more than the read
        self._view = memoryview(self._buffer)
        self._packers: deque[Packer] = deque()  # those that nobody uses
        self._queue: deque[_Frame] = deque()
        self._turn = Turn()  # to send

    def send(self, *frame: Any) -> None:
        """Send one frame, or leave it to the thread that sends. Raises OSError when the other side is gone."""
        self._queue.append(_Frame(self._packed(frame)))
        self.flush()

    def flush(self) -> None:
        """Send what waits, unless another thread, or this one further up its stack, does."""
        while self._queue and self._turn.run(self._send_all):  # again: one may have come just before the turn ended
            pass

    def crowded(self) -> bool:
        """Whether many frames wait for another thread that sends."""
        if len(self._queue) <= CROWD:
            return False
        self.flush()  # the one that had the turn may have been interrupted
        return len(self._queue) > CROWD and not self._turn.is_mine()

    def receive(self) -> Iterator[list[Any]]:
        """The frames of one read, which waits as the socket does. Raises EOFError when the other side is gone."""
        size = self.socket.recv_into(self._buffer)
        if not size:
            raise EOFError
        self._unpacker.feed(self._view[:size])
        self._fed += size
        yield from self._unpacker
        waiting = self._fed - self._unpacker.tell()
        if waiting > PORTION:
            self._grown = True
            if waiting > memory.LARGE:
                memory.expect_large()
        elif self._grown and not waiting:
            self._unpacker, self._fed, self._grown = _unpacker(), 0, False

    def close(self) -> None:
        """Close."""
        self.socket.close()

    def _send_all(self) -> None:
        while self._queue:
            head = self._queue[0]
            start = sum(head.sent)
            if start < len(head.data):
                head.sent.extend(map(self.socket.send, (head.data[start:],)))
            else:
                self._queue.popleft()

    def _packed(self, frame: tuple[Any, ...]) -> bytes:
        try:
            packer = self._packers.pop()
        except IndexError:
            packer = Packer()
        packed: bytes = packer.pack(frame)
        if len(packed) <= PORTION:
            self._packers.append(packer)
        return packed


def _unpacker() -> Unpacker:
    return Unpacker(max_buffer_size=FRAME_LIMIT, strict_map_key=False)
