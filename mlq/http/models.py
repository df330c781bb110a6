"""The routes of models: list and describe them, predict, and give outputs. They speak JSON alone."""

from collections.abc import Callable
from functools import partial
from typing import Any, cast

from flask import Response, request

from mlq import MLQ, State, ValidationError
from mlq.client.model_states import ModelState, default_first
from mlq.client.models import post_options
from mlq.core import codec
from mlq.core.exceptions import faults_in
from mlq.core.identity import JobId, reference_of
from mlq.core.model import NAME
from mlq.deliveries import allowed
from mlq.http import answers, bodies
from mlq.http.answers import ALWAYS_JSON, as_json, link
from mlq.http.problems import Refused, checked, parts_of
from mlq.http.results import POLL, result_of
from mlq.http.routes import Parameter, Role, Route
from mlq.http.settings import Settings
from mlq.http.shapes import (
    HostedModel,
    HostedModels,
    LoadedModel,
    ModelFigures,
    ModelVersion,
    PostedPrediction,
    StateName,
)
from mlq.http.turns import AskedOnce, Turns
from mlq.http.waiting import Waiting, given_options, links, preferred, state_of
from mlq.ops.jobs import stored_field
from mlq.ops.stats import QueueStats, Stats

GROUP = "Models"
WHOLE = 50  # versions that are listed with their schemas; of more, the schemas are at /models/<name> alone
RETRIES = 10  # that a client may ask for: an input that makes a model run out of time must not come back for ever
_REFUSAL = f"{ValidationError.__module__}.{ValidationError.__qualname__}"
_turns = Turns(most_waiting=50)  # to check inputs, to decode outputs, and to describe models
View = Callable[..., Response]


def routes(mlq: MLQ, settings: Settings) -> list[Route]:
    """The routes for one queue."""
    waiting, trusts = Waiting(mlq), not settings.tokens or allowed.trusts_strangers()
    hosted, stats = AskedOnce(partial(MLQ.models, mlq)), AskedOnce(partial(MLQ.stats, mlq))
    predict = _speaking_json(partial(_predict, mlq, settings, waiting, trusts))
    show = _speaking_json(partial(_show, hosted, stats))
    result = _speaking_json(partial(_result, mlq, settings))
    posted = {200: "The output, if it was waited for.", 202: "The prediction was posted: its id, state and links.",
              400: "Not JSON.", 404: "No such model.", 413: "Too large.", 415: "Wrong content type.",
              422: "Wrong input, with all wrong fields; nothing was posted."}  # fmt: skip
    given = {200: "The output.", 202: "Not there yet.", 404: "No such prediction.", 409: "It failed: type and message.",
             410: "It was cancelled or deleted, or has expired.",
             422: "The model itself refused the input."}  # fmt: skip
    asked = (
        Parameter("Idempotency-Key", "header", "Within a day, the same post with the same key makes no second job."),
        Parameter("Prefer", "header", "`wait=5` waits up to 5 s for the output."),
        Parameter("webhook", "query", "A URL that gets a signed event when the prediction has ended."),
        Parameter("ttl", "query", "Seconds for which the output is kept; a day if left out.", {"type": "number"}),
    )

    def under(path: str) -> list[Route]:
        return [
            Route("GET", path, show, Role.READ, "Describe a model", {200: "Its versions.", 404: "No such model."},
                  GROUP, reply=HostedModel),
            Route("POST", f"{path}/predict", predict, Role.POST, "Predict", posted, GROUP, body=dict,
                  reply=PostedPrediction, parameters=asked, about="The body is the model's input."),
            Route("GET", f"{path}/result/<job_id>", result, Role.READ, "The output of a prediction", given, GROUP),
        ]  # fmt: skip

    listed = _speaking_json(partial(_list, hosted, stats))
    return [
        Route("GET", "/models", listed, Role.READ, "List models", {200: "All models."}, GROUP, reply=HostedModels),
        *under("/models/<name>"),
        *under("/models/<name>/versions/<version>"),
    ]


def _speaking_json(view: View) -> View:
    def speaking(**parts: str) -> Response:
        request.environ[ALWAYS_JSON] = True
        return view(**parts)

    return speaking


def _list(hosted: AskedOnce[list[ModelState]], stats: AskedOnce[Stats]) -> Response:
    states, queues = hosted.answer(), stats.answer().queues
    names = dict.fromkeys(state.info.name for state in states)
    if len(states) > WHOLE:
        states = [state._replace(info=state.info._replace(input={}, output={})) for state in states]
    return as_json(HostedModels([_described(name, states, queues) for name in names]))


def _show(
    hosted: AskedOnce[list[ModelState]], stats: AskedOnce[Stats], name: str, version: str | None = None
) -> Response:
    states = [one for one in hosted.answer() if one.info.name == name and version in (None, one.info.version)]
    if not states:
        raise Refused(
            404, f"no worker has ever hosted a model {name!r:.80}{f' of version {version!r:.80}' if version else ''}"
        )
    return as_json(_described(name, states, stats.answer().queues))


def _described(name: str, states: list[ModelState], queues: dict[str, QueueStats]) -> HostedModel:
    versions = [one for one in states if one.info.name == name]
    first = default_first(versions)[0]
    return HostedModel(
        name, first.info.about, first.state, [_version(one) for one in versions],
        {what: link(f"/models/{name}{path}") for what, path in (("self", ""), ("predict", "/predict"))},
        _figures(queues.get(first.info.queue)),
    )  # fmt: skip


