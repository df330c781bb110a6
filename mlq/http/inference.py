"""The routes of the Open Inference Protocol, version 2: public clients and probes of models use them without change."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, nullcontext
from functools import partial
from time import sleep
from typing import Any, NamedTuple

from flask import Response, request

from mlq import MLQ, InputError, JobFailed, MLQError, ServerError, UnknownJob, ValidationError, WaitTimeout
from mlq.client.arguments import PAGE, value_of
from mlq.client.model_states import ModelState, default_first
from mlq.client.models import Prediction, post_options, refused
from mlq.client.unserved import missing
from mlq.core.identity import JobId
from mlq.core.model import ModelInfo
from mlq.errors import NotLoaded
from mlq.http import bodies
from mlq.http.answers import as_json, link
from mlq.http.health import lack
from mlq.http.inference_shapes import (
    InferenceError,
    InferenceLive,
    InferenceReady,
    InferenceRequest,
    InferenceResponse,
    InferenceServer,
    ModelMetadata,
    ModelReady,
    TensorMetadata,
)
from mlq.http.jobs import FEW
from mlq.http.models import states
from mlq.http.problems import Refused, checked
from mlq.http.results import LARGE, keep, reading
from mlq.http.routes import Parameter, Role, Route
from mlq.http.settings import Settings
from mlq.http.tensor_forms import Form, form_of
from mlq.http.tensors import Outputs, rows_of
from mlq.http.turns import AskedOnce, Places, Turns
from mlq.http.waiting import LONGEST, Waiting, check_open, preferred
from mlq.ops.jobs import field_size, outcome
from mlq.version import __version__

GROUP = "Open Inference Protocol"
WAIT = 30.0  # seconds that a request waits, if the client names no time
ROWS_OF_A_PLACE = 500  # a request with more rows takes more of the places of those who wait: each row takes memory
MOST_OUTPUT = 16 * 1024 * 1024  # bytes of all outputs of a request as they are stored: as JSON of a request
BINARY = "Inference-Header-Content-Length"  # the header of requests in the form of the binary extension
_FORMS = ("application/x-www-form-urlencoded", "multipart/form-data", "text/plain")  # what any web page may send
_bulk, _turns = Places(4, most_waiting=20), Turns(most_waiting=50)
States = AskedOnce[list[ModelState]]


def routes(mlq: MLQ, settings: Settings) -> list[Route]:  # noqa: ARG001 - all modules of routes are alike
    """The routes for one queue."""
    hosted, workers = states(mlq), AskedOnce(partial(MLQ.workers, mlq))
    show, ready = partial(_show, hosted), partial(_model_ready, hosted)
    infer = partial(_infer, mlq, Waiting(mlq))
    limit = Parameter("Prefer", "header", "`wait=5` waits up to 5 s for the outputs; 60 s at most, 30 s if left out.")
    found = {200: "The outputs of all rows, in their order.", 400: "The tensors do not fit the model.",
             404: "No such model.", 413: "Too large.", 415: "Wrong content type.", 500: "The model failed at a row.",
             503: "Not now: ask again.", 504: "Not all rows were ready in time; names the jobs."}  # fmt: skip

    def under(path: str) -> list[Route]:
        return [
            _route(path, show, Role.READ, "The tensors of a model",
                   {200: "Inputs and outputs.", 400: "It has no form in this protocol.", 404: "No such model."},
                   ModelMetadata),
            _route(f"{path}/ready", ready, Role.READ, "Whether a model is ready",
                   {200: "A live worker hosts it.", 400: "Not ready: no worker hosts it, or it can't be loaded.",
                    404: "No such model."}, ModelReady),
            Route("POST", f"{path}/infer", infer, Role.POST, "Predict tensors", found, GROUP, body=InferenceRequest,
                  reply=InferenceResponse, refusal=InferenceError, parameters=(limit,),
                  about="Each row becomes a job. All are posted, or none if one is wrong."),
        ]  # fmt: skip

    return [
        _route("/v2", _server, Role.NOBODY, "This server", {200: "Its name and version."}, InferenceServer),
        _route("/v2/health/live", lambda: as_json(InferenceLive(live=True)), Role.NOBODY, "Live",
               {200: "This process responds."}, InferenceLive),
        _route("/v2/health/ready", partial(_ready, workers), Role.NOBODY, "Ready for inference",
               {200: "The server responds, and a worker is alive.", 400: "Not ready."}, InferenceReady),
        *under("/v2/models/<name>"),
        *under("/v2/models/<name>/versions/<version>"),
    ]  # fmt: skip


def _route(
    path: str, view: Callable[..., Response], role: Role, summary: str, answers: dict[int, str], reply: type
) -> Route:
    return Route("GET", path, view, role, summary, answers, GROUP, reply=reply, refusal=InferenceError)


def _server() -> Response:
    return as_json(InferenceServer("mlq", __version__, []))


def _ready(workers: AskedOnce[list[dict[str, str]]]) -> Response:
    if reason := lack(workers):
        raise Refused(400, reason)  # the protocol wants 4xx, which all its clients take for a no
    return as_json(InferenceReady(ready=True))


def _found(states: States, name: str, version: str | None) -> list[ModelState]:
    """All versions of the model, the one that is meant first."""
    of_name = default_first(one for one in states.answer() if one.info.name == name)
    found = sorted(of_name, key=lambda one: version not in (None, one.info.version))
    if not found or version not in (None, found[0].info.version):
        raise Refused(404, f"there is no model {name!r:.80}{f' of version {version!r:.80}' if version else ''}")
    return found


def _show(states: States, name: str, version: str | None = None) -> Response:
    found = _found(states, name, version)
    takes, gives = _forms(found[0].info)
    return as_json(
        ModelMetadata(name, [one.info.version for one in found], "mlq", _described(takes), _described(gives))
    )


def _described(form: Form) -> list[TensorMetadata]:
    return [TensorMetadata(one.name, one.datatype, one.shape) for one in form.columns.values()]


def _model_ready(states: States, name: str, version: str | None = None) -> Response:
    state = _found(states, name, version)[0]
    if state.unserved or state.state == "broken":
        raise Refused(400, f"model {name} is not ready: {state.unserved or state.why}")
    return as_json(ModelReady(name, ready=True))


def _forms(info: ModelInfo) -> tuple[Form, Form]:
    """The tensors of its inputs and outputs. Raises Refused."""
    try:
        return form_of(info.input, "input"), form_of(info.output, "output")
    except InputError as error:
        path = link(f"/models/{info.name}/predict")
        raise Refused(400, f"model {info.name} can't be used with tensors: {error}; use {path}") from None


class _Asked(NamedTuple):
    """A request whose jobs were posted."""

    info: ModelInfo
    outputs: Outputs
    jobs: list[Prediction]
    seconds: float
    id: str

    @property
    def names(self) -> str:
        """The ids of its jobs."""
        return _ranges([int(job.id) for job in self.jobs])


def _infer(mlq: MLQ, waiting: Waiting, name: str, version: str | None = None) -> Response:
    with ExitStack() as places:
        asked = _posted(mlq, mlq.model(name, version).version_for(request.args.get(bodies.STICKY)), waiting, places)
        bodies.drop()
        _wait(mlq, asked)
    return _answer(mlq, asked)


def _posted(mlq: MLQ, info: ModelInfo, waiting: Waiting, places: ExitStack) -> _Asked:
    """Post the rows. This is a separate function so that no frame holds them while the request waits."""
    body = _body()
    takes, gives = _forms(info)
    outputs = Outputs(gives, [one.name for one in body.outputs])
    seconds = _seconds(body.parameters)
    with _turns.take(request.content_length or bodies.JSON_LIMIT):
        rows = rows_of(takes, body.inputs)
    places.enter_context(waiting.places(1 + len(rows) // ROWS_OF_A_PLACE))
    with _bulk.take() if len(rows) > FEW else nullcontext():
        jobs = _submitted(mlq, info, rows)
    return _Asked(info, outputs, jobs, seconds, body.id)


def _body() -> InferenceRequest:
    if BINARY in request.headers:
        raise Refused(400, f"this server takes tensors as JSON only, not the binary extension (header {BINARY})")
    if request.mimetype in _FORMS:  # some clients name no type
        raise Refused(415, "send the body as JSON, with the header Content-Type: application/json")
    try:
        return bodies.shaped(bodies.json_of(request.get_data(cache=False)), InferenceRequest)
    except Refused as error:
        raise (Refused(400, str(error)) if error.status == 422 else error) from None


def _seconds(parameters: dict[str, Any]) -> float:
    """How long the client wants to wait: the parameter `timeout` in microseconds, as Triton's client sends it."""
    given = parameters.get("timeout")
    if type(given) is int and given > 0:
        return min(given, LONGEST * 1e6) / 1e6  # in this order: it may be too large for a float
    wanted = preferred()
    return WAIT if wanted is None else wanted


