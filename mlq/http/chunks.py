"""Parses a chunked body, strictly and with bounded work (RFC 9112, section 7.1). Does no I/O."""

import re

from mlq.http.heads import Broken

LINE = 256  # bytes of the line before a chunk: its size, and extensions, which are ignored
TRAILERS = 4096  # bytes of the lines after the last chunk, which are ignored, too
FREE = 65_536  # bytes that all this framing may always take
RATIO = 4  # and this many more for each byte of content

_SIZE = re.compile(rb"([0-9A-Fa-f]{1,15})(?:;[^\x00-\x08\x0a-\x1f\x7f]*+)?\r\n")
_TRAILERS = re.compile(rb"(?:[!#$%&'*+.^_`|~0-9A-Za-z-]++:[^\x00-\x08\x0a-\x1f\x7f]*+\r\n)*+\r\n")


class Chunks:
    """Extracts the content of one body from pieces of input. Once `ended`, `rest` is what follows the body."""

    def __init__(self) -> None:
        """Starts before the first chunk."""
        self.ended = False
        self.rest = b""
        self._left = 0  # bytes of the current chunk that are missing
        self._opened = False  # within a chunk, or before the line end after it
        self._last = False  # only trailers follow
        self._framing = 0
        self._content = 0
        self.paused = False  # there is more in `rest`

    def feed(self, piece: bytes, most: int) -> bytes:
        """The content in the next piece, of `most` lines at most: then it is `paused`. Raises Broken."""
        some, at, found = self.rest + piece if self.rest else piece, 0, []
        self.paused = False
        while not (self.ended or self._last):
            if most <= 0:
                self.paused = True
                break
            most -= 1
            if self._left:
                content = some[at : at + self._left]
                found.append(content)
                at += len(content)
                self._left -= len(content)
                if self._left:
                    break
            after = self._line(some, at)
            if after == at:
                break
            at = after
        self.rest = some[at:]
        if self._last:
            self._trail()
        made = b"".join(found)
        self._content += len(made)
        if self._framing > FREE + RATIO * self._content:
            raise Broken("a chunked body that is mostly the framing of its chunks")
        return made

    def _line(self, some: bytes, at: int) -> int:
        """Parse the line at `at`: the end of a chunk, or the size of one. Returns its end; `at` if it is incomplete."""
        if self._opened:
            if not b"\r\n".startswith(some[at : at + 2]):
                raise Broken("a chunk that is longer than it says")
            if len(some) < at + 2:
                return at
            self._opened = False
            self._framing += 2
            return at + 2
        end = some.find(b"\n", at, at + LINE)
        if end < 0:
            if len(some) - at >= LINE:
                raise Broken("the line before a chunk is too long")
            return at
        size = _SIZE.fullmatch(some, at, end + 1)
        if size is None:
            raise Broken("a chunk without a size")
        self._left = int(size[1], 16)
        self._opened, self._last = self._left > 0, self._left == 0
        self._framing += end + 1 - at
        return end + 1

    def _trail(self) -> None:
        """Drop the trailers once they are complete; until then they are in `rest`."""
        whole = _TRAILERS.match(self.rest)
        if whole is not None and whole.end() <= TRAILERS:
            self.ended, self.rest = True, self.rest[whole.end() :]
        elif whole is not None or b"\r\n\r\n" in self.rest or len(self.rest) > TRAILERS:
            raise Broken("trailers that are malformed or too long")
