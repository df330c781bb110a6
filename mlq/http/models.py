"""The routes of models: list and describe them, predict, and give outputs. They speak JSON alone."""

from collections import defaultdict
from collections.abc import Callable
from functools import partial
from typing import Any, cast

from flask import Response, request

from mlq import MLQ, JobHandle, State, ValidationError
from mlq.client.model_states import LoadedIn, ModelState, default_first
from mlq.client.models import post_options
from mlq.core import codec
from mlq.core.exceptions import faults_in
from mlq.core.identity import JobId, reference_of
from mlq.core.model import NAME
from mlq.core.shadow import ShadowState
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
    ShadowFigures,
    StateName,
)
from mlq.http.turns import ALWAYS, AskedOnce, Turns, pausing
from mlq.http.waiting import Waiting, check_retries, given_options, is_queued, links, preferred, state_of
from mlq.ops.jobs import stored_field
from mlq.ops.stats import QueueStats, Stats

GROUP = "Models"
WHOLE = 50  # versions that are listed with their schemas; of more, the schemas are at /models/<name> alone
_REFUSAL = f"{ValidationError.__module__}.{ValidationError.__qualname__}"
_turns = Turns(most_waiting=50)  # to check inputs, to decode outputs, and to describe models
View = Callable[..., Response]


