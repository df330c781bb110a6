"""Makes answers: plain text as in the first MLQ, JSON if it is asked for, and values with their media types."""

import mimetypes
from collections.abc import Mapping
from typing import Any

import msgspec
from flask import Response, request

from mlq.core.json_values import as_text, is_array, to_json

TEXT = "text/plain; charset=utf-8"
JSON = "application/json"
STREAM = "text/event-stream"
ALWAYS_JSON = "mlq.json"  # in the environment of requests to routes that speak JSON alone
INFERENCE = "/v2"  # the routes of the Open Inference Protocol, which has a form of its own for refusals
_KINDS = [JSON, "application/problem+json", "text/plain"]  # the first wins if the client accepts several equally
_LONGEST = 1000  # characters; longer Accept headers are not parsed; browsers send 150
_encode = msgspec.json.Encoder().encode


def wants_json() -> bool:
    """Whether the client prefers JSON to plain text, which is the default; or the route speaks JSON alone."""
    if ALWAYS_JSON in request.environ:
        return True
    accept = request.environ.get("HTTP_ACCEPT", "")
    # werkzeug compares all accepted types with one another, which takes 20 ms for 16 kB
    return "json" in accept and len(accept) <= _LONGEST and request.accept_mimetypes.best_match(_KINDS) != "text/plain"


def link(path: str) -> str:
    """A path of this service as the client sees it: below the prefix of a proxy."""
    return f"{request.script_root}{path}"


def plain_text(text: str, status: int = 200) -> Response:
    """An answer of plain text."""
    return Response(text, status, content_type=TEXT)


def as_json(
    value: object, status: int = 200, headers: Mapping[str, str] | None = None, *, in_turn: bool = False
) -> Response:
    """A struct, or a value that `json_values.py` converts to JSON. `in_turn`: see there."""
    body = _encode(value) if isinstance(value, msgspec.Struct) else to_json(value, in_turn=in_turn).encode()
    return Response(body, status, headers, content_type=JSON)


def problem(
    status: int,
    reason: str,
    errors: list[dict[str, str]] | None = None,
    headers: Mapping[str, str] | None = None,
    more: Mapping[str, str] | None = None,
) -> Response:
    """A refusal with its reason: as text, or in the format of RFC 9457 if the client wants JSON; `more`: members."""
    if request.path == INFERENCE or request.path.startswith(INFERENCE + "/"):
        answer = Response(_encode({"error": reason}), status, content_type=JSON)
    elif not wants_json():
        answer = plain_text(reason, status)
    else:
        fields: dict[str, Any] = {"type": "about:blank", "title": _title(status), "status": status, "detail": reason}
        fields |= (
            {"instance": request.full_path.rstrip("?")} | ({"errors": errors} if errors else {}) | dict(more or {})
        )
        answer = Response(_encode(fields), status, content_type="application/problem+json")
    answer.headers.update(headers or {})
    return answer


def _title(status: int) -> str:
    from werkzeug.http import HTTP_STATUS_CODES

    return HTTP_STATUS_CODES.get(status, "Refused")


def value(content: Any, extension: str, name: str, *, in_turn: bool) -> Response:
    """A value itself, without a newline: bytes as they are; mappings, lists and arrays as JSON; all others as text.

    `in_turn`: as for `as_json`.

    With an `extension`, it has the media type of that, and `name` and the extension as its file name.
    """
    if isinstance(content, bytes):
        body, kind = content, "application/octet-stream"
    elif isinstance(content, (Mapping, list)) or is_array(content):
        body, kind = to_json(content, in_turn=in_turn).encode(), JSON
    else:
        body, kind = as_text(content).encode(), TEXT
    asked = _media_type(extension)
    if asked and asked.startswith("text/") and kind is TEXT:
        asked += "; charset=utf-8"
    answer = Response(body, content_type=asked or kind)
    if extension:
        answer.headers.set("Content-Disposition", "inline", filename=f"{name}.{extension}")
    if "html" in answer.content_type or "xml" in answer.content_type:
        answer.headers["Content-Security-Policy"] = "sandbox"  # a page from a job must not act for this site
    return answer


def _media_type(extension: str) -> str | None:
    if not extension:
        return None
    kind, packing = mimetypes.guess_type(f"result.{extension}")
    return f"application/{packing}" if packing else kind  # a .tar.gz is a .gz file
