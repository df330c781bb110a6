"""Serves one connection of a client: reads requests one after another and answers each."""

import fcntl
import io
import logging
import sys
import termios
import time
from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any
from urllib.parse import quote
from wsgiref.types import WSGIEnvironment

import gevent  # type: ignore[import-untyped]

from mlq.http.bodies import FULL, KEEP, PIECES, SHARE, TAKE, too_long
from mlq.http.budget import Share
from mlq.http.exchange import Exchange
from mlq.http.heads import Broken, Head
from mlq.http.incoming import Full, Incoming, TooLong
from mlq.http.peer import CONNECTED, is_known_closed, is_open
from mlq.http.problems import Refused

if TYPE_CHECKING:
    from mlq.http.serving import Serving

log = logging.getLogger("mlq.http")
access = logging.getLogger("mlq.http.access")

PIECE = 262_144  # bytes that are sent at once; the time limit for a client that reads nothing applies to each piece
INCOMPLETE = "the body is incomplete"
SILENT = 300.0  # seconds after which a connection is closed whose client reads nothing or makes no further request
_TITLES = {
    400: "Bad Request", 408: "Request Timeout", 431: "Request Header Fields Too Large", 500: "Internal Server Error"
}  # fmt: skip
_BASE: dict[str, Any] = {
    "GATEWAY_INTERFACE": "CGI/1.1", "SERVER_SOFTWARE": "mlq", "SCRIPT_NAME": "", "wsgi.version": (1, 0),
    "wsgi.url_scheme": "http", "wsgi.multithread": True, "wsgi.multiprocess": False, "wsgi.run_once": False,
    "wsgi.input_terminated": True,
}  # fmt: skip
_UNESCAPED = "!#$%&'()*+,/:;=?@[]~"  # in targets in the log; quotes and control characters are escaped


