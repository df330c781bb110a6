"""The routes of batches, in the form of OpenAI's API: begin, list, show, cancel. Each is one job."""

import json
import re
import time
from functools import partial
from typing import Any

from flask import Response

from mlq import MLQ, InputError, ServerError, State, UnknownJob, WrongState
from mlq.batches.batch import FINAL, WINDOW, Wanted
from mlq.batches.batch import Batch as KeptBatch
from mlq.batches.checking import LONGEST
from mlq.batches.store import BATCH, LIFETIME, Store, made_at
from mlq.core.file_job import own_options
from mlq.core.job import is_finished
from mlq.core.model import ModelInfo
from mlq.files.batch_rows import CHAT
from mlq.http import bodies, repeated
from mlq.http.answers import OPENAI, as_json
from mlq.http.file_shapes import Batch, Batches, Counts, LineFault, LineFaults, NewBatch, Refusal
from mlq.http.problems import Refused
from mlq.http.repeated import Promised
from mlq.http.routes import Parameter, Role, Route
from mlq.http.served_files import GROUP, LISTS, Asked, ServedFiles

PAGE, MOST = 20, 100  # batches of one page
JOB_KEPT = 86400.0  # seconds for which its job is kept after its end; the batch itself is kept as long as files
_ENDPOINT = re.compile(r"/models/(?P<name>[^/]+)(/versions/(?P<version>[^/]+))?/predict")


def routes(mlq: MLQ, files: ServedFiles) -> list[Route]:
    """The routes for one queue."""
    base = f"{OPENAI}/batches"
    one = {404: "No such batch, or this service keeps no files."}
    key = Parameter(
        "Idempotency-Key", "header", "Within a day, the same request with the same key begins no second one."
    )
    listed = (
        Parameter("after", "query", "The id behind which the page begins: `last_id` of the one before."),
        Parameter("limit", "query", f"Batches per page, {MOST} at most.", {"type": "integer"}),
    )
    return [
        Route("POST", base, partial(_begin, mlq, files), Role.POST, "Begin a batch",
              {200: "The batch.", 400: "No JSON, or the file or the endpoint can't be used.", 413: "Too large.",
               415: "Wrong content type.", 422: "Wrong shape."} | one,
              GROUP, NewBatch, reply=Batch, refusal=Refusal, parameters=(key,),
              about="Its lines are checked by its job: if one is no request to `endpoint`, or two have one custom_id, "
              "the batch is `failed`."),
        Route("GET", base, partial(_list, mlq, files), Role.READ, "List batches, newest first", {200: "A page."} | one,
              GROUP, reply=Batches, refusal=Refusal, parameters=listed),
        Route("GET", f"{base}/<batch_id>", partial(_show, mlq, files), Role.READ, "Show a batch",
              {200: "The batch."} | one, GROUP, reply=Batch, refusal=Refusal),
        Route("POST", f"{base}/<batch_id>/cancel", partial(_cancel, mlq, files), Role.POST, "Cancel a batch",
              {200: "It ends soon, and keeps what was predicted.", 409: "It has ended."} | one, GROUP, reply=Batch,
              refusal=Refusal),
    ]  # fmt: skip


def _begin(mlq: MLQ, files: ServedFiles) -> Response:
    asked = bodies.decoded(NewBatch)
    store, before = files.store, repeated.found(mlq, asked)
    if before is None:
        before = repeated.promised(mlq, Promised.of(asked, _wanted(mlq, files, asked)), asked)
    batch = files.aside(KeptBatch.find, store, before.id)
    if batch is None:
        batch = files.aside(KeptBatch.add, store, before.id, before.wanted)
    if batch.wanted.job is None:
        try:
            job = _post(mlq, batch.id)
        except ServerError:
            files.aside(batch.remove)
            raise
        files.aside(partial(batch.want, job=job))
    return as_json(_shown(mlq, batch))


def _wanted(mlq: MLQ, files: ServedFiles, asked: NewBatch) -> Wanted:
    """What a new batch is about. Raises Refused."""
    source = files.aside(files.store.find, asked.input_file_id, time.time())
    if source is None:
        raise _wrong("input_file_id", f"there is no file {asked.input_file_id:.100}")
    files.check_room(source.size)  # what it writes may well take as much
    info = _model_of(mlq, files, asked)
    lifetime = asked.output_expires_after.seconds if asked.output_expires_after else LIFETIME
    return Wanted.made(asked.input_file_id, asked.endpoint, info.name, info.version, asked.metadata, lifetime)


def _model_of(mlq: MLQ, files: ServedFiles, asked: NewBatch) -> ModelInfo:
    """The version of a model that a batch is for. Raises Refused."""
    named, is_chat = _ENDPOINT.fullmatch(asked.endpoint), asked.endpoint == CHAT
    if named is None and not is_chat:
        reason = f"the endpoint must be /models/<name>/predict or {CHAT}, not {asked.endpoint:.200}"
        raise _wrong("endpoint", reason)
    field = "input_file_id" if is_chat else "endpoint"
    name, version = files.aside(_chat_model, files.store, asked.input_file_id) if named is None else named.group(1, 2)
    try:
        info = mlq.model(name, version).version_for()
    except InputError as error:
        raise _wrong(field, str(error)) from None
    if is_chat and not info.chat:
        raise _wrong(field, f"model {info.name} does not chat: its class must say  chat = True")
    return info


