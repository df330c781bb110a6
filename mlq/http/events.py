"""The route of events: what happens to a job, live, as server-sent events.

The data of each event is a JSON object with the job's `id`, `state` and `attempt`, and more depending on its name:

    state       the job is in another state, or a new attempt has begun: earlier chunks are void
    progress    `progress`: what the listener reported
    chunk       `data`: a partial result
    log         `text`: what the job printed or logged
    end         the job ended; `short_result` and `result` (its address), or `error`. Nothing follows

The id of chunks and logs is their place, `<attempt>-<number>`. A client that reconnects with it as Last-Event-ID, as
browsers do by themselves, continues after it. After `end` it gets 204, which tells browsers to stop reconnecting.
"""

import contextlib
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from flask import Response, request

from mlq import MLQ, ServerError, State, Undecodable, UnknownJob
from mlq.core import codec
from mlq.core.identity import JobId
from mlq.core.job import is_finished, progress_of, text
from mlq.core.json_values import to_json
from mlq.http.answers import STREAM, link
from mlq.http.bodies import KEEP
from mlq.http.problems import checked
from mlq.http.results import LARGE, reading
from mlq.http.routes import Parameter, Role, Route
from mlq.http.settings import Settings
from mlq.ops.following import Followed, Said, entry

BEAT = 15.0  # seconds: proxies cut connections that are silent for 30 to 60 s; it also detects clients that are gone
RETRY = 2000  # milliseconds after which a browser reconnects
SMALL = 8192  # bytes up to which a packed short result is included in the end
END = "end"  # the id of the last event
MOST = 2**63 - 1  # the largest number that Redis accepts as a part of a place


def routes(mlq: MLQ, settings: Settings) -> list[Route]:  # noqa: ARG001 - all modules of routes are alike
    """The route for one queue."""
    return [
        Route("GET", "/jobs/<job_id>/events", lambda job_id: _events(mlq, job_id), Role.READ, "Follow a job live",
              {200: "Events: state, progress, chunk, log, end.", 204: "The client has already received the end.",
               404: "No such job.", 410: "The job was deleted, or has expired."},
              parameters=(Parameter("Last-Event-ID", "header", "Continue after this event."),),
              about="Server-sent events (`text/event-stream`), for `EventSource` in a browser or `curl -N`."),
    ]  # fmt: skip


def _events(mlq: MLQ, job_id: str) -> Response:
    wanted = checked(job_id)
    last = request.headers.get("Last-Event-ID", "")
    if last == END and is_finished(mlq.get_state(wanted)):
        return Response(status=204)
    news = mlq.follow(wanted, _place(last), every=BEAT, whole=False)
    first = next(news)  # before the answer begins: it raises UnknownJob
    large = partial(_large, mlq, wanted, request.environ.get(KEEP, lambda _: True))
    stream = _stream(_EventWriter(str(wanted), link(f"/jobs/{wanted.reference}/result"), large), first, news)
    return Response(stream, content_type=STREAM, headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"})


def _place(last: str) -> tuple[int, int]:
    """The attempt and number of an event's id; those of the start if it is not valid."""
    attempt, _, number = last.partition("-")
    with contextlib.suppress(ValueError):
        return min(max(0, int(attempt)), MOST), min(max(0, int(number)), MOST)
    return 0, 0


def _stream(writer: "_EventWriter", first: Followed, more: Iterator[Followed]) -> Iterator[str]:
    """The stream's text, piece by piece."""
    yield f"retry: {RETRY}\n\n"
    closing = contextlib.closing(more)  # type: ignore[type-var]  # a generator: following ends with the request
    with closing, contextlib.suppress(UnknownJob, ServerError, _NoRoom):  # the client reconnects, and gets the status
        yield from writer.events(first)
        for news in more:
            is_silent = True
            for event in writer.events(news):
                is_silent = False
                yield event
            if is_silent:
                yield ": still here\n\n"


class _NoRoom(Exception):
    """Answers that other clients have not read yet leave no room for a large entry."""


def _large(
    mlq: MLQ, job_id: JobId, keep: Callable[[int], bool], found: Said, make: Callable[[bytes], str]
) -> Iterator[str]:
    """The event of an entry that is too large to hold for many clients at once. Its memory counts until it is sent."""
    with reading:
        if not keep(found.size):
            raise _NoRoom
        data = mlq._shell.run(entry(mlq._keys, job_id, found))  # noqa: SLF001 - only this code reads single entries
        event = "" if data is None else make(data)
        if found.size > LARGE:
            mlq.close()  # an idle connection's buffer is as large as the last value that came over it
        if not keep(max(found.size, len(event))):
            raise _NoRoom
    del data
    yield event
    keep(0)


class _EventWriter:
    """Turns news into events; remembers the last state and progress."""

    def __init__(self, job_id: str, result: str, large: Callable[..., Iterator[str]]) -> None:
        self._id = job_id
        self._result = result
        self._large = large
        self._state = ("", 0)
        self._progress: bytes = b""

    def events(self, news: Followed) -> Iterator[str]:
        """The events of some news."""
        about = {"id": self._id, "state": str(news.state), "attempt": news.attempt}
        if news.ended is None and self._state != (news.state, news.attempt):
            self._state, self._progress = (news.state, news.attempt), b""
            yield _event("state", about)
        for found in news.said:
            make = partial(_of_entry, {**about, "attempt": found.attempt}, found)
            if len(found.data) == found.size:
                yield make(found.data)
            else:
                yield from self._large(found, make)
        if news.progress and news.progress != self._progress and news.state == State.RUNNING:
            self._progress = news.progress
            yield _event("progress", about | {"progress": progress_of(news.state, news.progress)})
        if news.ended is not None:
            yield _event("end", about | self._ending(news.ended), END)

    def _ending(self, fields: dict[str, bytes]) -> dict[str, Any]:
        """How it ended."""
        ending: dict[str, Any] = {
            name: text(fields[name]) for name in ("reason", "error_type", "error") if name in fields
        }
        packed = fields.get("short", fields.get("result"))
        if packed is not None and len(packed) <= SMALL:
            ending |= _unpacked("short_result", packed)
        return ending | {"result": self._result}


def _of_entry(about: dict[str, Any], found: Said, data: bytes) -> str:
    """The event of an entry of the stream."""
    content = _unpacked("data", data) if found.kind == "chunk" else {"text": data.decode("utf-8", "replace")}
    return _event("chunk" if found.kind == "chunk" else "log", about | content, f"{found.attempt}-{found.number}")


def _unpacked(name: str, packed: bytes) -> dict[str, Any]:
    """A value by its name. If it can't be read, the event says so; an error would make the client reconnect forever."""
    try:
        return {name: codec.unpack(packed)}
    except Undecodable as error:
        return {"undecodable": str(error)}


def _event(name: str, data: dict[str, Any], event_id: str = "") -> str:
    place = f"id: {event_id}\n" if event_id else ""
    try:
        line = to_json(data)
    except Undecodable as error:  # the stream continues without this value
        line = to_json({part: data[part] for part in ("id", "state", "attempt")} | {"undecodable": str(error)})
    return f"{place}event: {name}\ndata: {line}\n\n"
