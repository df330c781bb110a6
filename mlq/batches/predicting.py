"""Runs a file prediction within a job, until it is done or must end; a later attempt goes on where this one was."""

import time
from collections.abc import Callable

from mlq.client.blocking import Client
from mlq.core.states import State
from mlq.errors import FolderHeld, InputError, LeaseLost, RunStopped, UnknownJob
from mlq.files import places
from mlq.files.chunk_jobs import ChunkJobs, ClientJobs
from mlq.files.prediction import Wanted, predict_file
from mlq.files.report import Report
from mlq.running.context import JobContext

EVERY = 1.0  # seconds between two reports
PATIENCE = 30.0  # seconds for which an attempt that was lost may still hold the run's folder


def predict(
    client: Client, wanted: Wanted, context: JobContext, tell: Callable[[Report], None],
    stops: Callable[[], bool] = lambda: False,
) -> Report | None:  # fmt: skip
    """Predict a file. `tell` gets a report each second, and one when all rows are done; it ends once `stops` is true.

    Chunks that nobody will take are cancelled: those of a job that was cancelled, and of a run that `stops`.
    None: an earlier attempt has done all of it, and died before it could say so. Raises as
    `files.prediction.predict_file`, and LeaseLost.
    """
    give_up = time.monotonic() + PATIENCE
    told, posted = _Now(tell), list[ClientJobs]()

    def jobs(function: str) -> ChunkJobs:
        posted.append(ClientJobs(client, function))
        return posted[-1]

    while True:
        try:
            with context.without_slot():  # a worker with one slot could not run the chunks otherwise
                return predict_file(client, wanted, told, lambda: context.cancelled or stops(), jobs)
        except (RunStopped, LeaseLost):
            if stops() or _is_cancelled(client, context):
                _remove(posted)
            raise
        except FolderHeld:
            if time.monotonic() > give_up or context.cancelled:
                raise
            time.sleep(EVERY)
        except InputError:
            if context.attempt > 1 and _is_written(wanted.output):
                return None
            raise


def _remove(posted: list[ClientJobs]) -> None:
    for one in posted:
        one.remove_all()


def _is_cancelled(client: Client, context: JobContext) -> bool:
    """Whether the job was cancelled or deleted; one that lost its lease otherwise goes on with its chunks elsewhere."""
    try:
        return client.get_state(context.full_message["id"]) is State.CANCELLED
    except UnknownJob:
        return True


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
