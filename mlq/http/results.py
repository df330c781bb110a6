"""The routes of results: the value with its media type; supports ranges and ETags."""

import re
import threading
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
from mlq.ops.jobs import info as info_of
from mlq.ops.jobs import kept

POLL = "1"  # seconds after which the client should ask again
LARGE = 65_536  # bytes; the memory of larger values is counted
READERS = 4  # values that are read at a time: each may have 64 MiB, and three copies until it is an answer
reading = threading.BoundedSemaphore(READERS)
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


def _result(mlq: MLQ, settings: Settings, which: str, job_id: str, extension: str = "") -> Response:
    if not _EXTENSION.fullmatch(extension):
        raise Refused(404, "an extension has up to 50 characters: letters, digits and -_+.")
    return result_of(mlq, settings, checked(job_id), which, extension)


def result_of(mlq: MLQ, settings: Settings, job_id: str, which: str, extension: str) -> Response:
    """The answer for a job's result or short result, as a file if there is an `extension`."""
    op = info_of(mlq._keys, mlq._named(job_id))  # noqa: SLF001 - the value is read later: polling transfers no values
    with looked_up(mlq, op) as (info_there,):
        found = info_there()
        state = found["state"]
        not_yet = (
            as_json(_not_yet(job_id, found), 202, in_turn=True) if wants_json() and not is_finished(state) else None
        )
    info = {name: found[name] for name in _NEEDED} | {"attempts": len(found["attempts"])}  # errors may have 2 MB
    del found
    if not is_finished(state):
        answer = not_yet or plain_text(progress_text(mlq, job_id), 202)
        answer.headers["Retry-After"] = POLL
    elif state == State.CANCELLED:
        answer = answers.problem(410, f"job {job_id} was cancelled")
    elif state == State.FAILED and not (settings.failed_is_200 and not wants_json()):
        kind = (info["error_type"] or "").rpartition(".")[2]
        answer = answers.problem(409, f"job {job_id} failed: {kind}: {info['error']}")
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
        answer = _read(mlq, job_id, info, which, extension)
    answer.set_etag(tag)
    answer.headers["Cache-Control"] = "no-cache"  # may be cached, but must be revalidated: a job may be requeued
    answer.headers["Vary"] = "Accept"
    body = answer.get_data()
    environ = request.environ
    if not _is_part(len(body)):
        environ = {name: value for name, value in environ.items() if name != "HTTP_RANGE"}
    answer.make_conditional(environ, accept_ranges=True, complete_length=len(body))
    return answer


def _read(mlq: MLQ, job_id: str, info: dict[str, Any], which: str, extension: str) -> Response:
    """The value. Raises Refused if answers that other clients have not read yet leave no room for it."""
    with reading:
        content, size = (info["error"], 0) if info["state"] == State.FAILED else _value(mlq, job_id, info, which)
        if wants_json() and not isinstance(content, bytes):
            answer = as_json(content)
        else:
            answer = answers.value(content, extension, f"job-{job_id}")
        _keep(max(size, len(answer.get_data())))
        if size > LARGE:
            mlq.close()  # an idle connection's buffer is as large as the last value that came over it
        return answer


def _value(mlq: MLQ, job_id: str, info: dict[str, Any], which: str) -> tuple[Any, int]:
    """The value and its packed size in bytes. The message and the other result, which may be large, are not read."""
    packed = None
    # "short" is only stored if the listener returned both
    for name in ("short", "result") if which == "short_result" else ("result",):
        op = kept(mlq._keys, job_id, name)  # noqa: SLF001 - only this code needs bytes that are not decoded
        finished, packed = mlq._shell.run(op)  # noqa: SLF001
        if finished != info["finished"]:
            raise Refused(503, f"job {job_id} has just changed: ask again", headers={"Retry-After": POLL})
        if packed is not None:
            break
    if packed is None:
        return None, 0
    _keep(len(packed))
    return codec.unpack(packed), len(packed)


def _keep(size: int) -> None:
    """Reserve memory for an answer of that size. Raises Refused if there is no room."""
    keep = request.environ.get(KEEP)
    if size > LARGE and keep is not None and not keep(size):
        raise Refused(503, FULL, headers={"Retry-After": AGAIN})


def _is_part(length: int) -> bool:
    """Whether a single range is asked for. For other ranges, the whole value is sent, which HTTP allows."""
    found = _RANGE.fullmatch(request.headers.get("Range", ""))
    return found is not None and int(found["last"] or 0) <= length
