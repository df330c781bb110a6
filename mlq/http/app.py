"""The Flask application: the paths of the first MLQ over one queue.

    GET  /healthz                    ok; asks nothing of the server
    GET  /jobs/count                 jobs that wait or run
    POST /jobs                       {"msg", "callback"?, "functions"?} as application/json; the id
    GET  /jobs/<id>/progress         the progress in words, or what was last reported
    GET  /jobs/<id>/short_result
    GET  /jobs/<id>/result           for a failed job its error's text; the header MLQ-Job-State says which it is
    GET  /jobs/<id>/result.<ext>     the same bytes, with the media type of the extension

Bodies are the value itself, without a newline: text and numbers as text, bytes as they are, a mapping, a list or an
array as JSON (`values.py`). A result is answered with 202 and the progress in words while there is none, with 410 when
the job was cancelled. Refusals (4xx, and 503 when Redis is away) say why in plain text and leave no job behind.
"""

import mimetypes
from collections.abc import Callable, Mapping
from typing import Any

from flask import Flask, Response, abort, request
from werkzeug.exceptions import HTTPException

from mlq import MLQ, InputError, MLQError, OutOfMemory, ServerError, State, TooLarge, UnknownJob
from mlq.http.values import as_text, from_json, is_array, to_json

BODY_LIMIT = 64 * 1024 * 1024  # bytes of a request; a message may not be larger either
FIELDS = ("msg", "callback", "functions")
TEXT = "text/plain; charset=utf-8"
# The first that fits. What is not listed is a defect, and answered with 500.
STATUS: tuple[tuple[type[MLQError], int], ...] = (
    (UnknownJob, 404), (TooLarge, 413), (InputError, 400), (OutOfMemory, 507), (ServerError, 503),
)  # fmt: skip


def make_app(mlq: MLQ) -> Flask:
    """The application for a queue. Touches no server: the first request that needs one does."""
    app = Flask("mlq.http", static_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = BODY_LIMIT
    app.register_error_handler(HTTPException, _refused)
    app.register_error_handler(MLQError, _failed)
    views: dict[str, Callable[..., Response]] = {
        "/healthz": lambda: _said("ok"),
        "/jobs/count": lambda: _said(str(mlq.job_count())),
        "/jobs/<job_id>/progress": lambda job_id: _said(mlq.get_progress(_checked(job_id))),
        "/jobs/<job_id>/short_result": lambda job_id: _outcome(mlq, job_id, "short_result"),
        "/jobs/<job_id>/result": lambda job_id: _outcome(mlq, job_id, "result"),
        "/jobs/<job_id>/result.<extension>": lambda job_id, extension: _outcome(mlq, job_id, "result", extension),
    }
    for path, view in views.items():
        app.add_url_rule(path, path, view)
    app.add_url_rule("/jobs", "/jobs", lambda: _said(mlq.post(**_posted())), methods=["POST"])
    return app


def _said(text: str, status: int = 200) -> Response:
    return Response(text, status, content_type=TEXT)


def _posted() -> dict[str, Any]:
    """The arguments of a post from the request's body. Aborts with the reason where it is none."""
    if not request.is_json:  # a form on a foreign web page can't send this type, so it can't post jobs
        abort(415, "send the body as JSON, with the header Content-Type: application/json")
    try:
        body = from_json(request.get_data())
    except InputError:
        raise
    except ValueError as error:
        abort(400, f"the body is not JSON: {error}")
    if not isinstance(body, dict) or "msg" not in body:
        abort(400, 'the body must be a JSON object with the message under the key "msg"')
    if unknown := sorted(body.keys() - set(FIELDS)):
        abort(400, f"unknown keys {', '.join(unknown)}: there are {', '.join(FIELDS)}")
    return body


def _checked(job_id: str) -> str:
    """An id that could be a job's; others are unknown without asking."""
    if not (job_id.isascii() and job_id.isdigit()) or len(job_id) > 18:
        abort(404, f"no job {job_id}: an id is a number")
    return job_id


def _outcome(mlq: MLQ, job_id: str, which: str, extension: str = "") -> Response:
    """The answer for one of a job's two results, asked for as a file with `extension` if any."""
    state = mlq.get_state(_checked(job_id))  # first, so that polling moves no payload
    if state is State.CANCELLED:
        answer = _said(f"job {job_id} was cancelled", 410)
    elif state not in (State.SUCCEEDED, State.FAILED):
        answer = _said(mlq.get_progress(job_id), 202)
    else:
        job = mlq.get_job(job_id)
        answer = _body(job["error"] if state is State.FAILED else job[which], extension)
    answer.headers["MLQ-Job-State"] = str(state)
    return answer


def _body(value: Any, extension: str) -> Response:
    """A value as it is, with the media type of the extension, or of its kind."""
    if isinstance(value, bytes):
        content, kind = value, "application/octet-stream"
    elif isinstance(value, (Mapping, list)) or is_array(value):
        content, kind = to_json(value).encode(), "application/json"
    else:
        content, kind = as_text(value).encode(), TEXT
    asked = _media_type(extension)
    if asked and asked.startswith("text/") and kind is TEXT:
        asked += "; charset=utf-8"
    answer = Response(content, content_type=asked or kind)
    answer.headers["X-Content-Type-Options"] = "nosniff"
    if "html" in answer.content_type or "xml" in answer.content_type:
        answer.headers["Content-Security-Policy"] = "sandbox"  # a job's page must not act as this site's own
    return answer


def _media_type(extension: str) -> str | None:
    if not extension:
        return None
    kind, packing = mimetypes.guess_type(f"result.{extension}")
    return f"application/{packing}" if packing else kind  # the bytes of a .tar.gz are those of the .gz


def _refused(error: HTTPException) -> Response:
    """What Flask or a view refused, with the reason as plain text."""
    answer = Response(status=error.code, headers=error.get_headers(request.environ))
    reason = f"the body is over {BODY_LIMIT:,} bytes" if error.code == 413 else error.description or error.name
    answer.data, answer.content_type = reason, TEXT
    return answer


def _failed(error: MLQError) -> Response:
    """What MLQ raised, with the status that says whose fault it is."""
    status = next((status for kind, status in STATUS if isinstance(error, kind)), 500)
    return _said(str(error), status)
