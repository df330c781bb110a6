"""Commands that post a job, and that wait for what it gives: post, wait, stream, logs."""

import contextlib
import logging
import sys
from collections.abc import Iterator
from typing import Any

import click

from mlq import MLQ, JobFailed, WaitTimeout
from mlq.cli import live, show
from mlq.cli.base import Settings, json_option, report, with_settings
from mlq.cli.options import Unique
from mlq.client.handle import JobHandle
from mlq.client.unserved import with_server
from mlq.core.json_values import read_message
from mlq.errors import RemoteTraceback
from mlq.system import terminal

PATIENCE = 3.0  # seconds of waiting after which the command says that no worker can run the job

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
@click.option("--after", metavar="ID", multiple=True, help="Run when this job has succeeded. Repeat it for several.")
@click.option("--on-failure", type=click.Choice(("fail", "run")),
              help="If a job of --after ends badly: fail, too (as without this option), or run.")  # fmt: skip
@click.option("--then", metavar="NAME", multiple=True,
              help="The listener that gets the result. Repeat it, or use commas, for several in a row.")  # fmt: skip
@click.option("--delay", type=float, metavar="S", help="Run S seconds from now at the earliest.")
@click.option("--at", metavar="TIME", help="Run then at the earliest: 2026-12-01T08:00+01:00, or seconds since 1970.")
@click.option("--expires", type=float, metavar="S", help="Cancel the job if no worker has begun it S seconds from now.")
@click.option("--priority", type=int, metavar="N", help="-100 to 100; jobs with a larger one run sooner. Default: 0.")
@click.option("--key", metavar="KEY", help="Post no second job while one with this key has not ended.")
@click.option("--unique", type=Unique(), metavar="waiting|active|S",
              help="How long it holds the key: while it waits, until it has ended (default), or S s.")  # fmt: skip
@click.option("--replace", is_flag=True, help="If a job with the key waits, give it this message and these options.")
@click.option("--share", metavar="NAME", help="Whose job it is: shares get equal parts of the workers' time.")
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
    after: tuple[str, ...],
    then: tuple[str, ...],
    **options: Any,
) -> None:
    """Post one job and write its id.

    MSG is JSON, or otherwise a text, which must not begin like JSON. With - it is read from stdin, and may be binary
    (one newline at the end of a text is dropped). A binary result is written as it is, a text as a line, everything
    else as JSON.
    """
    if timeout is not None and not waits:
        raise click.UsageError("--timeout needs --wait (--job-timeout limits how long the job may run)")
    names = names_in(functions)
    mlq = settings.queue()
    message = _from_stdin() if msg == "-" else read_message(msg)
    with without_warnings():
        job = mlq.submit(
            message, callback, names, timeout=job_timeout, after=after or None, then=names_in(then), **options
        )
    _tell(mlq, job, replaced=options["replace"])
    if waits:
        try:
            show.emit(_result(mlq, job, timeout, warned=bool(job.warning)), as_json=as_json)
        except KeyboardInterrupt:
            report(f"job {job.id} goes on: mlq wait {job.id}, or mlq cancel {job.id}")
            raise
    else:
        show.emit({"id": job.id, "new": job.new} if as_json else job.id, as_json=as_json)


def _tell(mlq: MLQ, job: JobHandle, *, replaced: bool) -> None:
    """Tell on stderr what is special about the job of a post."""
    if not job.new:
        report(f"job {job.id} holds the key: {'it has the new message now' if replaced else 'nothing was posted'}")
    if job.warning:
        report(f"job {job.id}: {with_server(job.warning, mlq.workers(), mlq.server)}")


def names_in(groups: tuple[str, ...]) -> list[str] | None:
    """The names of an option that may be repeated, or have several names with commas; None if it was not given."""
    return [name.strip() for group in groups for name in group.split(",")] if groups else None


@contextlib.contextmanager
def without_warnings() -> Iterator[None]:
    """The client's warning about a post is not logged: it is reported in the words of the command."""
    logger = logging.getLogger("mlq.client")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)


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
    mlq = settings.queue()
    show.emit(_result(mlq, mlq.job(job_id), timeout), as_json=as_json)


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
@click.option("-f", "--follow", "follows", is_flag=True, help="Go on, live, until the job has ended.")
@with_settings
def logs(settings: Settings, job_id: str, *, follows: bool) -> None:
    """Write what a job printed and logged."""
    mlq = settings.queue()
    if follows and (lacking := _lacking(mlq, mlq.job(job_id))):
        report(_waiting(job_id, lacking))
    if not follows:
        found = mlq.get_logs(job_id)
        terminal.write(found, end="", exact=True)
        if not found:
            report(f"job {job_id} has printed and logged nothing; mlq job {job_id} shows its state, and errors")
        return
    for update in mlq.job(job_id).follow():
        terminal.write(update.logs, end="", exact=True)


def _result(mlq: MLQ, job: JobHandle, timeout: float | None, *, warned: bool = False) -> Any:
    """The result of a job. Raises JobFailed for whatever its listener raised."""
    with _failing_as_job_failed(mlq, job.id):
        if warned:
            return _wait(mlq, job, timeout, timeout)
        try:
            return _wait(mlq, job, PATIENCE if timeout is None else min(timeout, PATIENCE), timeout)
        except WaitTimeout:
            if timeout is not None and timeout <= PATIENCE:
                raise
        if lacking := _lacking(mlq, job):
            report(_waiting(job.id, lacking))
        return _wait(mlq, job, None if timeout is None else timeout - PATIENCE, timeout)


def _waiting(job_id: str, lacking: str) -> str:
    """A sentence that says why a job waits."""
    waits_for = lacking.startswith("it waits for ")  # another job
    return f"job {job_id} {lacking.removeprefix('it ')}" if waits_for else f"job {job_id} waits: {lacking}"


def _lacking(mlq: MLQ, job: JobHandle) -> str | None:
    """Why no live worker can run the job."""
    lacking = job.missing()
    return lacking and with_server(lacking, mlq.workers(), mlq.server)


def _wait(mlq: MLQ, job: JobHandle, seconds: float | None, timeout: float | None) -> Any:
    """The result within so many seconds; a terminal shows the progress. Raises WaitTimeout, which names `timeout`."""
    if terminal.is_watched():
        seconds = live.show_progress(job, seconds)
    try:
        return job.result(seconds)
    except WaitTimeout:
        lacking = _lacking(mlq, job)
        raise WaitTimeout(
            f"job {job.id} did not end within {timeout or seconds:g} s{f': {lacking}' if lacking else ''}"
        ) from None


@contextlib.contextmanager
def _failing_as_job_failed(mlq: MLQ, job_id: str) -> Iterator[None]:
    """Raises JobFailed instead of the exception that the job's listener raised."""
    try:
        yield
    except Exception as error:
        if isinstance(error.__cause__, RemoteTraceback):
            _raise_failure(mlq, job_id)
        raise


def _raise_failure(mlq: MLQ, job_id: str) -> None:
    try:
        mlq.get_result(job_id)
    except JobFailed as failed:
        text = f"{failed} (mlq job {job_id} shows the traceback)"
        raise JobFailed(text, failed.error_type, failed.remote_traceback, failed.reason) from None
