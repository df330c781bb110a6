"""Asks real server processes, and reads their events."""

import http.client
import json
from typing import Any, NamedTuple

from mlq.http.process import ServerProcess


def connect(serving: ServerProcess, timeout: float = 20) -> http.client.HTTPConnection:
    """A connection that keeps alive."""
    return http.client.HTTPConnection("127.0.0.1", port_of(serving), timeout=timeout)


def port_of(serving: ServerProcess) -> int:
    """Where it serves."""
    return int(serving.url.rpartition(":")[2])


class Answer:
    """What a server said."""

    def __init__(self, given: http.client.HTTPResponse) -> None:
        """Reads all of it."""
        self.status = given.status
        self.headers = given.headers
        self.body = given.read()

    @property
    def text(self) -> str:
        """The body."""
        return self.body.decode()

    @property
    def json(self) -> Any:
        """The body."""
        return json.loads(self.body)


def ask(
    serving: ServerProcess, path: str, method: str = "GET", body: Any = None, headers: dict[str, str] | None = None
) -> Answer:
    """One request on a connection of its own; a body that is no bytes is sent as JSON."""
    connection = connect(serving)
    sent = dict(headers or {})
    if body is not None and not isinstance(body, bytes):
        body, sent["Content-Type"] = json.dumps(body).encode(), "application/json"
    try:
        connection.request(method, path, body, sent)
        return Answer(connection.getresponse())
    finally:
        connection.close()


class Event(NamedTuple):
    """One server-sent event."""

    name: str
    data: Any
    id: str | None = None


class Events:
    """The events of a job, one after another."""

    def __init__(self, serving: ServerProcess, job_id: str, last: str | None = None, timeout: float = 20) -> None:
        """Asks, and reads the head of the answer."""
        self._connection = connect(serving, timeout)
        headers = {} if last is None else {"Last-Event-ID": last}
        self._connection.request("GET", f"/jobs/{job_id}/events", headers=headers)
        self.answer = self._connection.getresponse()

    def blocks(self) -> Any:
        """Each block of lines, as text."""
        lines: list[str] = []
        while line := self.answer.readline():
            lines.append(line.decode().rstrip("\n"))
            if not lines[-1]:
                yield "\n".join(lines[:-1])
                lines = []

    def __iter__(self) -> Any:
        """All that are no comments, to the end of the stream."""
        for block in self.blocks():
            fields = dict(line.split(": ", 1) for line in block.splitlines() if not line.startswith(":"))
            if "event" in fields:
                yield Event(fields["event"], json.loads(fields["data"]), fields.get("id"))

    def until(self, name: str) -> list[Event]:
        """The events up to the first of that name, which is the last."""
        found = []
        for event in self:
            found.append(event)
            if event.name == name:
                return found
        raise AssertionError(f"the stream ended without {name}: {found}")

    def close(self) -> None:
        """Vanish."""
        self._connection.close()
        self.answer.close()