class Connection:
    """Serves one client in its own greenlet."""

    def __init__(self, sock: Any, address: Any, serving: "Serving") -> None:
        """Reads nothing yet. `serving`: manages all connections."""
        self.answer = Share(serving.answers)  # the memory reserved for the current answer
        self._sock = sock
        self._serving = serving
        self._incoming = Incoming(sock, serving.settings.request_timeout)
        client = address if isinstance(address, tuple) else ("", 0)
        self._base = _BASE | {"wsgi.errors": sys.stderr, "REMOTE_ADDR": str(client[0]), "REMOTE_PORT": str(client[1])}
        name, port = sock.getsockname()[:2]
        self._base |= {"SERVER_NAME": str(name), "SERVER_PORT": str(port)}

    def run(self) -> None:
        """Serve all of its requests."""
        idle = self._serving.settings.request_timeout
        with suppress(OSError):  # the client has gone, or reads nothing
            while self._request(idle):
                idle = SILENT
                gevent.sleep(0)  # there may be more to read already, but others get their turn first

    def rests(self) -> bool:
        """Whether its client has sent nothing that is still to be read."""
        with suppress(OSError, ValueError):  # it is closed
            return fcntl.ioctl(self._sock.fileno(), termios.FIONREAD, bytes(4)) == bytes(4)
        return True

    def _request(self, idle: float) -> bool:
        """Serve one request; whether another may follow."""
        try:
            head = self._incoming.head(idle)
        except Broken as error:
            self._refuse(error.status, str(error))
            return False
        if head is None:
            return False
        self._serving.begin(self)
        try:
            keeps = self._answer(head)
        finally:
            self._serving.done(self)
        if keeps and self._incoming.goes_on():
            return True
        if head.has_body or self._incoming.holds_more:  # closing with unread bytes resets the connection and its answer
            self._incoming.linger()
        return False

    def _answer(self, head: Head) -> bool:
        """Answer a request; whether the connection may be kept."""
        began = time.monotonic()
        if is_known_closed(partial(is_open, self._sock)) and self._serving.leaves_undone():
            return False  # nobody would read the answer, and nothing was done yet
        with Share(self._serving.budget) as share, self.answer:
            environ = self._environ(head, share)
            environ[KEEP], environ[CONNECTED] = self._keep, partial(is_open, self._sock)
            exchange = Exchange(self._send, self._send_large, head, partial(self._started, environ))
            try:
                exchange.run(self._serving.app, environ)
            except OSError:  # the client is gone
                raise
            except Exception:  # an error of the application
                log.exception("%s %s failed", head.method, _shown(head.target))
                if exchange.begun:
                    return False
                self._refuse(500, "an error in this service; see its log")
                exchange.status, exchange.keeps = "500", False
            finally:
                if self._serving.settings.access_log:
                    self._log(head, environ, exchange, time.monotonic() - began)
        return exchange.keeps

    def _started(self, environ: WSGIEnvironment, *, is_stream: bool) -> bool:
        """An answer begins; whether the connection may be kept after it."""
        if TAKE in environ and "HTTP_EXPECT" in environ:  # the next bytes may be the body or another request
            return False
        return self._serving.started(self, is_stream=is_stream) and self._incoming.may_go_on()

    def _send(self, data: bytes | memoryview) -> None:
        """Send all of it. Raises OSError if the client reads nothing for too long."""
        self._serving.sending(self, waits=True)
        self._sock.settimeout(SILENT)
        self._sock.sendall(data)
        self._serving.sending(self, waits=False)

    def _send_large(self, data: bytes) -> None:
        """Send data whose memory counts until it is sent. Raises OSError if there is no room for it."""
        held = self.answer.held
        if not self._keep(len(data)):
            raise ConnectionError("there is no memory for this answer until others are sent")
        view = memoryview(data)
        for at in range(0, len(data), PIECE):
            self._send(view[at : at + PIECE])
            gevent.sleep(0)
        self.answer.give_back(self.answer.held - held)

    def _keep(self, size: int) -> bool:
        """Reserve memory for an answer of `size` bytes in total, if need be that of clients that read nothing.

        Returns whether there is room. An answer larger than the whole budget counts as large as that, so it is sent,
        but alone. 0 means that what was reserved has been sent, and the answer continues.
        """
        if not size:
            self.answer.give_back(self.answer.held)
        wanted = min(size, self._serving.answers.total) - self.answer.held
        while wanted > 0 and not self.answer.hold(wanted):
            if not self._serving.frees_answer():
                return False
        return True

    def _environ(self, head: Head, share: Share) -> WSGIEnvironment:
        environ: WSGIEnvironment = self._base | head.fields
        environ["REQUEST_METHOD"] = head.method
        environ["PATH_INFO"] = head.path
        environ["QUERY_STRING"] = head.query
        environ["SERVER_PROTOCOL"] = f"HTTP/1.{head.minor}"
        environ["wsgi.input"] = io.BytesIO()
        environ[SHARE] = share
        if head.has_body:
            environ[TAKE] = partial(self._take, head, environ, share)
            environ[PIECES] = partial(self._pieces, head, environ)
        return environ

    def _pieces(self, head: Head, environ: WSGIEnvironment, limit: int) -> Iterator[bytes]:
        """The body as it comes. Raises Refused."""
        del environ[TAKE]
        try:
            if head.length <= limit:
                self._ask_for_body(head)
            yield from self._incoming.pieces(head, limit)
        except TooLong:
            raise too_long(limit) from None
        except Broken as error:
            raise Refused(error.status, str(error), headers={"Connection": "close"}) from None
        except OSError:
            raise Refused(400, INCOMPLETE, headers={"Connection": "close"}) from None

    def _ask_for_body(self, head: Head) -> None:
        if head.fields.get("HTTP_EXPECT", "").lower() == "100-continue" and head.minor:
            self._send(b"HTTP/1.1 100 Continue\r\n\r\n")

    def _take(self, head: Head, environ: WSGIEnvironment, share: Share) -> tuple[int, str] | None:
        """Read the whole body, or return a status and a reason. The application refuses a body over the limit."""
        limit = self._serving.settings.body_limit
        del environ[TAKE]
        environ.pop("HTTP_TRANSFER_ENCODING", None)
        try:
            if head.length <= limit:
                self._ask_for_body(head)
            body = self._incoming.body(head, limit, share)
        except TooLong:
            environ["CONTENT_LENGTH"] = str(max(head.length, limit + 1))
            return None
        except Full:
            return 503, FULL
        except Broken as error:
            return error.status, str(error)
        except OSError:
            return 400, INCOMPLETE
        environ["wsgi.input"] = io.BytesIO(body)
        environ["CONTENT_LENGTH"] = str(len(body))
        return None

    def _refuse(self, status: int, reason: str) -> None:
        """Send the reason why a request is refused, and read no more requests."""
        text = reason.encode()
        head = f"HTTP/1.1 {status} {_TITLES[status]}\r\nContent-Type: text/plain; charset=utf-8\r\n"
        self._send(head.encode() + b"Content-Length: %d\r\nConnection: close\r\n\r\n%b" % (len(text), text))
        self._incoming.linger()

    def _log(self, head: Head, environ: WSGIEnvironment, exchange: Exchange, took: float) -> None:
        """Write one line, with the client's address as given by proxies in front."""
        client = quote(str(environ.get("REMOTE_ADDR") or "-"), safe=":.[],% ")
        now = datetime.now().replace(microsecond=0)  # noqa: DTZ005 - in local time, like all lines of a log
        line = f"{head.method} {_shown(head.target)} HTTP/1.{head.minor}"
        access.info('%s - - [%s] "%s" %s %s %.6f', client, now, line,
                    exchange.status[:3] or "000", exchange.sent or "-", took)  # fmt: skip


def _shown(target: str) -> str:
    """An address without characters that could control a terminal."""
    return quote(target.encode("latin-1"), safe=_UNESCAPED)
