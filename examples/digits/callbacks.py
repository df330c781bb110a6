"""The receiver of the callbacks: when a job has ended, MLQ asks for our URL, with the outcome added to its query."""

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit


class Received:
    """What the callbacks have told so far; several threads write here."""

    def __init__(self, url: str) -> None:
        """`url` is what to give as `callback` when posting."""
        self.url = url
        self.times: Counter[str] = Counter()  # how often each job's callback came
        self.failures: set[str] = set()
        self._changed = threading.Condition()

    def note(self, job_id: str, *, success: bool) -> None:
        """One callback came."""
        with self._changed:
            self.times[job_id] += 1
            if not success:
                self.failures.add(job_id)
            self._changed.notify_all()

    def wait_for(self, count: int, timeout: float) -> bool:
        """Whether the callbacks of `count` different jobs are there within `timeout` seconds."""
        with self._changed:
            return self._changed.wait_for(lambda: len(self.times) >= count, timeout)


@contextmanager
def receiver() -> Iterator[Received]:
    """An HTTP server on a free port of this machine, on a thread, for as long as the `with` block lasts."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            query = parse_qs(urlsplit(self.path).query)  # success=1&job_id=18&short_result=4
            received.note(query["job_id"][0], success=query["success"] == ["1"])
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing: the screen belongs to the demonstration."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        received = Received(f"http://127.0.0.1:{server.server_port}/done")
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), name="callbacks")
        thread.start()
        try:
            yield received
        finally:
            server.shutdown()
            thread.join()
