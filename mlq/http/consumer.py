"""The routes of uploaded listeners: POST, DELETE and GET /consumer.

The body is `jsonpickle.encode(cloudpickle.dumps(function))`, that is `{"py/b64": "gAWV..."}`, or this text encoded as
JSON once more. It must be exactly that, and is never passed to jsonpickle, which would decode more.
"""

import base64
import time
from functools import partial

from flask import Response, request
from jsonpickle.tags import B64  # type: ignore[import-untyped]

from mlq import MLQ, InputError
from mlq.http import trial
from mlq.http.answers import as_json, plain_text, wants_json
from mlq.http.bodies import json_of
from mlq.http.peer import is_own
from mlq.http.problems import Refused
from mlq.http.routes import Role, Route
from mlq.http.settings import LOCAL_UPLOADS, Settings
from mlq.http.upload_shapes import NewUpload, PickledFunction, Removed, Upload, Uploads
from mlq.uploads.sealed import LIMIT, PYTHON, fingerprint
from mlq.uploads.secret import VARIABLE, configured

BODY_LIMIT = LIMIT * 4 // 3 + 1024  # bytes; base64 makes 4 of 3
_FORM = f'the body must be exactly what jsonpickle.encode(cloudpickle.dumps(function)) returns: {{"{B64}": "..."}}'


def routes(mlq: MLQ, settings: Settings) -> list[Route]:
    """The routes for one queue."""
    refusals = {
        400: "Not jsonpickle of bytes.", 403: "Not identified as the service's user, or no secret.", 413: "Too large.",
        415: "Wrong content type.", 422: "The code is not a function with a name, or can't be loaded.",
    }  # fmt: skip
    before = partial(_check, settings)
    return [
        Route("POST", "/consumer", partial(_upload, mlq), Role.ADMIN, "Upload a listener",
              {200: "Workers will run it: `True`, or a description as JSON."} | refusals, "Listeners",
              body=PickledFunction, before=before, reply=NewUpload, about=_ABOUT),
        Route("DELETE", "/consumer", partial(_remove, mlq), Role.ADMIN, "Remove an uploaded listener",
              {200: "`True`, or `False` if there was none."} | refusals, "Listeners", body=PickledFunction,
              before=before, reply=Removed,
              about="Send the same body as for the upload; only the function's name counts."),
        Route("GET", "/consumer", partial(_list, mlq), Role.READ, "List uploaded listeners",
              {200: "One per line: name, time, fingerprint."}, "Listeners", reply=Uploads),
    ]  # fmt: skip


_ABOUT = (
    "Every worker of the namespace that accepts uploads runs the function within a second, as do workers that start "
    "later. It replaces an earlier one of the same name. It is code: see docs/uploads.md for who may send it."
)


def _upload(mlq: MLQ) -> Response:
    code = _code(request.get_data(cache=False))
    name = trial.name_in(code)
    mlq.upload_pickled(name, code)
    if not wants_json():
        return plain_text("True")
    return as_json(NewUpload(name=name, python=PYTHON, fingerprint=fingerprint(code), size=len(code)))


def _remove(mlq: MLQ) -> Response:
    name = trial.name_in(_code(request.get_data(cache=False)))
    removed = mlq.remove_upload(name)
    return as_json(Removed(name, removed)) if wants_json() else plain_text(str(removed))


def _list(mlq: MLQ) -> Response:
    found = [Upload(**one) for one in mlq.uploads()]
    if wants_json():
        return as_json(Uploads(found))
    return plain_text("\n".join(f"{one.name} {_moment(one.uploaded)} {one.fingerprint}" for one in found))


def _moment(seconds: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))


def _check(settings: Settings) -> None:
    """Check that the client may upload, and the headers, before the body is read. Raises Refused."""
    if not (settings.tokens or settings.local_uploads or (not settings.proxies and is_own(request.environ))):
        raise Refused(
            403,
            "an upload is code that workers run, and you could not be identified as this service's user: send it from "
            "a program of that user on this machine (Linux, without a proxy, and with the connection open until the "
            f"answer), start the service with tokens, or with {LOCAL_UPLOADS}=1 to accept uploads from everybody on "
            "this machine",
        )
    try:
        secret = configured()
    except InputError as error:
        raise Refused(403, str(error)) from None
    if secret is None and not settings.is_local:
        raise Refused(
            403,
            f"uploads are code that workers run, and other machines can reach this server: set {VARIABLE} to "
            "the same text of 16 characters or more for the server and its workers, or bind the server to 127.0.0.1",
        )
    if not request.is_json:  # a form on another site's web page can't send this type
        raise Refused(415, "send the body as JSON, with the header Content-Type: application/json")
    if (request.content_length or 0) > BODY_LIMIT:
        raise Refused(413, f"an upload may have {LIMIT:,} bytes of code")


def _code(body: bytes) -> bytes:
    """The code in a body. Raises Refused."""
    value = json_of(body, BODY_LIMIT)
    if isinstance(value, str):  # the client encoded the JSON text as JSON, as `json=` of requests does
        value = json_of(value, BODY_LIMIT)
    text = value.get(B64) if isinstance(value, dict) and len(value) == 1 else None
    if not isinstance(text, str):
        raise Refused(400, _FORM)
    try:
        code = base64.b64decode(text, validate=True)
    except ValueError as error:
        raise Refused(400, f"{_FORM}; its base64 is wrong: {error}") from None
    if not code or base64.b64encode(code).decode() != text:
        raise Refused(400, f"{_FORM}; its base64 is not what jsonpickle writes")
    return code
