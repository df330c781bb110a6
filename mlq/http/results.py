"""The routes of results: the value with its media type; supports ranges and ETags."""

import re
from collections.abc import Callable
from contextlib import nullcontext
from functools import partial
from typing import Any

from flask import Response, request

from mlq import MLQ, State
from mlq.core import codec
from mlq.core.identity import reference_of
from mlq.core.job import is_finished
from mlq.http import answers
from mlq.http.answers import as_json, link, plain_text, wants_json
from mlq.http.bodies import AGAIN, FULL, KEEP
from mlq.http.lookups import looked_up, progress_text
from mlq.http.problems import Refused, checked
from mlq.http.routes import Parameter, Role, Route
from mlq.http.settings import Settings
from mlq.http.turns import Places, Turns
from mlq.ops.jobs import field_size, stored_field
from mlq.ops.jobs import info as info_of

POLL = "1"  # seconds after which the client should ask again
LARGE = 65_536  # bytes; the memory of larger values is counted
READERS = 4  # large values that are read at a time: each may have 64 MiB, and three copies until it is an answer
reading = Places(READERS, most_waiting=8)  # a million values as JSON take 1.5 s
_containers = Places(1, most_waiting=8)  # of these: ten million empty maps in 10 MB take 0.8 GB when they are decoded
_turns = Turns(most_waiting=50)  # to decode smaller ones
_STRINGS = {bytes((head,)) for head in (*range(0xA0, 0xC0), 0xC4, 0xC5, 0xC6, 0xD9, 0xDA, 0xDB)}  # of MessagePack
_NEEDED = ("id", "state", "error", "error_type", "finished")
_EXTENSION = re.compile(r"[\w.+-]{0,50}", re.ASCII)  # it is copied to headers
_RANGE = re.compile(r"bytes=(?:\d{1,18}-\d{0,18}|-(?P<last>\d{1,18}))", re.ASCII)


def routes(mlq: MLQ, settings: Settings) -> list[Route]:
    """The routes for one queue."""
    statuses = {
        200: "The value.",
        202: "Not there yet: the progress.",
        206: "The range that was asked for.",
        304: "Nothing has changed since the ETag.",
        404: "No such job.",
        409: "The job failed: its error.",
        410: "The job was cancelled or deleted, or has expired.",
        416: "No such range.",
    }
    asked = (
        Parameter("Range", "header", "`bytes=0-99`: a part of the value."),
        Parameter("If-None-Match", "header", "The ETag of an earlier response."),
    )
    about = ("Bytes are sent as they are; mappings, lists and arrays as JSON; everything else as text. MLQ-Job-State "
             "has the state.")  # fmt: skip
    result, short = partial(_result, mlq, settings, "result"), partial(_result, mlq, settings, "short_result")
    return [
        Route("GET", "/jobs/<job_id>/result", result, Role.READ, "The result", statuses, parameters=asked, about=about),
        Route("GET", "/jobs/<job_id>/result.<extension>", result, Role.READ, "The result as a file", statuses,
              parameters=asked,
              about="The same bytes, with the media type of the extension: `result.png`, `result.mp3`."),
        Route("GET", "/jobs/<job_id>/short_result", short, Role.READ,
              "The short result", statuses, parameters=asked, about=about),
    ]  # fmt: skip


class _Changed(Refused):
    """The value is not that of which the rest of the answer was told."""


def _result(mlq: MLQ, settings: Settings, which: str, job_id: str, extension: str = "") -> Response:
    if not _EXTENSION.fullmatch(extension):
        raise Refused(404, "an extension has up to 50 characters: letters, digits and -_+.")
    return result_of(mlq, settings, checked(job_id), which, extension)


def result_of(
    mlq: MLQ, settings: Settings, job_id: str, which: str, extension: str, of: Callable[[Any], bool] = lambda _: True
) -> Response:
    """The answer for a job's result or short result, as a file if there is an `extension`.

    `of` says by what the job names (None, or a list of functions) whether it is one that is shown here.
    """
    try:
        return _result_of(mlq, settings, job_id, which, extension, of)
    except _Changed:  # it ended between the two replies: a script that the server lacked was sent again
        return _result_of(mlq, settings, job_id, which, extension, of)


