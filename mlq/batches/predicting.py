"""Runs a file prediction within a job, until it is done or must end; a later attempt goes on where this one was."""

import time
from collections.abc import Callable

from mlq.client.blocking import Client
from mlq.errors import FolderHeld, InputError
from mlq.files import places
from mlq.files.chunk_jobs import ChunkJobs
from mlq.files.prediction import Wanted, predict_file
from mlq.files.report import Report
from mlq.running.context import JobContext

EVERY = 1.0  # seconds between two reports
PATIENCE = 30.0  # seconds for which an attempt that was lost may still hold the run's folder


def predict(
    client: Client, wanted: Wanted, context: JobContext, tell: Callable[[Report], None],
    stops: Callable[[], bool] = lambda: False, jobs: Callable[[str], ChunkJobs] | None = None,
) -> Report | None:  # fmt: skip
    """Predict a file. `tell` gets a report each second, and one when all rows are done; `jobs`: as there.

    None: an earlier attempt has done all of it, and died before it could say so. Raises as
    `files.prediction.predict_file`, and LeaseLost.
    """
    give_up = time.monotonic() + PATIENCE
    told = _Now(tell)
    while True:
        try:
            with context.without_slot():  # a worker with one slot could not run the chunks otherwise
                return predict_file(client, wanted, told, lambda: context.cancelled or stops(), jobs)
        except FolderHeld:
            if time.monotonic() > give_up or context.cancelled:
                raise
            time.sleep(EVERY)
        except InputError:
            if context.attempt > 1 and _is_written(wanted.output):
                return None
            raise


def _is_written(output: str) -> bool:
    """Whether an output has its name, and its run needs its folder no more."""
    try:
        places.open_input(output).close()
    except InputError:
        return False
    return not places.folder_for(output).exists()


class _Now:
    """Passes on reports now and then."""

    def __init__(self, tell: Callable[[Report], None]) -> None:
        self._tell = tell
        self._next = 0.0

    def __call__(self, report: Report) -> None:
        now = time.monotonic()
        if now >= self._next or report.done >= report.size:
            self._next = now + EVERY
            self._tell(report)
