"""Turns errors into answers with the right status."""

import re
from collections.abc import Iterable, Mapping

from flask import Flask, Response, request
from werkzeug.exceptions import HTTPException

from mlq import (
    MLQ,
    InputError,
    MLQError,
    OutOfMemory,
    ScheduleConflict,
    ServerError,
    TooLarge,
    Undecodable,
    UnknownJob,
    UnknownModel,
    UnknownSchedule,
    ValidationError,
    ValueRefused,
    WrongState,
)
from mlq.core.identity import JobId, parse_reference
from mlq.errors import KeyReused, QueueFull
from mlq.http.answers import problem

# The first match counts. Other errors are defects, and answered with 500.
STATUS: tuple[tuple[type[MLQError], int], ...] = (
    (UnknownJob, 404), (UnknownModel, 404), (UnknownSchedule, 404), (TooLarge, 413), (KeyReused, 422),
    (ValidationError, 422), (WrongState, 409), (ScheduleConflict, 409), (QueueFull, 429), (InputError, 400),
    (Undecodable, 422), (OutOfMemory, 507), (ValueRefused, 413), (ServerError, 503),
)  # fmt: skip
AWAY = 1  # seconds after which to try again when the server is away, or the queue is full


class Refused(Exception):
    """A request that is refused, with a reason for people."""

    def __init__(
        self, status: int, reason: str, errors: list[dict[str, str]] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:  # fmt: skip
        """`errors`: the parts to blame, each with `detail` and `pointer`."""
        super().__init__(reason)
        self.status = status
        self.errors = errors
        self.headers = headers


def checked(job_id: str) -> JobId:
    """An id or a reference with a valid format; others get 404 without asking the server."""
    found = parse_reference(job_id)
    if found is None:
        raise Refused(404, f"no job {job_id}: ids look like 57, or like 57@1795888888.123456")
    return found


def handle_all(app: Flask, mlq: MLQ) -> None:
    """Answer everything that views raise."""
    app.register_error_handler(HTTPException, _aborted)
    app.register_error_handler(Refused, lambda error: problem(error.status, str(error), error.errors, error.headers))
    app.register_error_handler(MLQError, lambda error: _failed(mlq, error))


def _aborted(error: HTTPException) -> Response:
    """Answer a request that Flask itself refused: no such path, a wrong method, a body that is too large."""
    kept = {name: text for name, text in error.get_headers(request.environ) if name in ("Allow", "Content-Range")}
    reason = error.description or error.name
    if error.code == 413:
        reason = "the body is too large: store the data elsewhere and post its address"
    elif error.code == 404 and error.description == type(error).description:
        reason = f"there is nothing at {request.path}: see /docs"
    return problem(error.code or 500, reason, headers=kept)


def _failed(mlq: MLQ, error: MLQError) -> Response:
    status = next((status for kind, status in STATUS if isinstance(error, kind)), 500)
    if status == 404 and isinstance(error, UnknownJob) and _was_there(mlq):
        status = 410
    wrong = parts_of(error.faults) if isinstance(error, ValidationError) else None
    return problem(status, str(error), wrong, {"Retry-After": str(AWAY)} if status in (429, 503) else None)


def parts_of(faults: Iterable[tuple[str, str]]) -> list[dict[str, str]]:
    """The wrong fields of an input, as parts of a problem."""
    return [{"detail": reason, "pointer": pointer_to(path)} for path, reason in faults]


def pointer_to(path: str) -> str:
    """A place such as `layers[0].size` as a JSON pointer: `#/layers/0/size`."""
    steps = (part.replace("~", "~0").replace("/", "~1") for part in re.findall(r"[^.\[\]]+", path))
    return "#" + "".join(f"/{step}" for step in steps)


def _was_there(mlq: MLQ) -> bool:
    """Whether the unknown job existed once: ids rise, so every id up to the last one was used or lost."""
    try:
        found = parse_reference(str((request.view_args or {}).get("job_id", "")))
        return found is not None and 0 < int(found) <= mlq.last_id()
    except ServerError:
        return False
