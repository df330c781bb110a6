"""The frames between a worker and its child processes: MessagePack arrays over a socket pair, with a word first.

    worker -> child
        run       number · id · attempt · worker · started · record
        batch     [[number, id, attempt, worker, started, record]]: run these together; each is `done` by itself
        cancel    number: the worker has given that run up
        answer    call · error's class name, or '' · value, or the error's text
        load      name · code: load this upload
        warm      names: load these models now
        unload    name: this upload is no longer a listener
        stop      end, when all runs have ended
    child -> worker
        ready     queues: [namespace, url or None, [[name, takes context, is async, queue, batch, max_wait,
                  per_worker, about, [idle, memory, warm], uses, timeout, retries, backoff]],
                  [[schedule, its declaration, lane, body]]] · resident memory in bytes
        failed    why the listeners can't be loaded
        loaded    name · takes context · is async: an upload is loaded
        refused   name · why the upload can't be loaded
        done      number · state · fields · said · hint · again · resident memory in bytes, or 0
        report    number · packed progress
        entry     number · kind · bytes
        model     name · state · since · took · why · memory · device: what became of a model, see running/loads.py
        call      number · call · name of a method of `context.Channel` · arguments

`number` counts the runs of one pool. Messages and results are sent as the bytes that Redis stores: a worker decodes
none of them.
"""

import socket
from collections import deque
from collections.abc import Iterator
from typing import Any

from msgpack import Packer, Unpacker  # type: ignore[import-untyped]

from mlq.system import memory
from mlq.system.turn import Turn

PORTION = 256 * 1024  # bytes per read; a buffer that grew beyond that for a large frame is freed afterwards
FRAME_LIMIT = 1024 * 1024 * 1024  # bytes; the limit for what a listener may return is far lower
SEND_PATIENCE = 10.0  # seconds that the other side may take to read 64 KiB; a child stopped by SIGSTOP never does
CROWD = 64  # frames that may wait while another thread sends; above that, threads that can wait do so


class _Frame:
    """A frame to be sent, and the sizes of the parts that were sent already."""

    __slots__ = ("data", "sent")

    def __init__(self, data: bytes) -> None:
        self.data = memoryview(data)
        self.sent: list[int] = []


class Wire:
    """One end of the connection. Several threads may send; only one at a time may read.

    No thread waits for a lock here (see `turn`): a frame joins a queue, and the thread that has the turn sends all that
    is queued. The same call in C sends and records how much was sent, and no signal handler can run in between. If a
    handler raises, the next thread that sends completes the frame.
    """

    def __init__(self, end: socket.socket) -> None:
        """`end`: a connected stream socket, which the wire owns from now on."""
        self.socket = end
        self._unpacker = _unpacker()
        self._fed = 0  # bytes fed to this unpacker
        self._grown = False
        self._buffer = bytearray(PORTION)  # reused: creating one for each read costs more than the read
        self._view = memoryview(self._buffer)
        self._packers: deque[Packer] = deque()  # those that are not in use
        self._queue: deque[_Frame] = deque()
        self._turn = Turn()  # to send

    def send(self, *frame: Any) -> None:
        """Send one frame, or leave it to the thread that is sending. Raises OSError if the other side is gone."""
        self._queue.append(_Frame(self._packed(frame)))
        self.flush()

    def flush(self) -> None:
        """Send the queued frames, unless another thread, or this one further up its stack, is sending."""
        while self._queue and self._turn.run(self._send_all):  # a loop: a frame may come just before the turn ends
            pass

    def crowded(self) -> bool:
        """Whether many frames wait for another thread to send them."""
        if len(self._queue) <= CROWD:
            return False
        self.flush()  # the thread that had the turn may have been interrupted
        return len(self._queue) > CROWD and not self._turn.is_mine()

    def receive(self) -> Iterator[list[Any]]:
        """The frames of one read, which blocks as the socket does. Raises EOFError if the other side is gone."""
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
        """Close the socket."""
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
