"""Serves a WSGI application in a process that gevent has patched: a waiting request only costs a greenlet."""

import logging
import os
import resource
import signal
import socket
import time
from contextlib import suppress
from itertools import islice
from typing import Any
from wsgiref.types import WSGIApplication

import gevent  # type: ignore[import-untyped]
import gevent.event  # type: ignore[import-untyped]
import gevent.socket  # type: ignore[import-untyped]
from gevent.server import StreamServer  # type: ignore[import-untyped]

from mlq.http.budget import SHARE, Budget
from mlq.http.connection import Connection
from mlq.http.settings import Settings

log = logging.getLogger("mlq.http")

GRACE = 10.0  # seconds that current requests get when the process is told to stop
FLUSH = 0.5  # seconds that connections get after that
FILES = 65_536  # descriptors, if the system allows so many: a connection takes one, and sometimes one to the server
OWN = 64  # descriptors that the process needs for other things
SLOW = 5.0  # seconds for one piece of an answer (256 KiB), after which its memory may be given to others
BUSY_AT, GONE_AT = (
    50,
    100,
)  # requests at a time, and requests a second of clients that have closed their connection, from
# which on nothing is done for such clients: each would take 2 ms, and thousands may lie in the queue of the socket
LOOKED_AT = 100  # idle connections among which one is closed to make room
BUSY = b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


class Serving:
    """A server on a listening socket; runs in the main greenlet until a signal, or `stop`.

    When the limit of connections is reached, a new one replaces the one that has waited longest for its client to make
    a request, or else to read its answer. So a client that only holds connections open keeps nobody out.
    """

    def __init__(self, app: WSGIApplication, listening: socket.socket, settings: Settings) -> None:
        """Serves nothing yet."""
        self.app = app
        self.settings = settings
        self.budget = Budget(SHARE * settings.body_limit)
        self.answers = Budget(SHARE * settings.body_limit)
        self._most = min(settings.connections, _descriptors() // 2)
        self._open: dict[Connection, Any] = {}  # and its greenlet
        self._idle: dict[Connection, None] = {}  # without a request, longest first
        self._sending: dict[Connection, float] = {}  # sending an answer, and since when; longest first
        self._second = self._gone = 0  # requests in this second whose client had closed its connection
        self._active: set[Connection] = set()  # with a request, except event streams
        self._streams: set[Connection] = set()
        self._stopping = gevent.event.Event()
        listener = gevent.socket.socket(listening.family, listening.type, listening.proto, fileno=listening.detach())
        self._server = StreamServer(listener, self._serve)

    def run(self, *, owned: bool) -> None:
        """Serve. `owned`: ignore Ctrl-C, because the process that owns this one handles it and will stop this one."""
        # systemd sends SIGTERM to every process of a service, and then the owner sends another one
        gevent.signal_handler(signal.SIGTERM, self._stopping.set if owned else self.stop)
        if owned:
            signal.signal(signal.SIGINT, signal.SIG_IGN)
        else:
            gevent.signal_handler(signal.SIGINT, self.stop)
        self._server.start()
        self._stopping.wait()
        self._end()

    def stop(self) -> None:
        """Accept no more requests and let current ones finish; the second time, end at once."""
        if self._stopping.is_set():
            os._exit(1)
        self._stopping.set()

    def _end(self) -> None:
        self._server.close()
        gevent.killall([self._open[one] for one in self._streams], block=False)  # clients reconnect to another server
        give_up = time.monotonic() + GRACE
        while self._active and time.monotonic() < give_up:
            gevent.sleep(0.01)
        left = list(self._open.values())
        gevent.joinall(left, timeout=FLUSH)
        gevent.killall(left, timeout=FLUSH)

    def _serve(self, sock: Any, address: Any) -> None:
        """Serve one connection, in its own greenlet."""
        if len(self._open) >= self._most and not self._makes_room():
            with suppress(OSError):
                sock.settimeout(0)
                sock.sendall(BUSY)
            return
        with suppress(OSError):  # the client may be gone already
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # else each answer waits 40 ms for an ACK
            connection = Connection(sock, address, self)
            self._open[connection] = gevent.getcurrent()
            self._idle[connection] = None
            try:
                connection.run()
            finally:
                self._forget(connection)

    def _makes_room(self) -> bool:
        """Close a connection that waits for its client to make a request or read its answer; whether there was one."""
        longest = islice(self._idle, LOOKED_AT)
        resting = next((one for one in longest if one.rests()), None)
        connection = resting or next(iter(self._idle), None) or next(iter(self._sending), None)
        if connection is None:
            return False
        self._open[connection].kill(block=False)
        self._forget(connection)
        return True

    def frees_answer(self) -> bool:
        """Drop an answer that its client does not read, to free its memory; whether there was one."""
        holding = ((one, since) for one, since in self._sending.items() if one.answer.held)
        connection, since = next(holding, (None, 0.0))
        if connection is None or time.monotonic() - since < SLOW:
            return False
        self._open[connection].kill()
        self._forget(connection)
        return True

    def _forget(self, connection: Connection) -> None:
        self._open.pop(connection, None)
        self._idle.pop(connection, None)
        self._sending.pop(connection, None)
        self._active.discard(connection)
        self._streams.discard(connection)

    def leaves_undone(self) -> bool:
        """Whether to do nothing for a request whose client has gone: it would delay others, or very many do that."""
        second = int(time.monotonic())
        if second != self._second:
            self._second, self._gone = second, 0
        self._gone += 1
        return len(self._active) > BUSY_AT or self._gone > GONE_AT

    def begin(self, connection: Connection) -> None:
        """A request begins."""
        self._idle.pop(connection, None)
        self._active.add(connection)

    def started(self, connection: Connection, *, is_stream: bool) -> bool:
        """Its answer begins; whether the connection may be kept after it."""
        if is_stream:
            self._active.discard(connection)
            self._streams.add(connection)
        return not self._stopping.is_set()

    def done(self, connection: Connection) -> None:
        """The request has been answered."""
        self._active.discard(connection)
        self._streams.discard(connection)
        if connection in self._open:  # else it was closed to make room
            self._idle[connection] = None

    def sending(self, connection: Connection, *, waits: bool) -> None:
        """The connection waits for its client to read an answer, or no longer does."""
        if waits and connection in self._open:
            self._sending[connection] = time.monotonic()
        else:
            self._sending.pop(connection, None)


def _descriptors() -> int:
    """The number of descriptors for connections of clients and to the server."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = FILES if hard == resource.RLIM_INFINITY else min(FILES, hard)
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return max(2, min(soft if soft != resource.RLIM_INFINITY else FILES, FILES) - OWN)
    with suppress(OSError, ValueError):  # macOS allows less than it says
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    return max(2, resource.getrlimit(resource.RLIMIT_NOFILE)[0] - OWN)