def _submitted(mlq: MLQ, info: ModelInfo, rows: list[Any]) -> list[Prediction]:
    """Post the rows, or none if one is wrong. Raises Refused."""
    check, messages = mlq._models.checker(info).check, []  # noqa: SLF001 - as in `Model.submit_many`
    with _turns.take(request.content_length or bodies.JSON_LIMIT):
        for number, row in enumerate(rows):
            try:
                messages.append(check(row))
            except ValidationError as error:
                raise Refused(400, f"row {number}: {error}") from None
            if number % PAGE == PAGE - 1:
                sleep(0)
    return [Prediction(mlq, one) for one in mlq.post_many(messages, **post_options(info, {}))]


def _wait(mlq: MLQ, asked: _Asked) -> None:
    """Wait until all rows have ended."""
    where = f"the jobs are {asked.names}, their outputs at {link(f'/models/{asked.info.name}/result/ID')}"
    try:
        for _ in mlq._completed(asked.jobs, asked.seconds, check_open):  # noqa: SLF001 - as `as_completed`
            pass
    except WaitTimeout:
        lane, workers = f"{asked.info.queue}:{asked.info.function}", mlq._recent_workers()  # noqa: SLF001 - as for a job
        lacking = missing(lane, workers, mlq.namespace)
        words = f"not all rows were ready within {asked.seconds:g} s{f': {lacking}' if lacking else ''}"
        raise Refused(504, f"{words}; {where}") from None
    except (UnknownJob, ServerError) as error:
        raise Refused(503, f"{error}; {where}") from None