def routes(mlq: MLQ, settings: Settings) -> list[Route]:
    """The routes for one queue."""
    waiting, trusts = Waiting(mlq), not settings.tokens or allowed.trusts_strangers()
    hosted, stats, shadows = states(mlq), AskedOnce(partial(MLQ.stats, mlq)), AskedOnce(partial(MLQ.shadows, mlq))
    predict = _speaking_json(partial(_predict, mlq, settings, waiting, trusts))
    show = _speaking_json(partial(_show, hosted, stats, shadows))
    result = _speaking_json(partial(_result, mlq, settings))
    posted = {200: "The output, if it was waited for.", 202: "The prediction was posted: its id, state and links.",
              400: "Not JSON.", 404: "No such model.", 413: "Too large.", 415: "Wrong content type.",
              422: "Wrong input, with all wrong fields; nothing was posted.", 429: "The queue is full."}  # fmt: skip
    given = {200: "The output.", 202: "Not there yet.", 404: "No such prediction.", 409: "It failed: type and message.",
             410: "It was cancelled or deleted, or has expired.",
             422: "The model itself refused the input."}  # fmt: skip
    asked = (
        Parameter("Idempotency-Key", "header", "Within a day, the same post with the same key makes no second job."),
        Parameter("Prefer", "header", "`wait=5` waits up to 5 s for the output."),
        Parameter("webhook", "query", "A URL that gets a signed event when the prediction has ended."),
        Parameter("sticky", "query", "Of requests that name no version, those with the same text get the same one."),
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

    listed = _speaking_json(partial(_list, hosted, stats, shadows))
    return [
        Route("GET", "/models", listed, Role.READ, "List models", {200: "All models."}, GROUP, reply=HostedModels),
        *under("/models/<name>"),
        *under("/models/<name>/versions/<version>"),
    ]


def states(mlq: MLQ) -> AskedOnce[list[ModelState]]:
    """Asks for all models. Thousands of them take half a second to read, after which others have their turn."""

    def ask() -> list[ModelState]:
        with pausing():
            return mlq.models()

    return AskedOnce(ask)


def _speaking_json(view: View) -> View:
    def speaking(**parts: str) -> Response:
        request.environ[ALWAYS_JSON] = True
        return view(**parts)

    return speaking


def _list(
    hosted: AskedOnce[list[ModelState]], stats: AskedOnce[Stats], shadows: AskedOnce[list[ShadowState]]
) -> Response:
    states, queues, known = hosted.answer(), stats.answer().queues, shadows.answer()
    with _turns.take(ALWAYS if len(states) > WHOLE else 0):
        by_name: defaultdict[str, list[ModelState]] = defaultdict(list)
        for state in states:
            plain = state.info if len(states) <= WHOLE else state.info._replace(input={}, output={})
            by_name[plain.name].append(state._replace(info=plain))
        return as_json(HostedModels([_described(name, versions, queues, known) for name, versions in by_name.items()]))


def _show(
    hosted: AskedOnce[list[ModelState]], stats: AskedOnce[Stats], shadows: AskedOnce[list[ShadowState]],
    name: str, version: str | None = None,
) -> Response:  # fmt: skip
    states = [one for one in hosted.answer() if one.info.name == name and version in (None, one.info.version)]
    if not states:
        raise Refused(
            404, f"no worker has ever hosted a model {name!r:.80}{f' of version {version!r:.80}' if version else ''}"
        )
    queues, known = stats.answer().queues, shadows.answer()
    with _turns.take(ALWAYS if len(states) > WHOLE else 0):
        return as_json(_described(name, states, queues, known))


def _described(
    name: str, versions: list[ModelState], queues: dict[str, QueueStats], shadows: list[ShadowState]
) -> HostedModel:
    first = default_first(versions)[0]
    return HostedModel(
        name, first.info.about, first.state, [_version(one) for one in versions],
        {what: link(f"/models/{name}{path}") for what, path in (("self", ""), ("predict", "/predict"))},
        _figures(queues.get(first.info.queue)), next((_compared(one) for one in shadows if one.model == name), None),
    )  # fmt: skip


def _version(state: ModelState) -> ModelVersion:
    info, base = state.info, link(f"/models/{state.info.name}/versions/{state.info.version}")
    return ModelVersion(
        info.version, info.about, state.state, state.why or None, state.unserved, state.share, state.is_default,
        info.input, info.output,
        list(map(_loaded, state.processes)),
        {"self": base, "predict": f"{base}/predict"},
    )  # fmt: skip


def _loaded(one: LoadedIn) -> LoadedModel:
    return LoadedModel(
        one.worker, one.host, one.state, one.since, one.took, one.why or None, one.memory or None, one.device or None
    )  # fmt: skip


def _compared(one: ShadowState) -> ShadowFigures:
    return ShadowFigures(one.version, one.share, one.compared, one.different, one.failed, one.dropped)


def _figures(queue: QueueStats | None) -> ModelFigures | None:
    if queue is None:
        return None
    succeeded = queue.attempts.get("succeeded", 0)
    failed = sum(number for outcome, number in queue.attempts.items() if outcome != "succeeded")
    mean = [histogram.seconds / histogram.total if histogram.total else None for histogram in (queue.wait, queue.run)]
    batch = queue.batched / queue.batches if queue.batches else None
    load = queue.load_seconds / queue.loads if queue.loads else None
    return ModelFigures(
        queue.waiting, queue.running, succeeded, failed, mean[0], mean[1], batch, queue.loads, load, queue.evictions
    )


def _predict(
    mlq: MLQ,
    settings: Settings,
    waiting: Waiting,
    trusts: bool,  # noqa: FBT001 - as above
    name: str,
    version: str | None = None,
) -> Response:
    key = request.environ.get("HTTP_IDEMPOTENCY_KEY")
    job, asked, queued = _submitted(mlq, name, version, trusts, key)
    job_id = checked(job.reference)
    bodies.drop()
    wanted = preferred()
    seconds = wanted if waiting.has_room() else None
    ended = {} if seconds is None else waiting.ended(job_id, seconds)
    if "result" in ended:
        answer = _output(ended["result"])
    elif ended:  # it failed, or its output is large
        answer = _result(mlq, settings, name, job_id)
    else:
        state = State.QUEUED if seconds is None and queued else state_of(mlq, job_id)
        answer = _posted(name, asked, job, job_id, state)
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
) -> tuple[JobHandle[Any], str, bool]:
    """Post the prediction; returns a handle on it, the version that it is for, and if it is known to be queued.

    This is a separate function so that no frame holds the input while the request waits.
    """
    inputs, options = bodies.inputs()
    given = given_options(options, trusts=trusts)
    info = mlq.model(name, version).version_for(
        request.args.get(bodies.STICKY, key)
    )  # a repeated post has the same key
    longest = info.timeout
    if longest is not None and given.get("timeout", 0) > longest:  # else one request could keep a worker for ever
        raise Refused(422, f"timeout: an attempt of model {name} may take {longest:g} s, as its configuration says")
    check_retries(given)
    with _turns.take(request.content_length or bodies.JSON_LIMIT):
        message = mlq._models.checker(info).check(inputs)  # noqa: SLF001 - in a turn: large ones take long
    job = mlq.submit(message, **post_options(info, given), idempotency_key=key)
    return job, info.version, is_queued(given, key)


def _posted(name: str, version: str, job: JobHandle[Any], job_id: JobId, state: State | None) -> Response:
    known, paths = cast("StateName | None", state), _links(name, job_id)
    posted = PostedPrediction(str(job_id), str(job_id), known, version, paths, job.warning, job.new)
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
