"""Commands on single jobs: post, wait, stream, logs, job, jobs, cancel, redeliver, delete."""

import contextlib
import itertools
import sys
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import click

from mlq import MLQ, JobError, State, WaitTimeout
from mlq.cli import show
from mlq.cli.base import OTHER, Settings, report, with_settings
from mlq.core.json_values import read_message
from mlq.errors import RemoteTraceback
from mlq.system import terminal

PATIENCE = 3.0  # seconds of waiting after which the command says that no worker can run the job
STATES = tuple(state.value for state in State if state is not State.GONE)

json_option = click.option("--json", "as_json", is_flag=True, help="Write JSON, for scripts.")
timeout_option = click.option("--timeout", type=float, metavar="S", help="Give up after S seconds, with exit code 4.")


@click.command
@click.argument("msg")
@click.option("--callback", metavar="URL", help="A URL to call (GET) when the job has ended.")
@click.option("--webhook", metavar="URL", help="A URL to send a signed event to (POST) when the job has ended.")
@click.option("--functions", metavar="NAME", multiple=True,
              help="The listener to run. Repeat it, or use commas, for several. Default: all listeners.")  # fmt: skip
@click.option("--ttl", type=float, metavar="S", help="Keep the job for S seconds after it succeeds. Default: forever.")
@click.option("--queue", metavar="NAME", help="The queue to wait in, instead of the one named default.")
@click.option("--job-timeout", type=float, metavar="S", help="End an attempt after S seconds.")
@click.option("--retries", type=int, metavar="N", help="How often to retry after an error or timeout.")
@click.option(
    "--backoff", type=float, metavar="S", help="Seconds before the first retry; doubled for each further one."
)
@click.option("--wait", "waits", is_flag=True, help="Wait for the result and write it instead of the id.")
@timeout_option
@json_option
@with_settings
def post(
    settings: Settings,
    /,
    msg: str,
    callback: str | None,
    functions: tuple[str, ...],
    timeout: float | None,
    *,
    waits: bool,
    as_json: bool,
    job_timeout: float | None,
    **options: Any,
) -> None:
    """Post one job and write its id.

    MSG is JSON, or otherwise a text, which must not begin like JSON. With - it is read from stdin, and may be binary
    (one newline at the end of a text is dropped). A binary result is written as it is, a text as a line, everything
    else as JSON.
    """
    if timeout is not None and not waits:
        raise click.UsageError("--timeout needs --wait")
    names = [name.strip() for group in functions for name in group.split(",")] if functions else None
    mlq = settings.queue()
    job_id = mlq.post(
        _from_stdin() if msg == "-" else read_message(msg), callback, names, timeout=job_timeout, **options
    )
    if waits:
        show.emit(_result(mlq, job_id, timeout), as_json=as_json)
    else:
        show.emit({"id": job_id} if as_json else job_id, as_json=as_json)


def _from_stdin() -> Any:
    given = sys.stdin.buffer.read()
    try:
        text = given.decode()
    except UnicodeDecodeError:
        return given
    return read_message(text.removesuffix("\n"))


@click.command
@click.argument("job_id", metavar="ID")
@timeout_option
@json_option
@with_settings
def wait(settings: Settings, job_id: str, timeout: float | None, *, as_json: bool) -> None:
    """Wait until a job has ended, and write its result."""
    show.emit(_result(settings.queue(), job_id, timeout), as_json=as_json)


@click.command
@click.argument("job_id", metavar="ID")
@json_option
@with_settings
def stream(settings: Settings, job_id: str, *, as_json: bool) -> None:
    """Write a job's partial results, live, until it ends.

    Each is a line, starting with the first one. After a retry they begin again.
    """
    mlq = settings.queue()
    chunks = mlq.job(job_id).stream()
    with _failing_as_job_failed(mlq, job_id):
        for chunk in chunks:
            if as_json:
                show.emit({"attempt": chunks.attempt, "chunk": chunk}, as_json=True)
            else:
                show.emit(chunk, as_json=False)


@click.command
@click.argument("job_id", metavar="ID")
@with_settings
def logs(settings: Settings, job_id: str) -> None:
    """Write what a job printed and logged."""
    terminal.write(settings.queue().get_logs(job_id), end="", exact=True)


def _result(mlq: MLQ, job_id: str, timeout: float | None) -> Any:
    """The result of a job. Raises JobFailed for whatever its listener raised."""
    first = PATIENCE if timeout is None else min(timeout, PATIENCE)
    try:
        with _failing_as_job_failed(mlq, job_id):
            try:
                return mlq.wait(job_id, first)
            except WaitTimeout:
                if timeout is not None and timeout <= PATIENCE:
                    raise
                _report_unless_servable(mlq, job_id)
                return mlq.wait(job_id, None if timeout is None else timeout - PATIENCE)
    except WaitTimeout:
        raise WaitTimeout(f"job {job_id} did not end within {timeout:g} s") from None


@contextlib.contextmanager
def _failing_as_job_failed(mlq: MLQ, job_id: str) -> Iterator[None]:
    """Raises JobFailed instead of the exception that the job's listener raised."""
    try:
        yield
    except Exception as error:
        if isinstance(error.__cause__, RemoteTraceback):
            mlq.get_result(job_id)  # raises it as a JobFailed
        raise


def _report_unless_servable(mlq: MLQ, job_id: str) -> None:
    job = mlq.get_job(job_id)
    if job["state"] == State.QUEUED and not _servable(mlq, job):
        report(f"job {job_id} waits: {_what_is_missing(job)}")


