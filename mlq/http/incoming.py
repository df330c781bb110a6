"""Reads heads and bodies from one connection, each within limits of size and time.

gevent's sockets switch to other greenlets only when there is nothing to read. So this code switches after every piece
(except for heads, which have at most 16 KiB): a client that always has more to send must not hold up others.
"""

import contextlib
import re
import socket
import time
from collections.abc import Iterator
from typing import Any

import gevent  # type: ignore[import-untyped]

from mlq.http.budget import FREE, Share
from mlq.http.chunks import Chunks
from mlq.http.heads import END, LONGEST, Broken, Head, has_bare_newline, read_head
from mlq.http.turns import Turns

PIECE = 65_536  # bytes that are read at once
LARGER = 1024 * 1024  # bytes that are reserved at a time for a chunked body
PARSED = 16_384  # bytes of a chunked body that are read at once
LINES = 64  # lines between its chunks that are parsed at once, in 0.1 ms; more of them only in turns with others
MORE_LINES = 2048  # of one such turn: 3 ms
SLOWEST = 131_072  # bytes a second: the slowest allowed rate of a body, beyond the time that every request has
LINGER = 5.0  # seconds for which a refused client may continue to send, so that it receives the reason
LINGER_MOST = 64 * 1024 * 1024  # bytes that it may send meanwhile; they are dropped
SKIPPED = 65_536  # bytes; smaller bodies that no view has read are skipped, to keep the connection
_turns = Turns()
_EMPTY_LINES = re.compile(rb"(?:\r\n)+")


class Full(Exception):
    """There is no room for this body at the moment."""


class Slow(Broken):
    """A client takes too long to send its request."""

    def __init__(self, what: str) -> None:
        """`what`: the part that took too long."""
        super().__init__(f"the {what} took too long", 408)


class TooLong(Exception):
    """The body is over the limit."""


class Incoming:
    """The input of one connection."""

    def __init__(self, sock: Any, timeout: float) -> None:
        """`timeout`: seconds for a head, and for a body that is not large."""
        self._sock = sock
        self._timeout = timeout
        self._some = b""  # received, but not used yet
        self._unread: Head | None = None  # the head whose body has not been read yet
        self._usable = True  # no error has left the position in the input unknown

    def head(self, idle: float) -> Head | None:
        """The next head; None if the client closes the connection or is silent for `idle` seconds. Raises Broken."""
        some, seen = self._first(idle), 0
        if not some:
            return None
        deadline = time.monotonic() + self._timeout
        while True:
            end = some.find(END, max(0, seen - 3))
            if 0 <= end <= LONGEST:
                self._some = some[end + 4 :]
                head = read_head(some[: end + 2])
                self._unread = head if head.has_body else None
                return head
            if len(some) > LONGEST:
                raise Broken(f"a head of more than {LONGEST} bytes", 431)
            if has_bare_newline(some, max(0, seen - 1)):
                raise Broken("a line that ends without CR")
            seen = len(some)
            piece = self._more(PIECE, deadline, "headers")
            if not piece:
                return None
            some += piece

    def _first(self, idle: float) -> bytes:
        """The first bytes of the next request, without the empty lines that some clients send after a body."""
        some, deadline = self._some, time.monotonic() + idle
        with contextlib.suppress(Slow):
            while True:
                if some.startswith(b"\r\n"):
                    some = _EMPTY_LINES.sub(b"", some, 1)
                if some not in (b"", b"\r"):
                    return some
                piece = self._more(PIECE, deadline)
                if not piece:
                    break
                some += piece
                gevent.sleep(0)
        return b""

    def _more(self, most: int, deadline: float, what: str = "body") -> bytes:
        """The next bytes; none if the client has closed the connection. Raises Slow."""
        left = deadline - time.monotonic()
        if left <= 0:
            raise Slow(what)
        self._sock.settimeout(left)
        try:
            piece: bytes = self._sock.recv(most)
        except TimeoutError:
            raise Slow(what) from None
        return piece

    def body(self, head: Head, limit: int, share: Share) -> bytes:
        """The body of the request whose head came last. Raises Broken, Slow, TooLong, Full and OSError."""
        self._usable = False
        if head.chunked:
            made = self._chunked(limit, share)
        elif head.length > limit:
            raise TooLong
        elif head.length > FREE and not share.hold(head.length):
            raise Full
        else:
            made = self._counted(head.length, self._timeout)
        self._usable, self._unread = True, None
        return made

    def pieces(self, head: Head, limit: int) -> Iterator[bytes]:
        """The same body in pieces, for a reader that does not keep them. Raises Broken, Slow, TooLong and OSError."""
        self._usable = False
        if head.length > limit:
            raise TooLong
        read = 0
        for piece in self._content() if head.chunked else self._parts(head.length, self._timeout):
            read += len(piece)
            if read > limit:
                raise TooLong
            yield piece
        self._usable, self._unread = True, None

    def _counted(self, size: int, seconds: float) -> bytes:
        if len(self._some) >= size:
            some, self._some = self._some[:size], self._some[size:]
            return some
        made = bytearray()
        for piece in self._parts(size, seconds):
            made += piece
        return bytes(made)

    def _parts(self, size: int, seconds: float) -> Iterator[bytes]:
        """The next `size` bytes as they come."""
        piece, self._some = self._some[:size], self._some[size:]
        left, deadline = size - len(piece), time.monotonic() + seconds
        yield piece
        while left:
            piece = self._more(min(left, PIECE), deadline)
            if not piece:
                raise Broken("the body is broken")
            left -= len(piece)
            deadline += len(piece) / SLOWEST
            gevent.sleep(0)
            yield piece

    def _chunked(self, limit: int, share: Share) -> bytes:
        made, room = bytearray(), FREE
        for some in self._content():
            made += some
            if len(made) > limit:
                raise TooLong
            if len(made) > room:
                if not share.hold(LARGER):
                    raise Full
                room += LARGER
        return bytes(made)

    def _content(self) -> Iterator[bytes]:
        """What is in the chunks of a body, as they come."""
        chunks = Chunks()
        deadline = time.monotonic() + self._timeout
        waiting, self._some = self._some, b""
        while not chunks.ended:
            piece, waiting = waiting[:PARSED] or self._more(PARSED, deadline), waiting[PARSED:]
            if not piece:
                raise Broken("the body is broken")
            some = chunks.feed(piece, LINES)
            while chunks.paused:
                with _turns.take(PARSED):
                    some += chunks.feed(b"", MORE_LINES)
            deadline += len(some) / SLOWEST
            yield some
            gevent.sleep(0)
        self._some = chunks.rest + waiting

    def may_go_on(self) -> bool:
        """Whether another request can follow: a body that was not read must be small enough to skip."""
        head = self._unread
        return self._usable and (head is None or not (head.chunked or head.length > SKIPPED))

    def goes_on(self) -> bool:
        """Skip a small body that was not read; whether the next request can be read now."""
        if self._unread is not None and self.may_go_on():
            try:
                self._counted(self._unread.length, LINGER)
            except (OSError, Broken):
                return False
            self._unread = None
        return self._usable and self._unread is None

    @property
    def holds_more(self) -> bool:
        """Whether bytes were received that were not used."""
        return bool(self._some)

    def linger(self) -> None:
        """Shut down sending, and drop input for a while: some clients read the answer only after they have sent all."""
        deadline, left = time.monotonic() + LINGER, LINGER_MOST
        with contextlib.suppress(OSError, Slow):
            self._sock.shutdown(socket.SHUT_WR)
            while left > 0 and (piece := self._more(PIECE, deadline)):
                left -= len(piece)
                gevent.sleep(0)
