"""Serves a WSGI application in a process that gevent has patched: a request that waits costs a greenlet."""

import logging
import os
import resource
import signal
import socket
import time
from contextlib import suppress
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

GRACE = 10.0  # seconds that requests under way get when the process is told to stop
FLUSH = 0.5  # seconds for what is left then
FILES = 65_536  # descriptors, where the system allows so many: a connection takes one, and one to the server at times
OWN = 64  # of them that the process needs otherwise
SLOW = 5.0  # seconds for one piece of an answer (256 KiB), after which others may have the room that it takes
BUSY = b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


class Serving:
    """A server on a socket that listens already; runs in the main greenlet until a signal, or `stop`.

    Where all connections that it may have are taken, a new one costs the one that has waited longest for its client: to
    ask something, or else to take its answer. So whoever only holds connections open keeps nobody out.
    """

    def __init__(self, app: WSGIApplication, listening: socket.socket, settings: Settings) -> None:
        """Answers nothing yet."""
        self.app = app
        self.settings = settings
        self.budget = Budget(SHARE * settings.body_limit)
        self.answers = Budget(SHARE * settings.body_limit)
        self._most = min(settings.connections, _descriptors() // 2)
        self._open: dict[Connection, Any] = {}  # to its greenlet
        self._idle: dict[Connection, None] = {}  # those without a request, by the time that they wait
        self._sending: dict[Connection, float] = {}  # those whose clients take their answers, or don't; since when
        self._under_way: set[Connection] = set()
        self._streams: set[Connection] = set()
        self._told = gevent.event.Event()
        listener = gevent.socket.socket(listening.family, listening.type, listening.proto, fileno=listening.detach())
        self._server = StreamServer(listener, self._serve)

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
        gevent.killall([self._open[one] for one in self._streams], block=False)  # they come back, to another server
        give_up = time.monotonic() + GRACE
        while self._under_way and time.monotonic() < give_up:
            gevent.sleep(0.01)
        left = list(self._open.values())
        gevent.joinall(left, timeout=FLUSH)
        gevent.killall(left, timeout=FLUSH)

    def _serve(self, sock: Any, address: Any) -> None:
        """One connection, in a greenlet of its own."""
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
        """Whether a connection could be closed that waits for its client to ask something, or to take its answer."""
        connection = next(iter(self._idle), None) or next(iter(self._sending), None)
        if connection is None:
            return False
        self._open[connection].kill(block=False)
        self._forget(connection)
        return True

    def frees_answer(self) -> bool:
        """Whether an answer was given up that its client does not take, so that there may be room for another one."""
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
        self._under_way.discard(connection)
        self._streams.discard(connection)

    def begin(self, connection: Connection) -> None:
        """A request is under way."""
        self._idle.pop(connection, None)
        self._under_way.add(connection)

    def started(self, connection: Connection, *, is_stream: bool) -> bool:
        """Its answer begins. Whether the connection may be kept behind it."""
        if is_stream:
            self._under_way.discard(connection)
            self._streams.add(connection)
        return not self._told.is_set()

    def done(self, connection: Connection) -> None:
        """It is answered."""
        self._under_way.discard(connection)
        self._streams.discard(connection)
        if connection in self._open:  # else room was made meanwhile
            self._idle[connection] = None

    def sending(self, connection: Connection, *, waits: bool) -> None:
        """It waits for its client to take an answer, or not any more."""
        if waits and connection in self._open:
            self._sending[connection] = time.monotonic()
        else:
            self._sending.pop(connection, None)


def _descriptors() -> int:
    """How many connections and files the process may have for its clients, and as many for the server."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = FILES if hard == resource.RLIM_INFINITY else min(FILES, hard)
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return max(2, min(soft if soft != resource.RLIM_INFINITY else FILES, FILES) - OWN)
    with suppress(OSError, ValueError):  # macOS allows less than it says
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    return max(2, resource.getrlimit(resource.RLIMIT_NOFILE)[0] - OWN)
