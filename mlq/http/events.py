"""The route of events: what a job does, live, as server-sent events.

Each event has the data that its name says, as a JSON object with the job's `id`, `state` and `attempt`:

    state       the job is in another state, or begins another attempt: what chunks came before is void
    progress    `progress`: what the listener reported
    chunk       `data`: a partial result
    log         `text`: what the job printed or logged
    end         the job ended; `short_result` and `result` (its address), or `error`. Nothing follows

Chunks and logs carry their place as the event's id, `<attempt>-<number>`; whoever comes back with it as Last-Event-ID
goes on after it, which browsers do by themselves. After `end` they are answered 204, which tells them to stay away.
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
from mlq.http.answers import STREAM, link
from mlq.http.bodies import KEEP
from mlq.http.problems import checked
from mlq.http.results import LARGE, reading
from mlq.http.routes import Parameter, Role, Route
from mlq.http.settings import Settings
from mlq.http.turns import HEAVY, Turns
from mlq.ops.following import Entry, Followed, entry

BEAT = 15.0  # seconds: proxies cut connections that are silent for longer than 30 to 60; a gone client is noticed, too
RETRY = 2000  # milliseconds after which a browser comes back
SMALL = 8192  # bytes of a packed short result that the end tells
END = "end"  # the id of the last event
WRITTEN = 8  # values that are kept as JSON, since all who follow a job are told the same
MOST = 2**63 - 1  # what Redis takes for a part of a place

_turns = Turns()
_written: dict[bytes, str] = {}


def routes(mlq: MLQ, settings: Settings) -> list[Route]:  # noqa: ARG001 - all modules of routes are alike
    """The route, over one queue."""
    return [
        Route("GET", "/jobs/<job_id>/events", lambda job_id: _events(mlq, job_id), Role.READ, "Follow a job live",
              {200: "Events: state, progress, chunk, log, end.", 204: "The asker has seen the end.",
               404: "No such job.", 410: "The job was deleted, or has expired."},
              parameters=(Parameter("Last-Event-ID", "header", "Go on after this event."),),
              about="Server-sent events (`text/event-stream`), for `EventSource` in a browser or `curl -N`."),
    ]  # fmt: skip


def _events(mlq: MLQ, job_id: str) -> Response:
    wanted = checked(job_id)
    last = request.headers.get("Last-Event-ID", "")
    if last == END and is_finished(mlq.get_state(wanted)):
        return Response(status=204)
    news = mlq.follow(wanted, _place(last), every=BEAT, whole=False)
    first = next(news)  # before the answer begins: the job may be unknown
    large = partial(_large, mlq, wanted, request.environ.get(KEEP, lambda _: True))
    told = _told(_Teller(str(wanted), link(f"/jobs/{wanted.reference}/result"), large), first, news)
    return Response(told, content_type=STREAM, headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"})


def _place(last: str) -> tuple[int, int]:
    """The attempt and number of an event's id; the start for what is none."""
    attempt, _, number = last.partition("-")
    with contextlib.suppress(ValueError):
        return min(max(0, int(attempt)), MOST), min(max(0, int(number)), MOST)
    return 0, 0


def _told(teller: "_Teller", first: Followed, more: Iterator[Followed]) -> Iterator[bytes]:
    """The stream's text, piece by piece."""
    yield b"retry: %d\n\n" % RETRY
    leaving = contextlib.closing(more)  # type: ignore[type-var]  # a generator: the follower leaves with its asker
    with leaving, contextlib.suppress(UnknownJob, ServerError, _NoRoom):  # the asker comes back, and is told then
        yield from teller.tell(first)
        for news in more:
            is_silent = True
            for event in teller.tell(news):
                is_silent = False
                yield event
            if is_silent:
                yield b": still here\n\n"


class _NoRoom(Exception):
    """What others did not take yet leaves no room for a large entry."""


def _large(
    mlq: MLQ, job_id: JobId, keep: Callable[[int], bool], said: Entry, make: Callable[[bytes], bytes]
) -> Iterator[bytes]:
    """The event of an entry that is too large to be held for many who follow. It counts until it is sent."""
    with reading:
        if not keep(said.size):
            raise _NoRoom
        data = mlq._shell.run(entry(mlq._keys, job_id, said))  # noqa: SLF001 - nobody else reads entries by themselves
        event = b"" if data is None else make(data)
        if said.size > LARGE:
            mlq.close()  # an idle connection's buffer is as large as the last value that came over it
        if not keep(max(said.size, len(event))):
            raise _NoRoom
    del data
    yield event
    keep(0)


class _Teller:
    """Turns news into events; knows what it said last."""

    def __init__(self, job_id: str, result: str, large: Callable[..., Iterator[bytes]]) -> None:
        self._id = job_id
        self._result = result
        self._large = large
        self._state = ("", 0)
        self._progress: bytes = b""

    def tell(self, news: Followed) -> Iterator[bytes]:
        """The events of these news."""
        about = {"id": self._id, "state": str(news.state), "attempt": news.attempt}
        if news.ended is None and self._state != (news.state, news.attempt):
            self._state, self._progress = (news.state, news.attempt), b""
            yield _event("state", about)
        for said in news.entries:
            make = partial(_of_entry, {**about, "attempt": said.attempt}, said)
            if len(said.data) == said.size:
                yield make(said.data)
            else:
                yield from self._large(said, make)
        if news.progress and news.progress != self._progress and news.state == State.RUNNING:
            self._progress = news.progress
            yield _event("progress", about, "progress", news.progress)
        if news.ended is not None:
            yield self._end(about, news.ended)

    def _end(self, about: dict[str, Any], fields: dict[str, bytes]) -> bytes:
        """How it ended."""
        about |= {name: text(fields[name]) for name in ("reason", "error_type", "error") if name in fields}
        about["result"] = self._result
        packed = fields.get("short", fields.get("result"))
        is_small = packed is not None and len(packed) <= SMALL
        return _event("end", about, "short_result", packed if is_small else None, END)


def _of_entry(about: dict[str, Any], said: Entry, data: bytes) -> bytes:
    """The event of an entry of the stream."""
    place = f"{said.attempt}-{said.number}"
    if said.kind == "chunk":
        return _event("chunk", about, "data", data, place)
    return _event("log", about | {"text": data.decode("utf-8", "replace")}, event_id=place)


def _event(name: str, about: dict[str, Any], part: str = "", packed: bytes | None = None, event_id: str = "") -> bytes:
    """An event, with a packed value as its `part`. Where that can't be read, the event says so.

    Without an event, its asker would come back for it for ever.
    """
    value = ""
    if packed is not None:
        try:
            value = f', "{part}": {_as_json(packed)}'
        except Undecodable as error:
            about = about | {"undecodable": str(error)}
    place = f"id: {event_id}\n" if event_id else ""
    return f"{place}event: {name}\ndata: {to_json(about)[:-1]}{value}}}\n\n".encode()


def _as_json(packed: bytes) -> str:
    if not HEAVY < len(packed) <= LARGE:  # a large one is read by few at a time
        return to_json(codec.unpack(packed))
    if packed in _written:
        return _written[packed]
    with _turns.take():
        if packed not in _written:
            made = to_json(codec.unpack(packed), in_turn=True)
            while len(_written) >= WRITTEN:
                del _written[next(iter(_written))]
            _written[packed] = made
        return _written[packed]
