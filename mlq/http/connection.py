"""One connection of a client, from the first byte to the last: requests one after another, each answered."""

import io
import logging
import sys
import time
from contextlib import suppress
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any
from urllib.parse import quote
from wsgiref.types import WSGIEnvironment

import gevent  # type: ignore[import-untyped]

from mlq.http.bodies import FULL, KEEP, SHARE, TAKE
from mlq.http.budget import Share
from mlq.http.exchange import Exchange
from mlq.http.heads import Broken, Head
from mlq.http.incoming import Full, Incoming, TooLong
from mlq.http.peer import CONNECTED, stands

if TYPE_CHECKING:
    from mlq.http.serving import Serving

log = logging.getLogger("mlq.http")
access = logging.getLogger("mlq.http.access")

PIECE = 262_144  # bytes that are sent at once; each has the whole time that a client may take nothing
SILENT = 300.0  # seconds after which a connection is closed that takes nothing, or asks nothing more
_TITLES = {
    400: "Bad Request", 408: "Request Timeout", 431: "Request Header Fields Too Large", 500: "Internal Server Error"
}  # fmt: skip
_BASE: dict[str, Any] = {
    "GATEWAY_INTERFACE": "CGI/1.1", "SERVER_SOFTWARE": "mlq", "SCRIPT_NAME": "", "wsgi.version": (1, 0),
    "wsgi.url_scheme": "http", "wsgi.multithread": True, "wsgi.multiprocess": False, "wsgi.run_once": False,
    "wsgi.input_terminated": True,
}  # fmt: skip
_SAID = "!#$%&'()*+,/:;=?@[]~"  # of a target, what a line of the log shows as it is; quotes and controls are escaped


