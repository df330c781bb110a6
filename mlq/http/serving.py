"""Serves a WSGI application with gevent beside a worker's native threads, without monkey-patching.

gevent's loop runs on a thread of its own, and only reads and writes sockets there: slow clients cost a greenlet each.
The application, which waits for Redis in ways that gevent doesn't see, is called on native threads, so that a call that
waits holds up no other. What needs no Redis (`/healthz`) is answered by the loop itself, even when all threads wait.
"""

import io
import logging
import socket
import threading
import time
from collections.abc import Callable, Iterable
from typing import Any
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

import gevent.event  # type: ignore[import-untyped]
import gevent.socket  # type: ignore[import-untyped]
from gevent.pool import Pool  # type: ignore[import-untyped]
from gevent.pywsgi import LoggingLogAdapter, WSGIServer  # type: ignore[import-untyped]
from gevent.threadpool import ThreadPool  # type: ignore[import-untyped]

from mlq import InputError
from mlq.http.app import BODY_LIMIT
from mlq.worker import exit as way_out

log = logging.getLogger("mlq.http")

THREADS = 32  # requests that may wait for Redis at a time
GRACE = 10.0  # seconds that requests under way get when the process is told to stop
FLUSH = 0.5  # seconds for the last bytes to leave; connections without a request are closed then
INSTANT = frozenset({"/healthz"})  # paths that touch no server


class Serving:
    """A server for one application, from `start` to `stop`. Starts once."""

    def __init__(self, app: WSGIApplication, address: str, port: int) -> None:
        """Takes the address at once; raises InputError where that can't be had. Port 0 means any that is free."""
        self.stopped = threading.Event()
        self.broken = False
        self._app = app
        self._socket = _listen(address, port)
        host, self.port = self._socket.getsockname()[:2]
        self.url = f"http://{f'[{host}]' if ':' in host else host}:{self.port}"
        self._under_way = 0  # requests; changed by the loop's thread alone
        self._grace = GRACE
        self._wake_up: Callable[[], None] = lambda: None
        self._ready = threading.Event()
        self._stop_once = threading.Lock()
        self._thread = threading.Thread(target=self._main, name="mlq-http", daemon=True)

    def start(self) -> None:
        """Begin to answer."""
        self._thread.start()
        self._ready.wait()

    def stop(self, grace: float) -> None:
        """Take no more requests, let those under way end within `grace` seconds. Returns when all is done."""
        with self._stop_once:
            if not self.stopped.is_set():
                self._grace = grace
                self._wake_up()
                self._thread.join()

    def _main(self) -> None:
        """The loop's thread, from beginning to end."""
        self.broken = True  # unless it comes to its end
        try:
            self._serve()
            self.broken = False
        finally:
            gevent.get_hub().destroy(destroy_loop=True)
            self._ready.set()
            self.stopped.set()  # last: the interpreter may end now, and must not find the loop half destroyed

    def _serve(self) -> None:
        self._threads = ThreadPool(THREADS)
        told_to_stop = gevent.event.Event()
        watcher = gevent.get_hub().loop.async_()
        watcher.start(told_to_stop.set)
        self._wake_up = watcher.send  # the one call into the loop that other threads may make
        made = self._socket
        listener = gevent.socket.socket(made.family, made.type, made.proto, fileno=made.detach())
        access = LoggingLogAdapter(log, logging.DEBUG)
        server = WSGIServer(listener, self._answer, spawn=Pool(), log=access, error_log=log)
        server.start()
        self._ready.set()
        told_to_stop.wait()
        server.close()
        give_up = time.monotonic() + self._grace
        while self._under_way and time.monotonic() < give_up:
            gevent.sleep(0.01)
        server.stop(FLUSH)
        if not self._under_way:
            self._threads.kill()
        self._wake_up = lambda: None
        watcher.close()

    def _answer(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """One request, in a greenlet of the loop."""
        self._under_way += 1
        try:
            _take_body(environ)
            if environ["PATH_INFO"] in INSTANT:
                status, headers, body = _call(self._app, environ)
            else:
                status, headers, body = self._threads.apply(_call, (self._app, environ))
            start_response(status, headers)
            return [body]
        finally:
            self._under_way -= 1


def serve(app: WSGIApplication, address: str, port: int) -> Serving:
    """Serve until `stop`, or until the process is told to end (SIGTERM, SIGINT); keeps the process alive meanwhile.

    Raises InputError where the address can't be had.
    """
    serving = Serving(app, address, port)
    serving.start()
    way_out.keep(serving, GRACE)
    log.info("serving at %s", serving.url)
    return serving


def _listen(address: str, port: int) -> socket.socket:
    try:
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        return socket.create_server((address, port), family=family, backlog=1024)
    except (OSError, OverflowError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"can't serve at {address} port {port}: {reason}. Choose another address or port") from None


def _take_body(environ: WSGIEnvironment) -> None:
    """Read the body here, where a slow client costs only a greenlet; one over the limit is cut, to be refused."""
    declared = int(environ.get("CONTENT_LENGTH") or 0)
    chunked = environ.get("HTTP_TRANSFER_ENCODING", "").lower() == "chunked"
    if declared > BODY_LIMIT and not chunked:
        return  # the application refuses it by its length, unread
    body = environ["wsgi.input"].read(BODY_LIMIT + 1)
    environ["wsgi.input"] = io.BytesIO(body)
    environ["CONTENT_LENGTH"] = str(len(body))
    environ.pop("HTTP_TRANSFER_ENCODING", None)


def _call(app: WSGIApplication, environ: WSGIEnvironment) -> tuple[str, list[tuple[str, str]], bytes]:
    """Run the application to its end: status, headers, body."""
    said: list[Any] = []

    def start_response(status: str, headers: list[tuple[str, str]], _exc_info: Any = None) -> Callable[[bytes], object]:
        said[:] = [status, headers]
        return lambda _: None

    parts = app(environ, start_response)
    try:
        body = b"".join(parts)
    finally:
        if hasattr(parts, "close"):
            parts.close()
    return said[0], said[1], body
