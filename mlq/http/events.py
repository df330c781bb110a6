"""The route of events: what happens to a job, live, as server-sent events.

The data of each event is a JSON object with the job's `id`, `state` and `attempt`, and more depending on its name:

    state       the job is in another state, or a new attempt has begun: earlier chunks are void
    progress    `progress`: what the listener reported; of a pipeline that goes on, `done`, `failed` and `of`
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
from mlq.core.job import is_finished, text
from mlq.core.json_values import to_json
from mlq.core.progress import progress_of
from mlq.http.answers import STREAM, link
from mlq.http.bodies import KEEP
from mlq.http.problems import Refused, checked
from mlq.http.results import LARGE, reading
from mlq.http.routes import Parameter, Role, Route
from mlq.http.settings import Settings
from mlq.http.turns import ALWAYS, Turns
from mlq.ops.following import Entry, Followed, entry

BEAT = 15.0  # seconds: proxies cut connections that are silent for 30 to 60 s; it also detects clients that are gone
RETRY = 2000  # milliseconds after which a browser reconnects
SMALL = 8192  # bytes up to which a packed short result is included in the end
END = "end"  # the id of the last event
DENSE = 512  # bytes; a longer chunk may hold a thousand values or more, and is made into JSON once for all followers
WRITTEN = 8 * 1024 * 1024  # bytes of chunks and characters of their JSON that are kept
MOST = 2**63 - 1  # the largest number that Redis accepts as a part of a place


class _Written:
    """JSON of packed values, with these up to so many bytes and characters in all; the oldest go first."""

    def __init__(self) -> None:
        self._texts: dict[bytes, str] = {}
        self._kept = 0

    def get(self, packed: bytes) -> str | None:
        return self._texts.get(packed)

    def add(self, packed: bytes, written: str) -> None:
        self._texts[packed] = written
        self._kept += len(packed) + len(written)
        while self._kept > WRITTEN:
            oldest = next(iter(self._texts))
            self._kept -= len(oldest) + len(self._texts.pop(oldest))


_turns = Turns()
_written = _Written()


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


def _stream(writer: "_EventWriter", first: Followed, more: Iterator[Followed]) -> Iterator[bytes]:
    """The stream's text, piece by piece."""
    yield b"retry: %d\n\n" % RETRY
    closing = contextlib.closing(more)  # type: ignore[type-var]  # a generator: following ends with the request
    with closing, contextlib.suppress(UnknownJob, ServerError, Refused):  # the client reconnects, and gets the status
        yield from writer.events(first)
        for news in more:
            is_silent = True
            for event in writer.events(news):
                is_silent = False
                yield event
            if is_silent:
                yield b": still here\n\n"


def _large(
    mlq: MLQ, job_id: JobId, keep: Callable[[int], bool], found: Entry, make: Callable[[bytes], bytes]
) -> Iterator[bytes]:
    """The event of an entry that is too large to hold for many clients at once. Its memory counts until it is sent.

    Raises Refused if other clients have yet to read what they asked for.
    """
    with reading.take():
        if not keep(found.size):
            raise Refused(503, "other large entries have not been read yet")
        data = mlq._shell.run(entry(mlq._keys, job_id, found))  # noqa: SLF001 - only this code reads single entries
        event = b"" if data is None else make(data)
        if found.size > LARGE:
            mlq.close()  # an idle connection's buffer is as large as the last value that came over it
        if not keep(max(found.size, len(event))):
            raise Refused(503, "other large entries have not been read yet")
    del data
    yield event
    keep(0)


class _EventWriter:
    """Turns news into events; remembers the last state and progress."""

    def __init__(self, job_id: str, result: str, large: Callable[..., Iterator[bytes]]) -> None:
        self._id = job_id
        self._result = result
        self._large = large
        self._state = ("", 0)
        self._progress: bytes = b""

    def events(self, news: Followed) -> Iterator[bytes]:
        """The events of some news."""
        about = {"id": self._id, "state": str(news.state), "attempt": news.attempt}
        if news.ended is None and self._state != (news.state, news.attempt):
            self._state, self._progress = (news.state, news.attempt), b""
            yield _event("state", about)
        for found in news.entries:
            make = partial(_of_entry, {**about, "attempt": found.attempt}, found)
            if len(found.data) == found.size:
                yield make(found.data)
            else:
                yield from self._large(found, make)
        goes_on = news.state in (State.RUNNING, State.BLOCKED)
        if news.progress and news.progress != self._progress and goes_on:
            self._progress = news.progress
            yield _event("progress", about, _progress(news))
        if news.ended is not None:
            yield self._end(about, news.ended)

    def _end(self, about: dict[str, Any], fields: dict[str, bytes]) -> bytes:
        """How it ended."""
        about |= {name: text(fields[name]) for name in ("reason", "error_type", "error") if name in fields}
        packed = fields.get("short", fields.get("result"))
        members = [_member("short_result", packed)] if packed is not None and len(packed) <= SMALL else []
        return _event("end", about, *members, f'"result": {to_json(self._result)}', event_id=END)


def _of_entry(about: dict[str, Any], found: Entry, data: bytes) -> bytes:
    """The event of an entry of the stream."""
    place = f"{found.attempt}-{found.number}"
    if found.kind == "chunk":
        return _event("chunk", about, _member("data", data), event_id=place)
    return _event("log", about | {"text": data.decode("utf-8", "replace")}, event_id=place)


def _event(name: str, about: dict[str, Any], *members: str, event_id: str = "") -> bytes:
    """An event; `members` of its JSON object come after those of `about`."""
    data = ", ".join((to_json(about)[1:-1], *members))
    place = f"id: {event_id}\n" if event_id else ""
    return f"{place}event: {name}\ndata: {{{data}}}\n\n".encode()


def _progress(news: Followed) -> str:
    if news.state == State.BLOCKED:
        return f'"progress": {to_json(progress_of(news.state, news.progress))}'
    return _member("progress", news.progress)


def _member(name: str, packed: bytes) -> str:
    """A packed value as a member of a JSON object. If it can't be decoded, the object says so.

    Without an event, its client would ask for it again and again.
    """
    try:
        return f'"{name}": {_as_json(packed)}'
    except Undecodable as error:
        return f'"undecodable": {to_json(str(error))}'


def _as_json(packed: bytes) -> str:
    if not DENSE < len(packed) <= LARGE:  # only a few large ones are read at a time
        return to_json(codec.unpack(packed))
    if (written := _written.get(packed)) is not None:
        return written
    with _turns.take(ALWAYS):
        if (written := _written.get(packed)) is None:
            written = to_json(codec.unpack(packed), in_turn=True)
            _written.add(packed, written)
        return written