def _servable(mlq: MLQ, job: dict[str, Any]) -> bool:
    return show.servable(_lane(job), mlq.workers())


def _lane(job: dict[str, Any]) -> str:
    return ":".join(filter(None, (job["queue"], ",".join(job["functions"] or ()))))


def _what_is_missing(job: dict[str, Any]) -> str:
    return "no live worker " + (f"has {', '.join(job['functions'])}" if job["functions"] else "has a listener")


@click.command("job")
@click.argument("job_id", metavar="ID")
@json_option
@with_settings
def one_job(settings: Settings, job_id: str, *, as_json: bool) -> None:
    """Show everything about a job."""
    mlq = settings.queue()
    job = mlq.get_job(job_id)
    waits = job["state"] == State.QUEUED
    job["servable"] = _servable(mlq, job) if waits else None
    job["ahead"] = mlq.position(job_id) if waits else None
    if as_json:
        show.emit_json(job)
        return
    show.described(_description(job))
    if len(job["attempts"]) > 1:
        terminal.write()
        show.table(("ATTEMPT", "STARTED", "TOOK", "WORKER", "REASON", "ERROR"), map(_run, job["attempts"]))
    if job["deliveries"]:
        terminal.write()
        show.table(("DELIVERY", "TRY", "AT", "OUTCOME", "NEXT"), map(_try, job["deliveries"]))
    if job["traceback"]:
        terminal.write(f"\n{job['traceback'].rstrip()}")


def _run(run: dict[str, Any]) -> tuple[object, ...]:
    took = show.span(run["finished"] - run["started"]) if run["started"] and run["finished"] else None
    return run["attempt"], show.moment(run["started"]), took, run["worker"], run["reason"], run["error"]


def _try(one: dict[str, Any]) -> tuple[object, ...]:
    return one["kind"], one["try"], show.moment(one["at"]), one["error"] or "sent", show.moment(one["next"])


def _description(job: dict[str, Any]) -> Iterable[tuple[str, object]]:
    lacking = f" ({_what_is_missing(job)})" if job["servable"] is False else ""
    started, finished = job["processing_started"], job["processing_finished"]
    yield "id", job["id"]
    yield "state", f"{job['state']}{lacking}"
    yield "jobs ahead", job["ahead"]
    yield "queue", job["queue"]
    yield "functions", job["functions"] and ", ".join(job["functions"])
    yield "message", show.brief(job["msg"])
    yield "callback", job["callback"]
    yield "webhook", job["webhook"]
    yield "posted", show.moment(job["timestamp"])
    yield "started", show.moment(started)
    yield "finished", show.moment(finished)
    yield "took", show.span(finished - started) if started and finished else None
    yield "worker", job["worker"]
    yield "retries", job["retries"] or None
    yield "progress", show.brief(job["progress"]) if job["state"] == State.RUNNING else None
    yield "short result", show.brief(job["short_result"])
    yield "result", None if job["error"] else show.brief(job["result"])
    yield "reason", job["reason"]
    yield "error", job["error"] and show.error_line(job["error_type"], job["error"])


@click.command("jobs")
@click.option("--state", type=click.Choice(STATES), help="Only jobs in this state.")
@click.option("--limit", type=click.IntRange(min=1), default=50, show_default=True, metavar="N", help="At most N jobs.")
@json_option
@with_settings
def many_jobs(settings: Settings, state: str | None, limit: int, *, as_json: bool) -> None:
    """List jobs, newest first."""
    mlq = settings.queue()
    found = list(itertools.islice(mlq.jobs(State(state) if state else None), limit))
    workers = mlq.workers()
    if as_json:
        show.emit_json([_listed(job, workers) for job in found])
        return
    if not found:
        report(f"no {state + ' ' if state else ''}jobs in namespace {mlq.namespace!r}")
        return
    show.table(("ID", "STATE", "FUNCTIONS", "POSTED", "TOOK", "RUNS", "WORKER"), (_row(job, workers) for job in found))
    if len(found) == limit:
        report(f"these are the newest {limit}; --limit shows more")


def _listed(job: Any, workers: list[dict[str, str]]) -> dict[str, Any]:
    waits = job.state == State.QUEUED
    return {**job._asdict(), "servable": show.servable(job.lane, workers) if waits else None}


def _row(job: Any, workers: list[dict[str, str]]) -> tuple[object, ...]:
    stranded = job.state == State.QUEUED and not show.servable(job.lane, workers)
    took = show.span(job.finished - job.started) if job.started and job.finished else None
    worker = job.worker and job.worker[:8]
    state = f"{job.state} (no worker)" if stranded else job.state
    return job.id, state, job.lane.partition(":")[2], show.moment(job.posted), took, job.attempts, worker


def each(job_ids: tuple[str, ...], change: Callable[[str], None], done: str) -> None:
    """Apply `change` to each job; failures are reported, and make the exit code 1."""
    failures = 0
    for job_id in job_ids:
        try:
            change(job_id)
        except JobError as error:
            report(str(error))
            failures += 1
        else:
            terminal.write(f"{done} {job_id}")
    if failures:
        click.get_current_context().exit(OTHER)


@click.command
@click.argument("job_ids", metavar="ID...", nargs=-1, required=True)
@with_settings
def cancel(settings: Settings, job_ids: tuple[str, ...]) -> None:
    """Take jobs out of their queue, or stop them where they run."""
    each(job_ids, settings.queue().cancel, "cancelled")


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
    each(job_ids, settings.queue().delete, "deleted")