def _version(state: ModelState) -> ModelVersion:
    info, base = state.info, link(f"/models/{state.info.name}/versions/{state.info.version}")
    return ModelVersion(
        info.version, info.about, state.state, state.why or None, state.unserved, info.input, info.output,
        [LoadedModel(one.worker, one.host, one.state, one.since, one.took, one.why or None) for one in state.processes],
        {"self": base, "predict": f"{base}/predict"},
    )  # fmt: skip


def _figures(queue: QueueStats | None) -> ModelFigures | None:
    if queue is None:
        return None
    succeeded = queue.attempts.get("succeeded", 0)
    failed = sum(number for outcome, number in queue.attempts.items() if outcome != "succeeded")
    mean = [histogram.seconds / histogram.total if histogram.total else None for histogram in (queue.wait, queue.run)]
    batch = queue.batched / queue.batches if queue.batches else None
    return ModelFigures(queue.waiting, queue.running, succeeded, failed, mean[0], mean[1], batch)


def _predict(
    mlq: MLQ,
    settings: Settings,
    waiting: Waiting,
    trusts: bool,  # noqa: FBT001 - as above
    name: str,
    version: str | None = None,
) -> Response:
    key = request.environ.get("HTTP_IDEMPOTENCY_KEY")
    job_id, warning = _submitted(mlq, name, version, trusts, key)
    bodies.drop()
    wanted = preferred()
    seconds = wanted if waiting.has_room() else None
    ended = {} if seconds is None else waiting.ended(job_id, seconds)
    if "result" in ended:
        answer = _output(ended["result"])
    elif ended:  # it failed, or its output is large
        answer = _result(mlq, settings, name, job_id)
    else:
        state = State.QUEUED if seconds is None and key is None else state_of(mlq, job_id)
        answer = _posted(name, job_id, state, warning)
    if seconds is not None:
        answer.headers["Preference-Applied"] = f"wait={seconds:g}"
    answer.headers["Location"] = _links(name, job_id)["result"]
    return answer


def _output(packed: bytes) -> Response:
    with _turns.take(len(packed)):
        answer = as_json(codec.unpack(packed), in_turn=True)
    answer.headers["MLQ-Job-State"] = str(State.SUCCEEDED)
    return answer


def _submitted(
    mlq: MLQ,
    name: str,
    version: str | None,
    trusts: bool,  # noqa: FBT001
    key: str | None,
) -> tuple[JobId, str | None]:
    """Post the prediction. This is a separate function so that no frame holds the input while the request waits."""
    inputs, options = bodies.inputs()
    given = given_options(options, trusts=trusts)
    info = mlq.model(name, version).info()
    longest = info.timeout
    if longest is not None and given.get("timeout", 0) > longest:  # else one request could keep a worker for ever
        raise Refused(422, f"timeout: an attempt of model {name} may take {longest:g} s, as its configuration says")
    if given.get("retries", 0) > RETRIES:
        raise Refused(422, f"retries: a prediction may be tried again {RETRIES} times")
    with _turns.take(request.content_length or bodies.JSON_LIMIT):
        message = mlq._models.checker(info).check(inputs)  # noqa: SLF001 - in a turn: large ones take long
    job = mlq.submit(message, **post_options(info, given), idempotency_key=key)
    return checked(job.reference), job.warning


def _posted(name: str, job_id: JobId, state: State | None, warning: str | None) -> Response:
    posted = PostedPrediction(str(job_id), str(job_id), cast("StateName | None", state), _links(name, job_id), warning)
    return as_json(posted, 202, {"Retry-After": POLL})


def _links(name: str, job_id: JobId) -> dict[str, str]:
    return links(job_id) | {"result": link(f"/models/{name}/result/{reference_of(job_id)}")}


def _result(mlq: MLQ, settings: Settings, name: str, job_id: str, version: str | None = None) -> Response:
    wanted = checked(job_id)

    def is_of_model(functions: Any) -> bool:
        function = functions[0] if functions and len(functions) == 1 else ""
        of_name, _, of_version = function.partition("@")
        return of_name == name and bool(NAME.fullmatch(of_version)) and version in (None, of_version)

    answer = result_of(mlq, settings, wanted, "result", "", is_of_model)
    if answer.status_code == 409 and answer.headers.get("MLQ-Job-State") == State.FAILED:
        return _refused_by_model(mlq, wanted) or answer
    return answer


def _refused_by_model(mlq: MLQ, job_id: JobId) -> Response | None:
    """The answer for an input that only the model could refuse, as for one that is refused before it is posted."""
    ops = [stored_field(mlq._keys, mlq._named(job_id), name) for name in ("error_type", "error", "error_state")]  # noqa: SLF001
    kind, words, state = (found[1] or b"" for found in mlq._shell.run_many(ops))  # noqa: SLF001
    if kind.decode("utf-8", "replace") != _REFUSAL:
        return None
    faults = faults_in({"error_state": state}, _REFUSAL)
    answer = answers.problem(422, words.decode("utf-8", "replace"), parts_of(faults))
    answer.headers["MLQ-Job-State"] = str(State.FAILED)
    return answer
