"""One HTTP request to a receiver, and its response: only to an allowed target, and in bounded time."""

import socket
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import SplitResult, quote, urlsplit

from mlq.deliveries.allowed import TargetRefused, Targets, find

if TYPE_CHECKING:
    from urllib3.connection import HTTPConnection

_ASCII = "".join(map(chr, range(33, 127)))  # sent as it was posted; all else is percent-encoded UTF-8, as in browsers
ERROR_LIMIT = 300  # characters kept of an error


class Request(NamedTuple):
    """What to send."""

    method: str
    url: str
    headers: dict[str, str]
    body: bytes | None
    seconds: float  # for everything, including the look-up of the host


class Answer(NamedTuple):
    """What came of it."""

    status: int | None  # None: there was no response
    error: str | None  # None: the receiver accepted it, with 2xx
    retry_after: str = ""  # the header
    refused: bool = False  # the target is not allowed: nothing was sent, and another try would not be sent either


def exchange(request: Request, targets: Targets) -> Answer:
    """Send once. Redirects are not followed, and only the head of the response is read."""
    from http.client import HTTPException  # with urllib3 30 ms and 3 MB, which only workers with deliveries need

    import urllib3

    deadline = time.monotonic() + request.seconds
    parts = urlsplit(request.url)
    try:
        host = _ascii(parts.hostname or "")
        port = parts.port or (443 if parts.scheme == "https" else 80)
        addresses = find(host, port, request.seconds)
        targets.check(host, addresses)
        connection = _connected(parts.scheme, host, port, addresses, deadline)
        return _answer(connection, request, parts, host, deadline)
    except TargetRefused as error:
        return Answer(None, str(error)[:ERROR_LIMIT], refused=True)
    except (urllib3.exceptions.HTTPError, OSError, ValueError, HTTPException) as error:
        return Answer(None, f"{type(error).__name__}: {error}"[:ERROR_LIMIT])


def _ascii(host: str) -> str:
    return host if host.isascii() else host.encode("idna").decode()


def _connected(scheme: str, host: str, port: int, addresses: list[str], deadline: float) -> "HTTPConnection":
    """A connection to the first of the checked addresses that accepts one. TLS verifies the certificate of `host`."""
    import urllib3
    from urllib3.connection import HTTPConnection, HTTPSConnection

    for address in addresses:
        left = max(0.001, deadline - time.monotonic())
        if scheme == "https":
            connection: HTTPConnection = HTTPSConnection(address, port, timeout=left, server_hostname=host)
        else:
            connection = HTTPConnection(address, port, timeout=left)
        try:
            with _Deadline(connection, left):
                connection.connect()
        except (urllib3.exceptions.HTTPError, OSError):
            connection.close()
            if address == addresses[-1] or time.monotonic() >= deadline:
                raise
        else:
            return connection
    raise OSError(f"{host} has no address")


def _answer(connection: "HTTPConnection", request: Request, parts: SplitResult, host: str, deadline: float) -> Answer:
    from mlq.deliveries.bounded_answer import BoundedAnswer

    name = f"[{host}]" if ":" in host else host
    headers = {"Host": name if parts.port is None else f"{name}:{parts.port}"} | request.headers
    path = quote(f"{parts.path or '/'}{'?' * bool(parts.query)}{parts.query}", safe=_ASCII)
    connection.response_class = BoundedAnswer
    try:
        with _Deadline(connection, max(0.001, deadline - time.monotonic())):
            connection.request(request.method, path, request.body, headers, preload_content=False)
            reply = connection.getresponse()
    finally:
        connection.close()
    error = None if 200 <= reply.status < 300 else f"answered {reply.status}"
    return Answer(reply.status, error, reply.headers.get("Retry-After") or "")


class _Deadline:
    """Shuts a connection down when its time is up.

    The connection's own timeout applies to each read; a receiver that sends one byte a second would escape that.
    """

    def __init__(self, connection: "HTTPConnection", seconds: float) -> None:
        self._connection = connection
        self._timer = threading.Timer(seconds, self._cut)
        self._timer.daemon = True
        self._over = False

    def __enter__(self) -> None:
        self._timer.start()

    def __exit__(self, *_: object) -> None:
        self._timer.cancel()
        if self._over:  # time may have been up before there was a socket to shut down
            self._connection.close()
            raise TimeoutError("took too long")

    def _cut(self) -> None:
        self._over = True
        if self._connection.sock is not None:
            with suppress(OSError):
                self._connection.sock.shutdown(socket.SHUT_RDWR)
