"""A receiver of callbacks and webhooks that can be told how to answer."""

import ssl
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple


class Got(NamedTuple):
    """A request that came."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


class Receiver:
    """Answers with the given codes and headers, one after the other, then 204; remembers what came."""

    def __init__(self, remembered: Callable[[Got], Any], context: ssl.SSLContext | None = None) -> None:
        """`remembered`: what is kept of a request."""
        self.answers: list[int | tuple[int, dict[str, str]]] = []
        self.got: list[Any] = []
        self.pause = threading.Event()
        self.pause.set()
        self.changed = threading.Condition()
        self.remembered = remembered
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler_of(self))
        self._server.daemon_threads = True
        self._server.handle_error = lambda *_: None  # type: ignore[method-assign]  # a client that went away
        if context is not None:
            # Hands are shaken by the thread of the connection, which closes it if that fails.
            self._server.socket = context.wrap_socket(
                self._server.socket, server_side=True, do_handshake_on_connect=False
            )
        self.port = self._server.server_port
        self.url = f"http://127.0.0.1:{self.port}/in"
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def wait(self, count: int, timeout: float = 10) -> list[Any]:
        """The first `count` requests; fails when fewer come."""
        with self.changed:
            assert self.changed.wait_for(lambda: len(self.got) >= count, timeout), self.got
            return self.got[:count]

    def close(self) -> None:
        """Stop answering."""
        self.pause.set()
        self._server.shutdown()
        self._server.server_close()


def _handler_of(receiver: Receiver) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
            headers = {name.lower(): value for name, value in self.headers.items()}
            with receiver.changed:
                answer = receiver.answers.pop(0) if receiver.answers else 204
                receiver.got.append(receiver.remembered(Got(self.command, self.path, headers, body)))
                receiver.changed.notify_all()
            receiver.pause.wait(20)
            code, more = answer if isinstance(answer, tuple) else (answer, {})
            self.send_response(code)
            for name, value in more.items():
                self.send_header(name, value)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def do_GET(self) -> None:
            self.do_POST()

        def log_message(self, *_: Any) -> None:
            pass

    return Handler
