"""The routes of jobs: post, show, list, cancel, requeue, delete."""

from collections.abc import Callable, Mapping
from contextlib import nullcontext
from functools import partial
from typing import Any, cast
from urllib.parse import urlencode

from flask import Response, request

from mlq import MLQ, JobHandle, State
from mlq.client.unserved import why_waiting
from mlq.core.checks import functions_of, queue_of, share_of
from mlq.core.identity import reference_of
from mlq.core.job import is_finished
from mlq.core.job_options import options_of
from mlq.core.progress import Progress
from mlq.deliveries import allowed
from mlq.http import bodies
from mlq.http.answers import as_json, link, plain_text, wants_json
from mlq.http.lookups import looked_up, progress_text
from mlq.http.problems import Refused, checked
from mlq.http.results import POLL, result_of
from mlq.http.routes import Parameter, Role, Route
from mlq.http.settings import Settings
from mlq.http.shapes import Count, Job, Line, NewJob, NewJobs, Page, Posted, PostedMany, StateName
from mlq.http.turns import AskedOnce, Places
from mlq.http.waiting import Waiting, given_options, is_number, is_queued, links, preferred, state_of
from mlq.ops import jobs as job_ops
from mlq.ops.lists import Listed

PAGE, MOST = 50, 500  # jobs of one page
_NUMBER = {"type": "integer"}
FEW = 100  # jobs of a post that waits for no other
LINKS = 10_000  # of the jobs of one post to those that they come after: each costs the server 3 us and 100 bytes
REPEATED = 16 * 1024 * 1024  # bytes of options in one post, each job's counted: a short request could take gigabytes
# Larger ones at a time, and changes, each of which may end or requeue thousands of others: clients that do nothing else
# would keep the server busy.
_bulk, _changing = Places(4, most_waiting=20), Places(2, most_waiting=50)
_listing = Places(2, most_waiting=20)  # a page takes the server up to 10 ms, and this process as long
_STATES = [str(state) for state in State if state is not State.GONE]
_SHOWN = ("id", "state", "queue", "functions", "progress", "posted", "started", "finished", "due", "expires",
          "priority", "share", "key", "worker", "attempts", "errors", "losses", "error", "error_type", "reason",
          "after", "on_failure", "then", "root", "becomes", "gave", "cause", "steps", "schedule", "tick")  # fmt: skip


def routes(mlq: MLQ, settings: Settings) -> list[Route]:
    """The routes for one queue."""
    waiting, trusts = Waiting(mlq), not settings.tokens or allowed.trusts_strangers()
    one = {404: "No such job.", 410: "The job was deleted, or has expired."}
    return [
        Route("POST", "/jobs", partial(_post, mlq, settings, waiting, trusts), Role.POST, "Post a job",
              {200: "The id, as text; or the result, if it was waited for.",
               202: "It was posted, or if `new` is false, was there; but its result is not there yet.",
               413: "Too large.", 422: "Wrong shape, or the idempotency key of another post."} | _COMMON,
              body=NewJob, example={"msg": {"epochs": 5}, "functions": ["train"]},
              body_kinds=("application/json", "multipart/form-data", "application/octet-stream"),
              reply=Posted, about=_POSTING,
              parameters=(Parameter("Idempotency-Key", "header", "Within a day, the same post with the same key makes "
                                    "no second job."),
                          Parameter("Prefer", "header", "`wait=10` waits up to 10 s for the result."))),
        Route("POST", "/jobs/bulk", partial(_post_many, mlq, trusts), Role.POST, "Post many jobs with the same options",
              {202: "All were posted.", 422: "Wrong shape."} | _COMMON,
              body=NewJobs, example={"msgs": [{"my_data": 5}, {"my_data": 6}], "functions": ["double"]},
              reply=PostedMany),
        Route("GET", "/jobs", partial(_list, mlq), Role.READ, "List jobs, newest first", {200: "A page."}, reply=Page,
              parameters=(Parameter("state", "query", "Only jobs in this state.", {"enum": _STATES}),
                          Parameter("queue", "query", "Only jobs of this queue."),
                          Parameter("function", "query", "Only jobs that name this listener."),
                          Parameter("limit", "query", f"Jobs per page, {MOST} at most.", _NUMBER),
                          Parameter("cursor", "query", "Where the page begins, from `next` of the previous one."))),
        Route("GET", "/jobs/count", partial(_count, AskedOnce(partial(MLQ.counts, mlq))), Role.READ, "Count jobs",
              {200: "The number of jobs that wait or run; JSON has more counts."}, reply=Count),
        Route("GET", "/jobs/<job_id>", partial(_show, mlq), Role.READ, "Show a job",
              {200: "The job without its message and result.", 304: "Nothing has changed since the ETag."} | one,
              reply=Job, parameters=(Parameter("If-None-Match", "header", "The ETag of an earlier response."),)),
        Route("GET", "/jobs/<job_id>/progress", partial(_progress, mlq), Role.READ, "Show only the progress",
              {200: "In words, or the last reported value."} | one),
        Route("DELETE", "/jobs/<job_id>", partial(_change, mlq, MLQ.delete), Role.POST,
              "Delete a job that does not run", {204: "It is gone.", 409: "It runs: cancel it first."} | one),
        Route("POST", "/jobs/<job_id>/cancel", partial(_change, mlq, MLQ.cancel), Role.POST, "Cancel a job",
              {202: "It is cancelled; if it runs, it is stopped.", 409: "It has ended otherwise."} | one, reply=Job),
        Route("POST", "/jobs/<job_id>/requeue", partial(_change, mlq, MLQ.requeue), Role.POST,
              "Requeue a failed or cancelled job", {202: "It waits again.", 409: "It is in another state."}
              | one, reply=Job),
    ]  # fmt: skip


