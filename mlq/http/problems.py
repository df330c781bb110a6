"""What goes wrong with a request, and the status that says whose fault it is."""

from collections.abc import Mapping

from flask import Flask, Response, request
from werkzeug.exceptions import HTTPException

from mlq import (
    MLQ,
    InputError,
    MLQError,
    OutOfMemory,
    ServerError,
    TooLarge,
    Undecodable,
    UnknownJob,
    ValueRefused,
    WrongState,
)
from mlq.core.identity import JobId, parse_reference
from mlq.errors import KeyReused
from mlq.http.answers import problem

# The first that fits. What is not listed is a defect, and answered with 500.
STATUS: tuple[tuple[type[MLQError], int], ...] = (
    (UnknownJob, 404), (TooLarge, 413), (KeyReused, 422), (WrongState, 409), (InputError, 400), (Undecodable, 422),
    (OutOfMemory, 507), (ValueRefused, 413), (ServerError, 503),
)  # fmt: skip
AWAY = 1  # seconds after which to try again when the server is away


class Refused(Exception):
    """A request that is refused, with the reason for people."""

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
    """An id or a reference that could be a job's; others are unknown without asking."""
    found = parse_reference(job_id)
    if found is None:
        raise Refused(404, f"no job {job_id}: ids look like 57, or like 57@1795888888.123456")
    return found


def handle_all(app: Flask, mlq: MLQ) -> None:
    """Have everything that views raise answered."""
    app.register_error_handler(HTTPException, _aborted)
    app.register_error_handler(Refused, lambda error: problem(error.status, str(error), error.errors, error.headers))
    app.register_error_handler(MLQError, lambda error: _failed(mlq, error))


def _aborted(error: HTTPException) -> Response:
    """What Flask itself refused: no such path, a wrong method, a body that is too large."""
    kept = {name: text for name, text in error.get_headers(request.environ) if name in ("Allow", "Content-Range")}
    told = error.description or error.name
    if error.code == 413:
        told = "the body is too large: store the data elsewhere and post its address"
    elif error.code == 404 and error.description == type(error).description:
        told = f"there is nothing at {request.path}: see /docs"
    return problem(error.code or 500, told, headers=kept)


def _failed(mlq: MLQ, error: MLQError) -> Response:
    status = next((status for kind, status in STATUS if isinstance(error, kind)), 500)
    if status == 404 and _was_there(mlq):
        status = 410
    return problem(status, str(error), headers={"Retry-After": str(AWAY)} if status == 503 else None)


def _was_there(mlq: MLQ) -> bool:
    """Whether the job that is unknown was one once: ids rise, and the job of a lost id is gone."""
    try:
        found = parse_reference(str((request.view_args or {}).get("job_id", "")))
        return found is not None and 0 < int(found) <= mlq.last_id()
    except ServerError:
        return False
