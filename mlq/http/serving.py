"""Serves a WSGI application in a process that gevent has patched: a request that waits costs a greenlet."""

import io
import logging
import os
import signal
import socket
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import partial
from typing import Any, BinaryIO, Protocol
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

import gevent  # type: ignore[import-untyped]
import gevent.event  # type: ignore[import-untyped]
import gevent.socket  # type: ignore[import-untyped]
from gevent.pool import Pool  # type: ignore[import-untyped]
from gevent.pywsgi import LoggingLogAdapter, WSGIHandler, WSGIServer  # type: ignore[import-untyped]
from werkzeug.wsgi import ClosingIterator

from mlq.http.bodies import TAKE
from mlq.http.heads import read_head

log = logging.getLogger("mlq.http")
access = logging.getLogger("mlq.http.access")

GRACE = 10.0  # seconds that requests under way get when the process is told to stop
FLUSH = 0.5  # seconds for the last bytes to leave; connections without a request are closed then
SILENT = 300.0  # seconds after which a connection is closed that takes nothing, or asks nothing more
STREAM = "text/event-stream"
SMALL = 65_536  # bytes of a body that is copied behind the head
UNREAD = "mlq.unread"  # in the environment of a request whose body was not read: seconds for the rest of it


class Limits(Protocol):
    """What bounds a request."""

    @property
    def body_limit(self) -> int:
        """Bytes."""

    @property
    def request_timeout(self) -> float:
        """Seconds that a client has to send all of it."""

    @property
    def access_log(self) -> bool:
        """Whether each request is logged."""


class _Slow(ValueError):
    """A client takes too long to say what it wants."""


class _Handler(WSGIHandler):  # type: ignore[misc]
    """One connection."""

    _together: bytearray | None = None

    def __init__(self, sock: Any, address: Any, server: Any, rfile: Any = None) -> None:
        sock.settimeout(SILENT)
        with suppress(OSError):  # the client may be gone already
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # else each answer waits 40 ms for an ACK
        super().__init__(sock, address, server, rfile)

    def _write_with_headers(self, data: bytes) -> None:
        """Head and body in one send where the body is small: pywsgi makes two, each 30 us."""
        self._together = bytearray() if len(data) <= SMALL else None
        super()._write_with_headers(data)
        together, self._together = self._together, None
        if together:
            super()._sendall(together)

    def _sendall(self, data: bytes) -> None:
        if self._together is None:
            super()._sendall(data)
        else:
            self._together += data

    def read_request(self, raw_requestline: str) -> Any:
        """The headers; all of them in time, or the request is a bad one."""
        raw_requestline.encode("latin-1").decode()  # a ValueError where it is no UTF-8, which Flask takes it for
        with gevent.Timeout(self.server.request_timeout, _Slow("the headers took too long")):
            return super().read_request(raw_requestline)

    def MessageClass(self, lines: BinaryIO, _: int) -> Any:  # noqa: N802 - pywsgi's name
        """What reads the headers."""
        return read_head(lines)

    def run_application(self) -> None:
        """The answer; a client that still sends hears it only if we listen for a while. pywsgi would for 300 s."""
        super().run_application()
        if UNREAD in self.environ and not self._hear_out(self.environ[UNREAD]):
            self.close_connection = True
            self.wsgi_input.content_length, self.wsgi_input.chunked_input = 0, False

    def _hear_out(self, seconds: float) -> bool:
        """Whether the rest of the body came in time."""
        if not seconds:  # it is broken: who knows where it ends
            return False
        self.wsgi_input.send_100_continue_enabled = False  # the answer is out
        try:
            with gevent.Timeout(seconds, _Slow("the rest of the body took too long")):
                while self.wsgi_input.read(65536):
                    pass
        except (OSError, ValueError):  # too slow, gone, or broken
            return False
        return True

    def log_request(self) -> None:
        """One line, where that is wanted: pywsgi words it even when nobody reads it, which takes 3 % of a post."""
        if self.server.logs_requests:
            super().log_request()

    def format_request(self) -> str:
        """The line, with the asker whom the proxies in front name."""
        line: str = super().format_request()
        asker = (self.environ or {}).get("REMOTE_ADDR")
        return f"{asker} {line.partition(' ')[2]}" if asker else line

    def log_error(self, msg: str, *args: Any) -> None:
        """What a client does wrong is no error of ours."""
        log.debug(msg, *args)


