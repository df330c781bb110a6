"""Answers: plain text as the first MLQ gave it, JSON for whoever asks for that, and values with their media types."""

import mimetypes
from collections.abc import Mapping
from typing import Any

import msgspec
from flask import Response, request

from mlq.core.json_values import as_text, is_array, to_json

TEXT = "text/plain; charset=utf-8"
JSON = "application/json"
STREAM = "text/event-stream"
_KINDS = [JSON, "application/problem+json", "text/plain"]  # the first wins where the asker names several alike
_LONGEST = 1000  # characters of an Accept header that is looked into; browsers send 150
_encode = msgspec.json.Encoder().encode


def wants_json() -> bool:
    """Whether the asker prefers JSON to the plain text that is the default."""
    accept = request.environ.get("HTTP_ACCEPT", "")
    # werkzeug compares all that is accepted with one another: 20 ms where 16 kB are
    return "json" in accept and len(accept) <= _LONGEST and request.accept_mimetypes.best_match(_KINDS) != "text/plain"


def link(path: str) -> str:
    """A path of this service as the asker sees it: below the prefix that a proxy shows."""
    return f"{request.script_root}{path}"


def said(text: str, status: int = 200) -> Response:
    """Plain text."""
    return Response(text, status, content_type=TEXT)


def as_json(
    value: object, status: int = 200, headers: Mapping[str, str] | None = None, *, in_turn: bool = False
) -> Response:
    """A struct, or a value as `json_values.py` puts it in JSON. `in_turn`: see there."""
    body = _encode(value) if isinstance(value, msgspec.Struct) else to_json(value, in_turn=in_turn).encode()
    return Response(body, status, headers, content_type=JSON)


def problem(
    status: int, reason: str, errors: list[dict[str, str]] | None = None, headers: Mapping[str, str] | None = None
) -> Response:
    """A refusal with its reason: as text, or as RFC 9457 has it for whoever wants JSON."""
    if not wants_json():
        answer = said(reason, status)
    else:
        told: dict[str, Any] = {"type": "about:blank", "title": _title(status), "status": status, "detail": reason}
        told |= {"instance": request.full_path.rstrip("?")} | ({"errors": errors} if errors else {})
        answer = Response(_encode(told), status, content_type="application/problem+json")
    answer.headers.update(headers or {})
    return answer


def _title(status: int) -> str:
    from werkzeug.http import HTTP_STATUS_CODES

    return HTTP_STATUS_CODES.get(status, "Refused")


def value(content: Any, extension: str, name: str) -> Response:
    """A value itself, without a newline: bytes as they are, mappings, lists and arrays as JSON, all else as text.

    It has the media type of `extension`, if any, and is called `name` where somebody saves it.
    """
    if isinstance(content, bytes):
        body, kind = content, "application/octet-stream"
    elif isinstance(content, (Mapping, list)) or is_array(content):
        body, kind = to_json(content).encode(), JSON
    else:
        body, kind = as_text(content).encode(), TEXT
    asked = _media_type(extension)
    if asked and asked.startswith("text/") and kind is TEXT:
        asked += "; charset=utf-8"
    answer = Response(body, content_type=asked or kind)
    if extension:
        answer.headers.set("Content-Disposition", "inline", filename=f"{name}.{extension}")
    if "html" in answer.content_type or "xml" in answer.content_type:
        answer.headers["Content-Security-Policy"] = "sandbox"  # a job's page must not act as this site's own
    return answer


def _media_type(extension: str) -> str | None:
    if not extension:
        return None
    kind, packing = mimetypes.guess_type(f"result.{extension}")
    return f"application/{packing}" if packing else kind  # the bytes of a .tar.gz are those of the .gz
