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
OPENAI = "/v1"  # those of OpenAI's API, which has another one
_KINDS = [JSON, "application/problem+json", "text/plain"]  # the first wins if the client accepts several equally
_LONGEST = 1000  # characters; longer Accept headers are not parsed; browsers send 150
_CODES = {401: "invalid_api_key", 404: "not_found", 413: "file_too_large", 429: "rate_limit_exceeded"}
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


def _encoded(text: str) -> bytes:
    """As UTF-8. Lone surrogates, which a client may have sent as escapes in JSON, are escaped as they are there."""
    return text.encode("utf-8", "backslashreplace")


def plain_text(text: str, status: int = 200) -> Response:
    """An answer of plain text."""
    return Response(text, status, content_type=TEXT)


def as_json(
    value: object, status: int = 200, headers: Mapping[str, str] | None = None, *, in_turn: bool = False
) -> Response:
    """A struct, or a value that `json_values.py` converts to JSON. `in_turn`: see there."""
    body = _encode(value) if isinstance(value, msgspec.Struct) else _encoded(to_json(value, in_turn=in_turn))
    return Response(body, status, headers, content_type=JSON)


def problem(
    status: int,
    reason: str,
    errors: list[dict[str, str]] | None = None,
    headers: Mapping[str, str] | None = None,
    more: Mapping[str, str] | None = None,
) -> Response:
    """A refusal with its reason: as text, or in the format of RFC 9457 if the client wants JSON; `more`: members."""
    reason = _encoded(reason).decode()
    if _is_below(INFERENCE):
        answer = Response(_encode({"error": reason}), status, content_type=JSON)
    elif _is_below(OPENAI):
        answer = Response(_encode({"error": _as_openai(status, reason, errors)}), status, content_type=JSON)
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


def _is_below(path: str) -> bool:
    return request.path == path or request.path.startswith(path + "/")


def _as_openai(status: int, reason: str, errors: list[dict[str, str]] | None) -> dict[str, str | None]:
    """A refusal in the form that clients of OpenAI's API read."""
    kind = "server_error" if status >= 500 else "rate_limit_error" if status == 429 else "invalid_request_error"
    wrong = errors[0]["pointer"].removeprefix("#/").replace("/", ".") if errors else ""
    return {"message": reason, "type": kind, "param": wrong or None, "code": _CODES.get(status)}


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
