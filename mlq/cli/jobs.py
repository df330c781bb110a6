"""Commands on jobs that were posted: job, jobs, cancel, redeliver, delete."""

import itertools
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any

import click

from mlq import MLQ, JobError, MLQError, State
from mlq.cli import show
from mlq.cli.base import OTHER, Settings, json_option, report, with_settings
from mlq.client.unserved import can_serve, missing
from mlq.core.checks import functions_of, queue_of, share_of
from mlq.core.progress import Progress
from mlq.ops.lists import Listed
from mlq.system import terminal

STATES = tuple(state.value for state in State if state is not State.GONE)
FIRST_NAMES = (
    "timestamp",
    "processing_started",
    "processing_finished",
    "retries",
)  # of the first MLQ; JSON has the usual names


@click.command("job")
@click.argument("job_id", metavar="ID")
@json_option
@with_settings
def one_job(settings: Settings, job_id: str, *, as_json: bool) -> None:
    """Show everything about a job."""
    mlq = settings.queue()
    job = mlq.get_job(job_id)
    waits = job["state"] in (State.QUEUED, State.BLOCKED)
    job["unserved"] = mlq.missing(job_id) if waits else None
    job["position"] = mlq.position(job_id) if waits else None
    if as_json:
        show.emit_json({name: value for name, value in job.items() if name not in FIRST_NAMES})
        return
    show.described(_description(job))
    if len(job["attempts"]) > 1:
        terminal.write()
        heads = ("ATTEMPT", "STARTED", "TOOK", "WORKER", "REASON", "ERROR")
        show.table(heads, map(_run, job["attempts"]), whole=heads[:3], less=("WORKER",))
    if job["deliveries"]:
        terminal.write()
        show.table(("DELIVERY", "TRY", "AT", "OUTCOME", "NEXT"), map(_try, job["deliveries"]))
    if job["traceback"]:
        terminal.write(f"\n{job['traceback'].rstrip()}")


def _run(run: dict[str, Any]) -> tuple[object, ...]:
    took = show.span(run["finished"] - run["started"]) if run["started"] and run["finished"] else None
    return run["attempt"], show.short_moment(run["started"]), took, run["worker"], run["reason"], run["error"]


def _error(failed: dict[str, Any]) -> str:
    return show.error_line(failed["error_type"] or "", failed["error"])


def _try(one: dict[str, Any]) -> tuple[object, ...]:
    return one["kind"], one["try"], show.moment(one["at"]), one["error"] or "sent", show.moment(one["next"])


def _description(job: dict[str, Any]) -> Iterable[tuple[str, object]]:
    lacking = f" ({job['unserved']})" if job["unserved"] else ""
    started, finished = job["started"], job["finished"]
    yield "id", job["id"]
    yield "state", f"{job['state']}{lacking}"
    yield "jobs ahead", f"about {job['position']}" if job["share"] and job["position"] else job["position"]
    yield "queue", job["queue"]
    yield "priority", job["priority"] or None
    yield "key", job["key"]
    yield "share", job["share"]
    yield "functions", job["functions"] and ", ".join(sorted(job["functions"]))
    yield "message", show.brief(job["msg"])
    yield "callback", job["callback"]
    yield "webhook", job["webhook"]
    yield "schedule", job["schedule"] and f"{job['schedule']}, for {show.moment(job['tick'])}"
    yield "posted", show.moment(job["posted"])
    yield "started", show.moment(started)
    yield "finished", show.moment(finished)
    yield "took", show.span(finished - started) if started and finished else None
    yield "worker", job["worker"]
    yield "runs", show.runs(len(job["attempts"]), job["errors"], job["losses"]) if len(job["attempts"]) > 1 else None
    yield from _pipeline(job)
    yield "progress", _progress(job["progress"]) if job["state"] in (State.RUNNING, State.BLOCKED) else None
    yield "short result", None if job["short_result"] == job["result"] else show.brief(job["short_result"])
    yield "result", None if job["error"] else show.brief(job["result"])
    yield "reason", job["reason"]
    if job["error"] is None:
        yield "last error", next((_error(run) for run in reversed(job["attempts"]) if run["error"]), None)
    else:
        yield "error", _error(job)
    yield "next run" if job["attempts"] else "runs at", show.moment(job["due"])
    yield "expires at", show.moment(job["expires"])


def _pipeline(job: dict[str, Any]) -> Iterable[tuple[str, object]]:
    yield "after", job["after"] and ", ".join(job["after"])
    yield "on failure", job["on_failure"]
    yield "then", job["then"] and ", ".join(job["then"])
    yield "step of", job["root"]
    yield "becomes", job["becomes"]
    yield "result of", job["gave"]
    yield "because of", job["cause"]
    yield "steps", f"{job['steps']:,} (mlq tree {job['id']} shows them)" if job["steps"] else None


def _progress(value: Any) -> str | None:
    return str(value) if isinstance(value, Progress) else show.brief(value)


