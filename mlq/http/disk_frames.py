"""What the service and the process that reaches its store of files say to each other: calls and their answers.

A frame is its length, and a list as MessagePack.
"""

import socket
import struct
from typing import Any

import msgpack  # type: ignore[import-untyped]

MOST = 64 * 1024 * 1024  # bytes of a frame: the names of 700,000 files
PIECE = 256 * 1024  # bytes of a file that one call moves at most
_LENGTH = struct.Struct(">I")


def send(sock: socket.socket, content: list[Any]) -> None:
    """Raises OSError."""
    packed = msgpack.packb(content)
    if len(packed) > MOST:
        raise OSError(f"an answer of {len(packed):,} bytes is too long")
    sock.sendall(_LENGTH.pack(len(packed)) + packed)


def receive(sock: socket.socket) -> list[Any] | None:
    """The next frame; None if the other side has ended. Raises OSError."""
    head = _exactly(sock, _LENGTH.size)
    if head is None:
        return None
    (size,) = _LENGTH.unpack(head)
    if size > MOST:
        raise OSError("a frame is too long")
    packed = _exactly(sock, size)
    found: list[Any] | None = None if packed is None else msgpack.unpackb(packed)
    return found


def _exactly(sock: socket.socket, size: int) -> bytes | None:
    found = bytearray()
    while len(found) < size:
        piece = sock.recv(min(size - len(found), PIECE))
        if not piece:
            return None
        found += piece
    return bytes(found)
