"""The receiver of callbacks: remembers every call, and refuses the first one of some jobs."""

import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple
from urllib.parse import parse_qs, urlsplit

REFUSED_FIRST = 7  # each seventh number


class Call(NamedTuple):
    """One callback that came."""

    success: bool
    answer: int
    at: float  # by the monotonic clock


class Receiver:
    """An HTTP server on loopback, on threads of this process."""

    def __init__(self) -> None:
        """Serves at once."""
        self.calls: dict[str, list[Call]] = {}
        self._lock = threading.Lock()
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                answer = receiver.called(parse_qs(urlsplit(self.path).query))
                self.send_response(answer)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    def url(self, number: int) -> str:
        """Where to tell how job `number` ended."""
        return f"http://127.0.0.1:{self._server.server_port}/ended?number={number}"

    def called(self, query: dict[str, list[str]]) -> int:
        """Remember a call; the answer."""
        job_id = query["job_id"][0]
        with self._lock:
            calls = self.calls.setdefault(job_id, [])
            answer = 503 if not calls and int(query["number"][0]) % REFUSED_FIRST == 0 else 200
            calls.append(Call(query["success"] == ["1"], answer, time.monotonic()))
        return answer

    def close(self) -> None:
        """Stop answering."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
