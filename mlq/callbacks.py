"""The duty that sends callbacks from the outbox, on threads of its own: no receiver holds up the worker.

A callback is tried 3 times: 5 s each, with pauses of 2 and 5 s between and a look for due ones every 1.5 s, so all
within 25 s. It is taken under a lease like a job, so it survives this worker.
"""

import logging
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING
from urllib.parse import urlencode, urlsplit, urlunsplit

from mlq.errors import ServerError
from mlq.keys import Keys
from mlq.ops import callbacks as callback_ops
from mlq.ops.callbacks import Callback
from mlq.pools.threads import Threads
from mlq.service import Service
from mlq.shell.sync import Shell

if TYPE_CHECKING:
    from http.client import HTTPConnection

log = logging.getLogger("mlq.callback")

TRIES = 3
TRY_TIMEOUT = 5.0  # seconds
PAUSES = (2.0, 5.0)  # seconds before the second and the third try
LEASE = 10.0  # seconds; above TRY_TIMEOUT
AT_ONCE = 16  # callbacks under way: receivers that hang hold up so many others, never the worker


def address(callback: Callback) -> str:
    """The URL with `success`, `job_id` and, where it fits, `short_result` added to its query."""
    said = {"success": callback.success, "job_id": callback.id}
    if callback.short_result is not None:
        said["short_result"] = callback.short_result
    parts = urlsplit(callback.url)
    query = "&".join(part for part in (parts.query, urlencode(said)) if part)
    return urlunsplit((parts.scheme, parts.netloc, parts.path, query, ""))


class CallbackSender(Service):
    """Takes due callbacks and sends them."""

    def __init__(self, keys: Keys, shell: Shell, died: Callable[[], None]) -> None:
        """Makes no connection before the first callback is due."""
        super().__init__("callback sender", died)
        self._keys = keys
        self._shell = shell
        self._pool = Threads("mlq-callback")
        self._room = threading.Semaphore(AT_ONCE)
        self._due = threading.Event()

    def due(self) -> None:
        """Say that there is a callback to send."""
        self._due.set()

    def stop(self, timeout: float | None = None) -> None:
        """Let the tries that are under way end; what is left comes due again, for any worker."""
        self.stopping.set()
        self._due.set()
        super().stop(timeout)
        give_up = time.monotonic() + (timeout or 0.0)
        for _ in range(AT_ONCE):  # all permits are back when no try is under way
            self._room.acquire(timeout=max(0.0, give_up - time.monotonic()))
        self._pool.stop()

    def turn(self) -> None:
        """Wait for word of a due callback, then send all that are."""
        self._due.wait()
        self._due.clear()
        if self.stopping.is_set():
            return
        try:
            self._send_all()
        except ServerError as error:
            log.warning("can't take callbacks: %s", error)

    def _send_all(self) -> None:
        while not self.stopping.is_set():
            self._room.acquire()
            taken: list[Callback] = []
            try:
                taken = self._shell.run(callback_ops.take(self._keys, 1, LEASE, TRIES))
            finally:
                if not taken:
                    self._room.release()
            if not taken:
                return
            self._pool.submit(lambda callback=taken[0]: self._send(callback))  # type: ignore[misc]

    def _send(self, callback: Callback) -> None:
        try:
            trouble = self._attempt(callback)
            again = None if trouble is None or callback.attempt >= TRIES else PAUSES[callback.attempt - 1]
            if trouble is not None:
                log.warning("callback of job %s, try %d of %d: %s", callback.id, callback.attempt, TRIES, trouble)
            self._shell.run(callback_ops.end(self._keys, callback, trouble or "sent", again))
        except ServerError as error:
            log.warning("can't record the callback of job %s, it may be sent again: %s", callback.id, error)
        finally:
            self._room.release()

    def _attempt(self, callback: Callback) -> str | None:
        """Send once; None when the receiver answered 2xx, else why not."""
        from http.client import HTTPException  # with urllib3 30 ms and 3 MB that a worker without callbacks spares

        import urllib3

        parts = urlsplit(address(callback))
        kind = urllib3.connection.HTTPSConnection if parts.scheme == "https" else urllib3.connection.HTTPConnection
        connection = kind(parts.hostname or "", parts.port, timeout=TRY_TIMEOUT)
        # The timeout holds for each reception; a receiver that sends a byte a second must not hold us longer, either.
        deadline = threading.Timer(TRY_TIMEOUT, _cut, (connection,))
        deadline.daemon = True
        deadline.start()
        try:
            connection.request("GET", f"{parts.path or '/'}?{parts.query}", preload_content=False)
            status = connection.getresponse().status
        except (urllib3.exceptions.HTTPError, OSError, ValueError, HTTPException) as error:
            return f"{type(error).__name__}: {error}"[:500]
        finally:
            deadline.cancel()
            connection.close()
        return None if 200 <= status < 300 else f"answered {status}"


def _cut(connection: "HTTPConnection") -> None:
    if connection.sock is not None:
        with suppress(OSError):
            connection.sock.shutdown(socket.SHUT_RDWR)