_COMMON = {
    400: "Not JSON.",
    404: "No such job in `after`.",
    409: "A job in `after` has ended without a result.",
    415: "Wrong content type.",
    429: "The queue is full.",
}
_POSTING = (
    "The response is the id as plain text; with `Accept: application/json` it is 202 with the job's links. Send a "
    "message of bytes with its own content type (`image/png`), or as the file `msg` of a form; its options are then "
    "parameters of the query, or fields of the form."
)


def _post(mlq: MLQ, settings: Settings, waiting: Waiting, trusts: bool) -> Response:  # noqa: FBT001 - a view
    key = request.environ.get("HTTP_IDEMPOTENCY_KEY")  # `request.headers` would take 5 us
    job, queued = _submitted(mlq, trusts, key)
    job_id = checked(job.reference)
    bodies.drop()
    wanted = preferred()
    seconds = wanted if waiting.has_room() else None
    if seconds is not None:
        state = waiting.state(job_id, seconds)
    else:
        state = State.QUEUED if queued or not wants_json() else state_of(mlq, job_id)
    if seconds is not None and state is not None and is_finished(state):
        answer = result_of(mlq, settings, job_id, "result", "")
    else:
        answer = _posted(job, job_id, state, 200 if wanted is None else 202)
    if seconds is not None:
        answer.headers["Preference-Applied"] = f"wait={seconds:g}"
    if wanted is not None or answer.status_code == 202:  # else the body is the id, and the header would take 15 us
        answer.headers["Location"] = link(f"/jobs/{reference_of(job_id)}")
    return answer


def _submitted(mlq: MLQ, trusts: bool, key: str | None) -> tuple[JobHandle[Any], bool]:  # noqa: FBT001
    """Post the job; returns a handle on it, and whether it is known to be queued.

    This is a separate function so that no frame holds the message while the request waits.
    """
    given = given_options(bodies.new_job(), trusts=trusts)
    with _bulk.take() if len(given.get("after", ())) > FEW else nullcontext():
        job = mlq.submit(given.pop("msg", None), **given, idempotency_key=key)
    return job, is_queued(given, key)


def _posted(job: JobHandle[Any], job_id: str, state: State | None, plain: int) -> Response:
    """The answer without a result. `plain`: the status of plain text; after a wait, 200 would look like a result."""
    if wants_json():
        posted = Posted(str(job_id), cast("StateName | None", state), links(job_id), job.warning, job.new)
        return as_json(posted, 202, {"Retry-After": POLL})
    answer = plain_text(job_id, plain)
    if job.warning:
        answer.headers["MLQ-Warning"] = job.warning.encode("ascii", "backslashreplace").decode()
    if not job.new:
        answer.headers["MLQ-New"] = "false"
    return answer


