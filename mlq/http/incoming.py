"""What a client sends over one connection: heads and bodies, each within limits of size and time.

gevent's sockets give way only when there is nothing to read. So whoever reads on here gives way after every piece (but
for a head, of which there are 16 KiB at most), and a client that always has more to send takes no more than its turn.
"""

import contextlib
import re
import socket
import time
from typing import Any

import gevent  # type: ignore[import-untyped]

from mlq.http.budget import FREE, Share
from mlq.http.chunks import Chunks
from mlq.http.heads import END, LONGEST, Broken, Head, has_bare_newline, read_head
from mlq.http.turns import Turns

PIECE = 65_536  # bytes that are read at once
LARGER = 1024 * 1024  # bytes by which the room for a chunked body grows
PARSED = 16_384  # bytes of a chunked body that are read at once
LINES = 64  # lines between its chunks that are parsed at once, in 0.1 ms; where there are more, in turns with others
MORE_LINES = 2048  # of one such turn: 3 ms
SLOWEST = 131_072  # bytes a second that a body must come at, beyond the time that every request has
LINGER = 5.0  # seconds for which a client that was refused may go on sending, so that it hears why
LINGER_MOST = 64 * 1024 * 1024  # bytes that it may send meanwhile; nobody looks at them
HEARD_OUT = 65_536  # bytes of a body that nobody wanted, which are read to keep the connection
_turns = Turns()
_EMPTY_LINES = re.compile(rb"(?:\r\n)+")


class Full(Exception):
    """There is no room for this body just now."""


class Slow(Broken):
    """A client takes too long to say what it wants."""

    def __init__(self, what: str) -> None:
        """`what`: the part that it takes too long to send."""
        super().__init__(f"the {what} took too long", 408)


class TooLong(Exception):
    """The body is over the limit."""


class Incoming:
    """The bytes of one connection, in their order."""

    def __init__(self, sock: Any, timeout: float) -> None:
        """`timeout`: seconds for a head, and for a body that is not large."""
        self._sock = sock
        self._timeout = timeout
        self._some = b""  # came, but was not used
        self._unread: Head | None = None  # whose body still stands before the next request
        self._usable = True

    def head(self, idle: float) -> Head | None:
        """The next request; None where the client leaves, or is silent for `idle` seconds. Raises Broken."""
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
        """What the next request begins with: not the empty lines that some clients send behind a body."""
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
        """The next bytes of it; none where the client has left. Raises Slow."""
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

    def _counted(self, size: int, seconds: float) -> bytes:
        some, self._some = self._some[:size], self._some[size:]
        if len(some) == size:
            return some
        made = bytearray(some)
        deadline = time.monotonic() + seconds
        while len(made) < size:
            piece = self._more(min(size - len(made), PIECE), deadline)
            if not piece:
                raise Broken("the body is broken")
            made += piece
            deadline += len(piece) / SLOWEST
            gevent.sleep(0)
        return bytes(made)

    def _chunked(self, limit: int, share: Share) -> bytes:
        chunks, made, room = Chunks(), bytearray(), FREE
        deadline = time.monotonic() + self._timeout
        waiting, self._some = self._some, b""
        while not chunks.ended:
            piece, waiting = waiting[:PARSED] or self._more(PARSED, deadline), waiting[PARSED:]
            if not piece:
                raise Broken("the body is broken")
            some = chunks.feed(piece, LINES)
            while chunks.paused:
                with _turns.take():
                    some += chunks.feed(b"", MORE_LINES)
            made += some
            deadline += len(some) / SLOWEST
            if len(made) > limit:
                raise TooLong
            if len(made) > room:
                if not share.hold(LARGER):
                    raise Full
                room += LARGER
            gevent.sleep(0)
        self._some = chunks.rest + waiting
        return bytes(made)

    def may_go_on(self) -> bool:
        """Whether the next request may be read some time: a body that nobody wanted must be small."""
        head = self._unread
        return self._usable and (head is None or not (head.chunked or head.length > HEARD_OUT))

    def goes_on(self) -> bool:
        """Whether the next request can be read now; a small body that nobody wanted is heard out."""
        if self._unread is not None and self.may_go_on():
            try:
                self._counted(self._unread.length, LINGER)
            except (OSError, Broken):
                return False
            self._unread = None
        return self._usable and self._unread is None

    @property
    def holds_more(self) -> bool:
        """Whether bytes came that nobody has read."""
        return bool(self._some)

    def linger(self) -> None:
        """Say that no more is said, and let the client go on for a while: it may read only when it has sent all."""
        deadline, left = time.monotonic() + LINGER, LINGER_MOST
        with contextlib.suppress(OSError, Slow):
            self._sock.shutdown(socket.SHUT_WR)
            while left > 0 and (piece := self._more(PIECE, deadline)):
                left -= len(piece)
                gevent.sleep(0)
