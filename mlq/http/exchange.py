"""Passes one request to the WSGI application and sends its answer as HTTP/1.1."""

import time
from collections.abc import Callable, Iterable
from email.utils import formatdate
from typing import Any
from wsgiref.types import WSGIApplication, WSGIEnvironment

import gevent  # type: ignore[import-untyped]

from mlq.http.answers import STREAM
from mlq.http.heads import Head

SMALL = 65_536  # bytes; smaller bodies are appended to the head: one send instead of two, of 30 us each
_EMPTY = ("1", "204", "304")  # how the statuses of answers without a body begin
_date_header = (0, b"")  # the second for which it was made, and the header


class Exchange:
    """Calls the application for one request and sends its answer."""

    def __init__(
        self, send: Callable[[bytes], None], send_large: Callable[[bytes], None], head: Head,
        started: Callable[..., bool],
    ) -> None:  # fmt: skip
        """Both send all bytes that they are given. `started(is_stream=...)` says whether the connection is kept."""
        self.status = ""
        self.sent = 0  # bytes of the body
        self.keeps = head.keeps
        self.begun = False  # the head of the answer was made, so no other answer can replace it
        self._sends, self._sends_large = send, send_large
        self._head = head
        self._started = started
        self._headers: list[tuple[str, str]] = []
        self._chunks = False  # the body is sent in chunks, because its length is unknown

    def run(self, app: WSGIApplication, environ: WSGIEnvironment) -> None:
        """Call the application and send its answer. Raises OSError if the client reads nothing, and its errors."""
        parts = app(environ, self._start)
        try:
            self._send(parts)
        finally:
            close = getattr(parts, "close", None)
            if close is not None:
                close()

    def _send(self, parts: Iterable[bytes]) -> None:
        if self._head.method == "HEAD":
            self._out(self._begin(), b"")
            return
        for part in parts:
            if not part:
                continue
            if self.begun:
                gevent.sleep(0)  # lets others have their turn, even if the application always has more
            self.sent += len(part)
            self._out(b"" if self.begun else self._begin(), part)
        if not self.begun:
            self._out(self._begin(), b"")
        if self._chunks:
            self._sends(b"0\r\n\r\n")

    def _start(self, status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Callable[[bytes], object]:
        """`start_response` of WSGI."""
        if exc_info and self.begun:
            raise exc_info[1]
        self.status, self._headers = status, headers
        return self._write

    def _write(self, data: bytes) -> None:
        self.sent += len(data)
        self._out(b"" if self.begun else self._begin(), data)

    def _begin(self) -> bytes:
        """The head of the answer, which is sent next. Until this is called, another answer may replace this one."""
        lines, names, is_stream = [f"HTTP/1.1 {self.status}\r\n"], set(), False
        for name, value in self._headers:
            lower = name.lower()
            names.add(lower)
            if lower == "connection":
                self.keeps = self.keeps and value.lower() != "close"
                continue
            is_stream = is_stream or (lower == "content-type" and value.startswith(STREAM))
            lines.append(f"{name}: {value}\r\n")
        self.keeps = self._started(is_stream=is_stream) and self.keeps
        has_body = self._head.method != "HEAD" and not self.status.startswith(_EMPTY)
        if has_body and "content-length" not in names:
            self._chunks = self._head.minor > 0
            self.keeps = self.keeps and self._chunks
            lines.append("Transfer-Encoding: chunked\r\n" if self._chunks else "")
        if not self.keeps:
            lines.append("Connection: close\r\n")
        elif not self._head.minor:
            lines.append("Connection: keep-alive\r\n")
        made = b"".join(("".join(lines).encode("latin-1"), b"" if "date" in names else _date(), b"\r\n"))
        self.begun = True
        return made

    def _out(self, head: bytes, body: bytes) -> None:
        """Send both; a large body is not copied."""
        before, behind = (b"%x\r\n" % len(body), b"\r\n") if self._chunks and body else (b"", b"")
        if len(body) <= SMALL:
            self._sends(b"".join((head, before, body, behind)))
            return
        self._sends(head + before)
        self._sends_large(body)
        if behind:
            self._sends(behind)


def _date() -> bytes:
    """The header Date, which is made once a second."""
    global _date_header  # noqa: PLW0603 - a cache: few of all requests need to make it
    now = int(time.time())
    if now != _date_header[0]:
        _date_header = now, f"Date: {formatdate(now, usegmt=True)}\r\n".encode()
    return _date_header[1]
