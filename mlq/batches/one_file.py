"""What a job does that predicts one file for a caller of `predict_file`, from Python or over HTTP."""

from dataclasses import replace
from typing import Any

from mlq.batches.allowed import Allowed
from mlq.batches.predicting import predict
from mlq.client.blocking import Client
from mlq.core.file_job import FileJob
from mlq.errors import InputError
from mlq.files.prediction import Wanted
from mlq.files.report import Report
from mlq.running.context import JobContext

MARK = 30 * 86400.0  # seconds for which it is known how far an attempt was


def predict_one(client: Client, allowed: Allowed, message: Any, context: JobContext) -> dict[str, Any]:
    """Predict the file that a job's message names; returns what became of it.

    Raises InputError, RunStopped, LeaseLost.
    """
    wanted = _wanted(FileJob.of(message), allowed)
    mark = f"predict-file-{context.full_message['id']}-{context.full_message['timestamp']}"
    before = context.fetch_data(mark) if context.attempt > 1 else None
    if before is not None:
        wanted = replace(wanted, restart=False)

    def tell(report: Report) -> None:
        context.store_data(_done(report), mark, MARK)
        share = min(report.done / report.size, 1.0) if report.size else 1.0
        context.update_progress({"rows": report.rows, "failed": report.failed, "share": round(share, 4),
                                 "rate": round(report.rate, 1)})  # fmt: skip

    report = predict(client, wanted, context, tell)
    if report is not None:
        tell(report)
        before = _done(report)
    if before is None:  # the file that is there is not what an earlier attempt wrote
        raise InputError(f"the output {wanted.output} exists already: move it away, or choose another name")
    return {**before, "output": wanted.output}


def _done(report: Report) -> dict[str, Any]:
    return {"rows": report.rows, "failed": report.failed, "errors": report.errors if report.failed else None}


def _wanted(job: FileJob, allowed: Allowed) -> Wanted:
    """What the run is told, with addresses that may be used. Raises InputError."""
    return Wanted(
        job.model,
        allowed.checked("input", job.input),
        allowed.checked("output", job.output),
        job.errors and allowed.checked("errors", job.errors),
        dict(job.fields),
        job.keep,
        job.restart,
    )