def _result_of(
    mlq: MLQ, settings: Settings, job_id: str, which: str, extension: str, of: Callable[[Any], bool]
) -> Response:
    wanted, keys = mlq._named(job_id), mlq._keys  # noqa: SLF001 - the value is read later: polling transfers no values
    names = ("short", "result") if which == "short_result" else ("result",)  # "short" if the listener returned both
    with looked_up(mlq, info_of(keys, wanted), *(field_size(keys, wanted, name) for name in names)) as (there, *sizes):
        found = there()
        if not of(found["functions"]):
            raise Refused(404, f"job {job_id} is no prediction of this model")
        if found["gave"]:  # a step: another job got its result
            return _result_of(mlq, settings, checked(found["gave"]), which, extension, lambda _: True)
        name, size = next(((n, s) for n, s in zip(names, (one() for one in sizes), strict=True) if s), ("", 0))
        state = found["state"]
        not_yet = (
            as_json(_not_yet(job_id, found), 202, in_turn=True) if wants_json() and not is_finished(state) else None
        )
    info = {key: found[key] for key in _NEEDED} | {"attempts": len(found["attempts"])}  # errors may have 2 MB
    info |= {"field": name, "size": size}
    del found
    if not is_finished(state):
        answer = not_yet or plain_text(progress_text(mlq, job_id), 202)
        answer.headers["Retry-After"] = POLL
    elif state == State.CANCELLED:
        answer = answers.problem(410, f"job {job_id} was cancelled")
    elif state == State.FAILED and not (settings.failed_is_200 and not wants_json()):
        kind = (info["error_type"] or "").rpartition(".")[2]
        more = {"error_type": info["error_type"] or "", "error": info["error"] or ""}
        answer = answers.problem(409, f"job {job_id} failed: {kind}: {info['error']}", more=more)
    else:
        answer = _ended(mlq, job_id, info, which, extension)
    answer.headers["MLQ-Job-State"] = str(state)
    return answer


def _not_yet(job_id: str, info: dict[str, Any]) -> dict[str, Any]:
    fields = {"id": info["id"], "state": info["state"], "progress": info["progress"]}
    return fields | {"links": {"self": link(f"/jobs/{reference_of(job_id)}")}}


def _ended(mlq: MLQ, job_id: str, info: dict[str, Any], which: str, extension: str) -> Response:
    """The value, or 304 without reading it if the client already has it."""
    ending = f"{info['id']}-{which}-{info['attempts']}-{info['finished']}"
    tag = f"{ending}-{'json' if wants_json() else extension or 'plain'}"
    if request.method != "POST" and tag in request.if_none_match:
        answer = Response(status=304)
    else:
        answer = _read(mlq, job_id, info, extension)
    answer.set_etag(tag)
    answer.headers["Cache-Control"] = "no-cache"  # may be cached, but must be revalidated: a job may be requeued
    answer.headers["Vary"] = "Accept"
    body = answer.get_data()
    environ = request.environ
    if not _is_part(len(body)):
        environ = {name: value for name, value in environ.items() if name != "HTTP_RANGE"}
    answer.make_conditional(environ, accept_ranges=True, complete_length=len(body))
    return answer


def _read(mlq: MLQ, job_id: str, info: dict[str, Any], extension: str) -> Response:
    """The value. Raises Refused if answers that other clients have not read yet leave no room for it."""
    name = f"job-{job_id}"
    if info["state"] == State.FAILED:
        return _answer_with(info["error"], extension, name, in_turn=True)
    if info["size"] <= LARGE:
        packed = _packed(mlq, job_id, info)
        with _turns.take(len(packed)):
            return _answer_with(codec.unpack(packed) if packed else None, extension, name, in_turn=True)
    with reading.take():
        keep(info["size"])
        packed = _packed(mlq, job_id, info)
        with nullcontext() if _is_bytes_or_text(packed) else _containers.take():
            answer = _answer_with(codec.unpack(packed), extension, name, in_turn=False)
        keep(max(len(packed), len(answer.get_data())))
        mlq.close()  # an idle connection's buffer is as large as the last value that came over it
        return answer


def _is_bytes_or_text(packed: bytes) -> bool:
    """Whether this is a single string of bytes or characters: decoded, it is not much larger."""
    return packed[:1] in _STRINGS


def _answer_with(content: Any, extension: str, name: str, *, in_turn: bool) -> Response:
    if wants_json() and not isinstance(content, bytes):
        return as_json(content, in_turn=in_turn)
    return answers.value(content, extension, name, in_turn=in_turn)


def _packed(mlq: MLQ, job_id: str, info: dict[str, Any]) -> bytes:
    """The packed value. The message and the other result, which may be large, are not read."""
    op = stored_field(mlq._keys, job_id, info["field"] or "result")  # noqa: SLF001 - only this code needs packed bytes
    finished, packed = mlq._shell.run(op)  # noqa: SLF001
    if finished != info["finished"] or len(packed or b"") != info["size"]:
        raise _Changed(503, f"job {job_id} has just changed: ask again", headers={"Retry-After": POLL})
    return packed or b""


def keep(size: int) -> None:
    """Reserve memory for an answer of that size. Raises Refused if there is no room."""
    reserve = request.environ.get(KEEP)
    if size > LARGE and reserve is not None and not reserve(size):
        raise Refused(503, FULL, headers={"Retry-After": AGAIN})


def _is_part(length: int) -> bool:
    """Whether a single range is asked for. For other ranges, the whole value is sent, which HTTP allows."""
    found = _RANGE.fullmatch(request.headers.get("Range", ""))
    return found is not None and int(found["last"] or 0) <= length
