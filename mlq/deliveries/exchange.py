"""One HTTP request to whoever is to be told, and its answer: only to where it may go, and in bounded time."""

import socket
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import SplitResult, quote, urlsplit

from mlq.deliveries.allowed import TargetRefused, Targets, find

if TYPE_CHECKING:
    from urllib3.connection import HTTPConnection

_ASCII = "".join(map(chr, range(33, 127)))  # stays as it was posted; all else is sent as browsers do, as UTF-8
TOLD = 300  # characters kept of what went wrong


class Request(NamedTuple):
    """What to send."""

    method: str
    url: str
    headers: dict[str, str]
    body: bytes | None
    seconds: float  # for all of it, the look-up of the name included


class Answer(NamedTuple):
    """What came of it."""

    status: int | None  # None: there was no answer
    error: str | None  # None: it was taken, by 2xx
    retry_after: str = ""  # the header
    refused: bool = False  # as a target: nothing was sent, and no other try would be


def exchange(request: Request, targets: Targets) -> Answer:
    """Send once. Redirects are not followed, and nothing is read of the answer but its head."""
    from http.client import HTTPException  # with urllib3 30 ms and 3 MB that a worker without deliveries spares

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
        return Answer(None, str(error)[:TOLD], refused=True)
    except (urllib3.exceptions.HTTPError, OSError, ValueError, HTTPException) as error:
        return Answer(None, f"{type(error).__name__}: {error}"[:TOLD])


def _ascii(host: str) -> str:
    return host if host.isascii() else host.encode("idna").decode()


def _connected(scheme: str, host: str, port: int, addresses: list[str], deadline: float) -> "HTTPConnection":
    """A connection to the first of the addresses, which were checked, that takes one; certificates are the host's."""
    import urllib3
    from urllib3.connection import HTTPConnection, HTTPSConnection

    for address in addresses:
        left = max(0.001, deadline - time.monotonic())
        if scheme == "https":
            connection: HTTPConnection = HTTPSConnection(address, port, timeout=left, server_hostname=host)
        else:
            connection = HTTPConnection(address, port, timeout=left)
        try:
            with _Cut(connection, left):
                connection.connect()
        except (urllib3.exceptions.HTTPError, OSError):
            connection.close()
            if address == addresses[-1] or time.monotonic() >= deadline:
                raise
        else:
            return connection
    raise OSError(f"no address is known for {host}")


def _answer(connection: "HTTPConnection", request: Request, parts: SplitResult, host: str, deadline: float) -> Answer:
    name = f"[{host}]" if ":" in host else host
    headers = {"Host": name if parts.port is None else f"{name}:{parts.port}"} | request.headers
    path = quote(f"{parts.path or '/'}{'?' * bool(parts.query)}{parts.query}", safe=_ASCII)
    try:
        with _Cut(connection, max(0.001, deadline - time.monotonic())):
            connection.request(request.method, path, request.body, headers, preload_content=False)
            reply = connection.getresponse()
    finally:
        connection.close()
    error = None if 200 <= reply.status < 300 else f"answered {reply.status}"
    return Answer(reply.status, error, reply.headers.get("Retry-After") or "")


class _Cut:
    """Ends what a connection does when its time is up.

    Its own timeout holds for each reception; a receiver that sends a byte a second must not hold us longer, either.
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
        if self._over:  # it may have come before there was anything to cut
            self._connection.close()
            raise TimeoutError("took too long")

    def _cut(self) -> None:
        self._over = True
        if self._connection.sock is not None:
            with suppress(OSError):
                self._connection.sock.shutdown(socket.SHUT_RDWR)
