"""What the job of a batch does: checks its lines, predicts them, and keeps what came of it.

How far it is, it writes beside the batch, since that outlives the job: a later attempt goes on there, and clients see
it after the job was deleted.
"""

import time
from collections.abc import Iterator
from typing import IO, Any

from mlq.batches.batch import FINAL, OUTPUT, Batch
from mlq.batches.checking import LONGEST, Checked, Fault, check
from mlq.batches.predicting import predict
from mlq.batches.store import Store
from mlq.client.blocking import Client
from mlq.errors import InputError, RunStopped, UnknownModel
from mlq.files.kept import ABOUT, JOINED, JOINED_ERRORS, About, Kept
from mlq.files.places import folder_for
from mlq.files.prediction import Wanted
from mlq.files.report import Report
from mlq.running.context import JobContext


def predict_batch(client: Client, store: Store, name: str, context: JobContext) -> dict[str, Any]:
    """Predict a batch; returns its status and counts. Raises InputError, RunStopped, LeaseLost, OSError."""
    batch = Batch.find(store, name)
    if batch is None:
        raise InputError(f"there is no batch {name:.100} in {store.where}: it has expired, or was deleted")
    if batch.status not in FINAL:
        _Job(client, store, batch, context).run()
    return {"status": batch.status, "counts": batch.state.get("counts")}


class _Job:
    """One attempt of one batch."""

    def __init__(self, client: Client, store: Store, batch: Batch, context: JobContext) -> None:
        self._client, self._store, self._batch, self._context = client, store, batch, context
        self._output = store.address(batch.wanted.output)
        self._errors = store.address(batch.wanted.errors)

    def run(self) -> None:
        """Go on with the batch until its end."""
        batch, counts = self._batch, self._batch.state.get("counts")
        if self._ends():
            return self._end()
        if counts is None:
            job = self._context.full_message  # the service may have stopped before it could write down which one it is
            batch.note("validating", job=f"{job['id']}@{job['timestamp']:.6f}")
            checked = self._checked()
            if checked.faults:
                return batch.note("failed", errors=[one.as_json() for one in checked.faults])
            counts = {"total": checked.rows, "completed": 0, "failed": 0}
        batch.note("in_progress", counts=counts, in_progress_at=batch.state.get("in_progress_at") or int(time.time()))
        return self._predict()

    def _checked(self) -> Checked:
        found = self._store.find(self._batch.wanted.input, time.time())
        if found is None:
            return Checked(0, [Fault("file_not_found", "the input file was deleted, or has expired", None)])
        with self._store.open(found.id) as opened:
            return check(_lines(opened), self._batch.wanted.endpoint)

    def _predict(self) -> None:
        batch, asked = self._batch, self._batch.wanted
        wanted = Wanted(f"{asked.model}@{asked.version}", self._store.address(asked.input), self._output, self._errors)
        try:
            report = predict(self._client, wanted, self._context, self._tell, self._ends)
        except RunStopped:
            if self._context.cancelled or not self._ends():
                raise
            return self._end()
        except UnknownModel as error:
            return batch.note("failed", errors=[Fault("model_not_found", str(error), None).as_json()])
        if report is not None:
            self._tell(report)
        batch.note("finalizing")
        batch.note("completed", **self._kept())
        return None

    def _tell(self, report: Report) -> None:
        """Write down how far the run is."""
        done = {"completed": report.rows - report.failed, "failed": report.failed}
        counts = self._batch.state["counts"] | done
        self._batch.note("in_progress", counts=counts, in_progress_at=self._batch.state["in_progress_at"])
        self._context.update_progress(counts | {"rate": round(report.rate, 1)})

    def _ends(self) -> bool:
        """Whether the batch must end before all of it is predicted."""
        return time.time() > self._batch.deadline or self._batch.is_cancelled()

    def _end(self) -> None:
        """Keep what was predicted so far."""
        _join(self._output, self._errors)
        self._batch.note("cancelled" if self._batch.is_cancelled() else "expired", **self._kept())

    def _kept(self) -> dict[str, str]:
        """Keep the files that have something in them; their ids."""
        kept = {}
        asked = self._batch.wanted
        for word, name in (("output", asked.output), ("error", asked.errors)):
            if self._store.content_size(name):
                self._store.add(name, f"{self._batch.id}_{word}.jsonl", OUTPUT)
                kept[f"{word}_file_id"] = name
            else:
                self._store.remove(name)
        return kept


def _lines(opened: IO[bytes]) -> Iterator[bytes]:
    """The lines of a file, each cut after as many bytes as a line may have, and one more."""
    while line := opened.readline(LONGEST + 1):
        yield line
        while len(line) > LONGEST and not line.endswith(b"\n") and (line := opened.readline(LONGEST + 1)):
            pass


def _join(output: str, errors: str) -> None:
    """Make files of the parts that a run has left, which stopped before its end; in order, with gaps."""
    folder = folder_for(output)
    packed = folder.read(ABOUT) if folder.exists() else None
    if packed is None:
        return
    kept = Kept(folder, About.parse(packed, folder.address))
    if not kept.about.is_joined:
        kept.load()
        parts = kept.in_order()
        folder.join(JOINED, (kept.read(part.name) for part in parts))
        folder.join(JOINED_ERRORS, (kept.read(part.errors) for part in parts if part.failed))
        kept.note_joined()
    folder.publish(JOINED_ERRORS, errors)
    folder.publish(JOINED, output)
    folder.remove(ABOUT)