def _ranges(ids: list[int]) -> str:
    """`7-31, 40`: the ids of a post mostly follow one another."""
    found: list[list[int]] = []
    for one in ids:
        if found and one == found[-1][-1] + 1:
            found[-1][1:] = [one]
        else:
            found.append([one])
    return ", ".join("-".join(map(str, one)) for one in found)


def _answer(mlq: MLQ, asked: _Asked) -> Response:
    """The outputs, as tensors."""
    jobs, keys = [checked(job.reference) for job in asked.jobs], mlq._keys  # noqa: SLF001 - in pages, and only if they are small
    asks = [[field_size(keys, job, "result") for job in page] for page in _pages(jobs)]
    size = sum(sum(mlq._shell.run_many(page)) for page in asks)  # noqa: SLF001
    if size > MOST_OUTPUT:
        raise Refused(413, f"the outputs of all rows have {size:,} bytes; {MOST_OUTPUT:,} are allowed: ask for each at "
                           f"{link(f'/models/{asked.info.name}/result/ID')}; the jobs are {asked.names}")  # fmt: skip
    with reading.take() if size > LARGE else nullcontext():
        keep(2 * size)  # as they are stored, and as text
        ended = list(zip(jobs, _ended(mlq, jobs), strict=True))
        with _turns.take(size):
            return _tensors(asked, ended)


def _tensors(asked: _Asked, ended: list[tuple[JobId, dict[str, bytes]]]) -> Response:
    for row, (job, fields) in enumerate(ended):
        asked.outputs.add(_value(row, job, fields))
        if row % PAGE == PAGE - 1:
            sleep(0)
    told = {"model_name": asked.info.name, "model_version": asked.info.version}
    told |= {"id": asked.id} if asked.id else {}
    return as_json(told | {"outputs": asked.outputs.tensors()}, in_turn=True)


def _pages(jobs: list[JobId]) -> Iterator[list[JobId]]:
    return (jobs[start : start + PAGE] for start in range(0, len(jobs), PAGE))


def _ended(mlq: MLQ, jobs: list[JobId]) -> list[dict[str, bytes]]:
    """The fields of the ended jobs, packed results included. Raises Refused if one has been changed since."""
    asks = [[outcome(mlq._keys, job) for job in page] for page in _pages(jobs)]  # noqa: SLF001 - as in `_answer`
    try:
        found = [fields for page in asks for fields in mlq._shell.run_many(page)]  # noqa: SLF001
        # a large result is kept elsewhere
        ended = [mlq._complete(job, fields) for job, fields in zip(jobs, found, strict=True)]  # noqa: SLF001
    except UnknownJob as error:
        raise Refused(503, f"{error}: ask again") from None
    complete = [fields for fields in ended if fields is not None]
    if len(complete) < len(jobs):
        raise Refused(503, "a job of this request has just been requeued: ask again")
    return complete


def _value(row: int, job: JobId, fields: dict[str, bytes]) -> Any:
    """The output of a row. Raises Refused if it has none."""
    try:
        return value_of(str(job), fields, original=False)
    except JobFailed as error:
        is_refusal, kind = isinstance(refused(error), ValidationError), error.error_type.rpartition(".")[2]
        status = 400 if is_refusal else 503 if kind == NotLoaded.__name__ else 500
        raise Refused(status, f"row {row}: {error}") from None
    except MLQError as error:  # it was cancelled, or is damaged
        raise Refused(500, f"row {row}: {error}") from None