def _post_many(mlq: MLQ, trusts: bool) -> Response:  # noqa: FBT001
    given = given_options(bodies.decoded(NewJobs), trusts=trusts)
    msgs = given.pop("msgs")
    others = {name: value for name, value in given.items() if name not in ("callback", "functions")}
    options = options_of(given.get("callback"), given.get("functions"), others)
    if len(msgs) * len(options.after or ()) > LINKS:
        raise Refused(422, f"after: jobs times the jobs that they come after may be {LINKS:,} in one request")
    if len(msgs) * options.size > REPEATED:
        raise Refused(422, f"each job stores the options: in one request, that may be {REPEATED:,} bytes")
    with _bulk.take() if len(msgs) * (1 + len(options.after or ())) > FEW else nullcontext():
        ids = mlq.post_many(msgs, **given)
    return as_json(PostedMany(ids), 202)


def _count(asked: AskedOnce[job_ops.Counts]) -> Response:
    now = asked.answer()
    if wants_json():
        return as_json(Count(now.waiting, now.scheduled, now.running, now.dead, now.blocked))
    return plain_text(str(now.waiting + now.scheduled + now.running + now.blocked))


def _progress(mlq: MLQ, job_id: str) -> Response:
    return plain_text(progress_text(mlq, checked(job_id)))


def _show(mlq: MLQ, job_id: str) -> Response:
    answer = _job(mlq, checked(job_id))
    answer.add_etag(weak=True)
    answer.headers["Cache-Control"] = "no-cache"
    answer.make_conditional(request)
    return answer


def _job(mlq: MLQ, job_id: str, status: int = 200) -> Response:
    wanted, keys = mlq._named(job_id), mlq._keys  # noqa: SLF001 - only HTTP asks both in one round trip
    workers = mlq._recent_workers()  # noqa: SLF001 - read once a second, and before the turn in which replies are decoded
    with looked_up(mlq, job_ops.info(keys, wanted), job_ops.place(keys, wanted)) as (info, place):
        found, waits = info(), None
        if found["state"] in (State.QUEUED, State.BLOCKED):
            waits = place()
        told = {name: found[name] for name in _SHOWN} | {
            "position": waits and waits.ahead,
            "unserved": waits and why_waiting(waits, workers, mlq.namespace),
            "links": _links(job_id, found),
        }
        return as_json(told, status, in_turn=True)


def _links(job_id: str, found: Mapping[str, Any]) -> dict[str, str]:
    """The paths of its parts; that of the tree if there is more to see there than this job."""
    paths = links(job_id)
    is_more = any(found[name] for name in ("steps", "root", "after"))
    return paths | ({"tree": f"{paths['self']}/tree"} if is_more else {})


def _change(mlq: MLQ, change: Callable[[MLQ, str], None], job_id: str) -> Response:
    wanted = checked(job_id)
    with _changing.take():
        change(mlq, wanted)
    if request.method == "DELETE":
        return Response(status=204)
    return _job(mlq, wanted, 202) if wants_json() else plain_text("ok", 202)


def _list(mlq: MLQ) -> Response:
    state, limit, cursor = (request.args.get(name, "") for name in ("state", "limit", "cursor"))
    if state and state not in _STATES:
        raise Refused(400, f"state must be one of {', '.join(_STATES)}, not {state:.80}")
    if limit and not (is_number(limit) and 1 <= int(limit) <= MOST):
        raise Refused(400, f"limit must be a number from 1 to {MOST}, not {limit:.80}")
    queue, function = request.args.get("queue"), request.args.get("function")
    with _listing.take():
        found, after = mlq.list_jobs(State(state) if state else None, cursor, int(limit or PAGE))
        lines = [
            _line(one)
            for one in found
            if queue in (None, queue_of(one.lane)) and (function is None or function in functions_of(one.lane))
        ]
        return as_json(Page(lines, after and _next(after)))


def _line(one: Listed) -> Line:
    progress = one.progress._asdict() if isinstance(one.progress, Progress) else one.progress
    return Line(one.id, cast("StateName", one.state), queue_of(one.lane), sorted(functions_of(one.lane)), one.posted,
                one.started, one.finished, one.took, one.worker, one.attempts, one.errors, one.losses,
                one.reason, progress, share_of(one.lane))  # fmt: skip


def _next(cursor: str) -> str:
    return link("/jobs?" + urlencode({**request.args.to_dict(), "cursor": cursor}))