@click.command("jobs")
@click.option("--state", type=click.Choice(STATES), help="Only jobs in this state.")
@click.option("--queue", metavar="NAME", help="Only jobs of this queue.")
@click.option("--function", metavar="NAME", help="Only jobs that name this listener.")
@click.option("--limit", type=click.IntRange(min=1), default=50, show_default=True, metavar="N", help="At most N jobs.")
@json_option
@with_settings
def many_jobs(
    settings: Settings, /, state: str | None, queue: str | None, function: str | None, limit: int, *, as_json: bool
) -> None:
    """List jobs, newest first.

    TOOK is how long the last run took, or has been going on; RUNS counts all runs, with those that failed or were lost.
    """
    mlq = settings.queue()
    every = mlq.jobs(State(state) if state else None)
    wanted = (
        job for job in every
        if queue in (None, queue_of(job.lane)) and (function is None or function in functions_of(job.lane))
    )  # fmt: skip
    found = list(itertools.islice(wanted, limit))
    workers = mlq.workers()
    if as_json:
        show.emit_json([_listed(job, workers, mlq.namespace) for job in found])
        return
    if not found:
        report(f"no such jobs in namespace {mlq.namespace!r}" if queue or function or state else
               f"no jobs in namespace {mlq.namespace!r}")  # fmt: skip
        return
    heads = ("ID", "STATE", "QUEUE", "FUNCTIONS", "POSTED", "TOOK", "PROGRESS", "RUNS", "WORKER")
    tells_nothing = {
        "QUEUE": len({queue_of(job.lane) for job in found}) == 1,
        "PROGRESS": all(job.progress is None for job in found),
        "RUNS": all(job.attempts < 2 for job in found),
    }
    less = ["WORKER", *(head for head, nothing in tells_nothing.items() if nothing), "POSTED"]
    whole = ("ID", "STATE", "TOOK")
    show.table(heads, (_row(job, workers) for job in found), whole=whole, less=less)
    if len(found) == limit:
        others = "" if state else ", and --state running those that run"
        report(f"these are the newest {limit}; --limit shows more{others}")
    if any(job.state == State.FAILED for job in found):
        report("mlq job ID shows why a job failed")


def _listed(job: Listed, workers: list[dict[str, str]], namespace: str) -> dict[str, Any]:
    """The names are those of `GET /jobs`, too."""
    fields = {name: value for name, value in job._asdict().items() if name not in {"lane", "age"}}
    fields |= {"queue": queue_of(job.lane), "functions": sorted(functions_of(job.lane)), "share": share_of(job.lane)}
    return fields | {"unserved": missing(job.lane, workers, namespace) if job.state == State.QUEUED else None}


def _row(job: Listed, workers: list[dict[str, str]]) -> tuple[object, ...]:
    stranded = job.state == State.QUEUED and not any(can_serve(worker, job.lane) for worker in workers)
    note = " (no worker)" if stranded else f" ({job.reason})" if job.reason not in (None, "error") else ""
    return (
        job.id,
        show.state(job.state, note),
        queue_of(job.lane),
        ", ".join(sorted(functions_of(job.lane))),
        show.short_moment(job.posted),
        show.span(job.took),
        _progress(show.rounded(job.progress)),
        show.runs(job.attempts, job.errors, job.losses),
        job.worker,
    )


def each(job_ids: Sequence[str], change: Callable[[str], str | None], done: str) -> None:
    """Apply `change` to each job and write what it returns; failures are reported, and make the exit code 1."""
    failures = 0
    for job_id in job_ids:
        try:
            note = change(job_id)
        except JobError as error:
            report(str(error))
            failures += 1
        else:
            terminal.write(f"{done} {job_id}{note or ''}")
    if failures:
        click.get_current_context().exit(OTHER)


def _info(mlq: MLQ, job_id: str) -> dict[str, Any]:
    """What is known of a job; nothing if that can't be read, since it may be changed nevertheless."""
    try:
        return mlq.get_info(job_id)
    except MLQError:
        return {}


def _cancel(mlq: MLQ, job_id: str) -> str:
    progress = _info(mlq, job_id).get("progress")
    mlq.cancel(job_id)
    if not isinstance(progress, Progress):
        return ""
    return (
        f" with the {progress.of - progress.done - progress.failed:,} of its {progress.of:,} steps that had not ended"
    )


def _delete(mlq: MLQ, job_id: str) -> str:
    steps = _info(mlq, job_id).get("steps")
    mlq.delete(job_id)
    return f" with its {steps:,} steps" if steps else ""


@click.command
@click.argument("job_ids", metavar="ID...", nargs=-1, required=True)
@with_settings
def cancel(settings: Settings, job_ids: tuple[str, ...]) -> None:
    """Take jobs out of their queue, or stop them where they run.

    A pipeline is cancelled as a whole, by the id of the job that was posted.
    """
    each(job_ids, partial(_cancel, settings.queue()), "cancelled")


@click.command
@click.argument("job_ids", metavar="ID...", nargs=-1, required=True)
@with_settings
def redeliver(settings: Settings, job_ids: tuple[str, ...]) -> None:
    """Send the webhooks of ended jobs again."""
    each(job_ids, settings.queue().redeliver, "redelivered")


@click.command
@click.argument("job_ids", metavar="ID...", nargs=-1, required=True)
@with_settings
def delete(settings: Settings, job_ids: tuple[str, ...]) -> None:
    """Remove jobs and their results; a running job can't be removed."""
    each(job_ids, partial(_delete, settings.queue()), "deleted")
