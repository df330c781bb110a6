"""The route that has a file predicted which the service's operator allows: by its path or URL, as workers see it."""

from functools import partial
from typing import Annotated

from flask import Response, request
from msgspec import Meta, Struct

from mlq import MLQ, InputError
from mlq.batches.allowed import Allowed
from mlq.core.file_job import LONGEST, PLACES
from mlq.deliveries import allowed
from mlq.http import bodies
from mlq.http.answers import ALWAYS_JSON, as_json, link
from mlq.http.models import GROUP
from mlq.http.problems import Refused, checked
from mlq.http.results import POLL
from mlq.http.routes import Parameter, Role, Route
from mlq.http.settings import Settings
from mlq.http.shapes import Options, Posted, Url
from mlq.http.waiting import given_options, links

Address = Annotated[str, Meta(min_length=1, max_length=LONGEST, description="A path or a URL, as workers see it.")]
Column = Annotated[str, Meta(max_length=1000)]
MOST = 1000  # columns


class NewFilePrediction(Struct, forbid_unknown_fields=True, kw_only=True):
    """A file to predict."""

    input: Address
    output: Address
    errors: Address | None = None
    fields: Annotated[dict[Column, Column], Meta(max_length=MOST, description="Columns by field.")] = {}
    keep: Annotated[list[Column], Meta(max_length=MOST, description="Columns to carry over.")] = []
    restart: bool = False
    callback: Url | None = None
    webhook: Url | None = None


def routes(mlq: MLQ, settings: Settings) -> list[Route]:
    """The routes for one queue."""
    trusts = not settings.tokens or allowed.trusts_strangers()
    post = partial(_post, mlq, Allowed(settings.places), trusts)
    answers = {202: "The job was posted: its id and links.", 400: "Not JSON.",
               403: "The service does not allow these files.", 404: "No such model.", 413: "Too large.",
               415: "Wrong content type.", 422: "Wrong shape, or the key of another post."}  # fmt: skip
    key = Parameter("Idempotency-Key", "header", "Within a day, the same post with the same key makes no second job.")
    return [
        Route("POST", f"{path}/predict-file", post, Role.POST, "Predict a file", answers, GROUP, NewFilePrediction,
              reply=Posted, parameters=(key,), about="It is one job, whose progress has `rows`, `failed` and `share`.")
        for path in ("/models/<name>", "/models/<name>/versions/<version>")
    ]  # fmt: skip


def _post(mlq: MLQ, places: Allowed, trusts: bool, name: str, version: str | None = None) -> Response:  # noqa: FBT001
    request.environ[ALWAYS_JSON] = True
    wanted = bodies.decoded(NewFilePrediction)
    if not places:
        raise Refused(403, f"no file may be named here: start the service and its workers with {PLACES}")
    for field in ("input", "output", "errors"):
        _check(places, field, getattr(wanted, field))
    info = mlq.model(name, version).version_for()
    asked = Options(callback=wanted.callback, webhook=wanted.webhook)
    job = mlq.predict_file(
        info.function, wanted.input, wanted.output, errors=wanted.errors, fields=wanted.fields, keep=wanted.keep,
        restart=wanted.restart, idempotency_key=request.environ.get("HTTP_IDEMPOTENCY_KEY"),
        **given_options(asked, trusts=trusts),
    )  # fmt: skip
    job_id = checked(job.reference)
    answer = as_json(Posted(str(job_id), None, links(job_id), job.warning), 202, {"Retry-After": POLL})
    answer.headers["Location"] = link(f"/jobs/{job.reference}")
    return answer


def _check(places: Allowed, field: str, address: str | None) -> None:
    """Raises Refused; the worker, whose files these are, looks again."""
    try:
        if address is not None:
            places.checked(field, address)
    except InputError as error:
        raise Refused(403, str(error), [{"detail": str(error), "pointer": f"#/{field}"}]) from None