def _chat_model(store: Store, name: str) -> tuple[str, str | None]:
    """The name and the version of the model that the first line of a file names. Raises Refused."""
    with store.open(name) as opened:
        first = opened.readline(LONGEST)
    try:
        name, at, version = json.loads(first)["body"]["model"].partition("@")
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        reason = 'the first line of the file names no model: {"body": {"model": NAME, ...}, ...}'
        raise _wrong("input_file_id", reason) from None
    return name, version if at else None


def _post(mlq: MLQ, batch_id: str) -> str:
    """Post the job of a batch; its reference."""
    wanted = own_options(None, {"ttl": JOB_KEPT})
    posted = mlq._post_one(wanted, wanted.body({"batch": batch_id}), batch_id)  # noqa: SLF001 - users can't
    return posted.id.reference


def _wrong(field: str, reason: str) -> Refused:
    return Refused(400, reason, [{"detail": reason, "pointer": f"#/{field}"}])


def _found(files: ServedFiles, batch_id: str) -> KeptBatch:
    found = files.aside(KeptBatch.find, files.store, batch_id)
    if found is None:
        raise Refused(404, f"no batch {batch_id:.100}: it may have expired")
    return found


def _show(mlq: MLQ, files: ServedFiles, batch_id: str) -> Response:
    return as_json(_shown(mlq, _found(files, batch_id)))


def _list(mlq: MLQ, files: ServedFiles) -> Response:
    asked = Asked.of_query(PAGE, MOST)
    with LISTS.take():
        found = files.aside(_page, files, asked)
    page = [_shown(mlq, one) for one in found[: asked.limit]]
    return as_json(Batches(page, len(found) > asked.limit, page[0].id if page else None, page[-1].id if page else None))


def _page(files: ServedFiles, asked: Asked) -> list[KeptBatch]:
    """The batches of a page, and one more if there are more."""
    ids = asked.of(files.store.ids(BATCH, time.time()))[: asked.limit + 1]
    return [one for one in files.each(partial(KeptBatch.find, files.store), ids) if one is not None]


def _cancel(mlq: MLQ, files: ServedFiles, batch_id: str) -> Response:
    batch = _found(files, batch_id)
    shown = _shown(mlq, batch)
    if shown.status in FINAL:
        raise Refused(409, f"batch {batch_id} has ended: it is {shown.status}")
    if batch.wanted.cancelling is None:
        files.aside(partial(batch.want, cancelling=int(time.time())))
    if batch.wanted.job is not None and not batch.state:  # its job has not begun
        try:
            if mlq.get_state(batch.wanted.job) == State.QUEUED:
                mlq.cancel(batch.wanted.job)
        except (UnknownJob, WrongState):  # it begins at this moment, and will see what is wanted
            pass
    return as_json(_shown(mlq, _found(files, batch_id)))


def _shown(mlq: MLQ, batch: KeptBatch) -> Batch:
    """A batch as it is answered: as its job wrote it down, or as it is without its job."""
    wanted, state = batch.wanted, batch.state
    status: Any
    status, more = (batch.status, {}) if batch.status in FINAL else _unfinished(mlq, batch)
    times = {name: state.get(name) for name in Batch.__struct_fields__ if name.endswith("_at") and name in state}
    faults = more.pop("errors", None) or [LineFault(**one) for one in state.get("errors", ())]
    made = made_at(batch.id)
    return Batch(
        batch.id, wanted.endpoint, wanted.input, status, made, made + WINDOW, Counts(**state.get("counts") or {}),
        f"{wanted.model}@{wanted.version}", LineFaults(faults) if faults else None, state.get("output_file_id"),
        state.get("error_file_id"), metadata=wanted.metadata, job=_job(batch),
        **{"cancelling_at": wanted.cancelling} | times | more,
    )  # fmt: skip


def _job(batch: KeptBatch) -> str | None:
    """The reference of a batch's job, as the service wrote it down, or else the job itself."""
    return batch.wanted.job or batch.state.get("job")


def _unfinished(mlq: MLQ, batch: KeptBatch) -> tuple[str, dict[str, Any]]:
    """The status of a batch whose job has not written down its end, and what is different because of that."""
    wanted, now, job = batch.wanted, time.time(), _job(batch)
    try:
        info = mlq.get_info(job) if job is not None else {"state": State.QUEUED}
    except UnknownJob as error:
        return "failed", {"failed_at": int(now), "errors": [LineFault("job_lost", str(error))]}
    ended = int(info.get("processing_finished") or now)
    if info["state"] == State.CANCELLED:
        return "cancelled", {"cancelled_at": ended}
    if info["state"] == State.FAILED:
        return "failed", {"failed_at": ended, "errors": [LineFault("job_failed", info["error"] or info["reason"])]}
    if not is_finished(info["state"]) and not batch.state and now > batch.deadline:
        return "expired", {"expired_at": int(batch.deadline)}
    return batch.status if wanted.cancelling is None else "cancelling", {}