class Connection:
    """Serves one client in a greenlet of its own."""

    def __init__(self, sock: Any, address: Any, house: "Serving") -> None:
        """Reads nothing yet. `house`: what keeps all connections."""
        self.answer = Share(house.answers)  # the room that the answer under way holds
        self._sock = sock
        self._house = house
        self._incoming = Incoming(sock, house.settings.request_timeout)
        self._asker = address if isinstance(address, tuple) else ("", 0)
        self._base = _BASE | {"wsgi.errors": sys.stderr, "REMOTE_ADDR": str(self._asker[0]),
                              "REMOTE_PORT": str(self._asker[1])}  # fmt: skip
        name, port = sock.getsockname()[:2]
        self._base |= {"SERVER_NAME": str(name), "SERVER_PORT": str(port)}

    def run(self) -> None:
        """All of its requests."""
        idle = self._house.settings.request_timeout
        with suppress(OSError):  # the client has gone, or takes nothing
            while self._request(idle):
                idle = SILENT
                gevent.sleep(0)  # there may be more to read already: others have their turn first

    def _request(self, idle: float) -> bool:
        """One of them. Whether another may follow."""
        try:
            head = self._incoming.head(idle)
        except Broken as error:
            self._refuse(error.status, str(error))
            return False
        if head is None:
            return False
        self._house.begin(self)
        try:
            keeps = self._answer(head)
        finally:
            self._house.done(self)
        if keeps and self._incoming.goes_on():
            return True
        if head.has_body or self._incoming.holds_more:  # bytes that nobody reads would have the answer taken back
            self._incoming.linger()
        return False

    def _answer(self, head: Head) -> bool:
        """Whether the connection may be kept."""
        began = time.monotonic()
        with Share(self._house.budget) as share, self.answer:
            environ = self._environ(head, share)
            environ[KEEP], environ[CONNECTED] = self._keep, partial(stands, self._sock)
            exchange = Exchange(self._send, self._send_large, head, partial(self._started, environ))
            try:
                exchange.run(self._house.app, environ)
            except OSError:  # nobody is there to hear it
                raise
            except Exception:  # the application's own
                log.exception("%s %s failed", head.method, _shown(head.target))
                if exchange.begun:
                    return False
                self._refuse(500, "an error of this service; its log tells more")
                exchange.status, exchange.keeps = "500", False
            finally:
                if self._house.settings.access_log:
                    self._log(head, environ, exchange, time.monotonic() - began)
        return exchange.keeps

    def _started(self, environ: WSGIEnvironment, *, is_stream: bool) -> bool:
        """An answer begins. Whether the connection may be kept behind it."""
        if TAKE in environ and "HTTP_EXPECT" in environ:  # what comes next may be the body or another request
            return False
        return self._house.started(self, is_stream=is_stream) and self._incoming.may_go_on()

    def _send(self, data: bytes | memoryview) -> None:
        """Send all of it. Raises OSError where the client takes nothing for too long."""
        self._house.sending(self, waits=True)
        self._sock.settimeout(SILENT)
        self._sock.sendall(data)
        self._house.sending(self, waits=False)

    def _send_large(self, data: bytes) -> None:
        """Send what counts until it is taken. Raises OSError where others leave no room for it."""
        held = self.answer.held
        if not self._keep(len(data)):
            raise ConnectionError("there is no room for this answer until others are taken")
        view = memoryview(data)
        for at in range(0, len(data), PIECE):
            self._send(view[at : at + PIECE])
            gevent.sleep(0)
        self.answer.give_back(self.answer.held - held)

    def _keep(self, size: int) -> bool:
        """Whether there is room for an answer of that size in all; clients that take nothing lose theirs.

        One that is larger than the whole budget counts as large as that: it is answered, alone. 0: it was sent, and the
        answer goes on.
        """
        if not size:
            self.answer.give_back(self.answer.held)
        wanted = min(size, self._house.answers.total) - self.answer.held
        while wanted > 0 and not self.answer.hold(wanted):
            if not self._house.frees_answer():
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
        return environ

    def _take(self, head: Head, environ: WSGIEnvironment, share: Share) -> tuple[int, str] | None:
        """Read the body whole, in time, or say why not; one over the limit is left for the application to refuse."""
        limit = self._house.settings.body_limit
        del environ[TAKE]
        environ.pop("HTTP_TRANSFER_ENCODING", None)
        try:
            if head.fields.get("HTTP_EXPECT", "").lower() == "100-continue" and head.minor and head.length <= limit:
                self._send(b"HTTP/1.1 100 Continue\r\n\r\n")
            body = self._incoming.body(head, limit, share)
        except TooLong:
            environ["CONTENT_LENGTH"] = str(max(head.length, limit + 1))
            return None
        except Full:
            return 503, FULL
        except Broken as error:
            return error.status, str(error)
        except OSError:
            return 400, "the body is broken"
        environ["wsgi.input"] = io.BytesIO(body)
        environ["CONTENT_LENGTH"] = str(len(body))
        return None

    def _refuse(self, status: int, reason: str) -> None:
        """Say why a request is none, and read no further."""
        text = reason.encode()
        words = f"HTTP/1.1 {status} {_TITLES[status]}\r\nContent-Type: text/plain; charset=utf-8\r\n"
        self._send(words.encode() + b"Content-Length: %d\r\nConnection: close\r\n\r\n%b" % (len(text), text))
        self._incoming.linger()

    def _log(self, head: Head, environ: WSGIEnvironment, exchange: Exchange, took: float) -> None:
        """One line, with the asker whom the proxies in front name."""
        asker = quote(str(environ.get("REMOTE_ADDR") or "-"), safe=":.[],% ")
        now = datetime.now().replace(microsecond=0)  # noqa: DTZ005 - as all lines of a log, in local time
        line = f"{head.method} {_shown(head.target)} HTTP/1.{head.minor}"
        access.info('%s - - [%s] "%s" %s %s %.6f', asker, now, line,
                    exchange.status[:3] or "000", exchange.sent or "-", took)  # fmt: skip


def _shown(target: str) -> str:
    """An address without what a terminal would obey."""
    return quote(target.encode("latin-1"), safe=_SAID)