class Serving:
    """A server on a socket that listens already; runs in the main greenlet until a signal, or `stop`."""

    def __init__(self, app: WSGIApplication, listening: socket.socket, limits: Limits) -> None:
        """Answers nothing yet."""
        self._app = app
        self._limits = limits
        self._under_way: set[Any] = set()  # greenlets
        self._streams: set[Any] = set()
        self._told = gevent.event.Event()
        listener = gevent.socket.socket(listening.family, listening.type, listening.proto, fileno=listening.detach())
        words = LoggingLogAdapter(access, logging.INFO) if limits.access_log else None
        self._server = WSGIServer(
            listener, self._answer, spawn=Pool(), log=words, error_log=log, handler_class=_Handler
        )
        self._server.request_timeout = limits.request_timeout
        self._server.logs_requests = limits.access_log

    def run(self, *, owned: bool) -> None:
        """Serve. `owned`: Ctrl-C is for the process that owns this one, which will tell."""
        # systemd tells every process of a service to stop, and then the owner tells this one again
        gevent.signal_handler(signal.SIGTERM, self._told.set if owned else self.stop)
        if owned:
            signal.signal(signal.SIGINT, signal.SIG_IGN)
        else:
            gevent.signal_handler(signal.SIGINT, self.stop)
        self._server.start()
        self._told.wait()
        self._end()

    def stop(self) -> None:
        """Take no more requests and let those under way end; the second time, end at once."""
        if self._told.is_set():
            os._exit(1)
        self._told.set()

    def _end(self) -> None:
        self._server.close()
        gevent.killall(list(self._streams), block=False)  # their readers come back, to another server
        give_up = time.monotonic() + GRACE
        while self._under_way and time.monotonic() < give_up:
            gevent.sleep(0.01)
        self._server.stop(FLUSH)

    def _answer(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """One request, in the greenlet of its connection."""
        me = gevent.getcurrent()
        self._under_way.add(me)

        def begin(status: str, headers: list[tuple[str, str]], *rest: Any) -> Callable[[bytes], object]:
            if any(value.startswith(STREAM) for name, value in headers if name == "Content-Type"):
                self._under_way.discard(me)
                self._streams.add(me)
            return start_response(status, headers, *rest)

        try:
            if "HTTP_TRANSFER_ENCODING" in environ or int(environ.get("CONTENT_LENGTH") or 0):
                environ[UNREAD] = self._limits.request_timeout
                environ[TAKE] = partial(self._take_body, environ)
            parts = self._app(environ, begin)
        except BaseException:
            self._through(me)
            raise
        return ClosingIterator(parts, lambda: self._through(me))

    def _through(self, greenlet: Any) -> None:
        self._under_way.discard(greenlet)
        self._streams.discard(greenlet)

    def _take_body(self, environ: WSGIEnvironment) -> tuple[int, str] | None:
        """Read the body whole, in time, or say why not; one over the limit is left, or cut, for the application."""
        limit = self._limits.body_limit
        if int(environ.get("CONTENT_LENGTH") or 0) > limit:  # the application refuses it by its length
            return None
        try:
            with gevent.Timeout(self._limits.request_timeout, _Slow("the body took too long")):
                body = environ["wsgi.input"].read(limit + 1)
        except (OSError, ValueError) as error:
            environ[UNREAD] = 0.0
            return (408, str(error)) if isinstance(error, _Slow) else (400, "the body is broken")
        if len(body) <= limit:
            del environ[UNREAD]
        environ["wsgi.input"] = io.BytesIO(body)
        environ["CONTENT_LENGTH"] = str(len(body))
        environ.pop("HTTP_TRANSFER_ENCODING", None)
        return None
