"""The jobs of a run's chunks: posts them, waits for whichever ends first, takes what it gave, and removes it."""

import contextlib
import time
from collections.abc import Callable, Collection
from typing import TYPE_CHECKING, NamedTuple, Protocol

from mlq.client.arguments import LISTEN, value_of
from mlq.client.unserved import can_serve, missing, with_server
from mlq.core.checks import check_id
from mlq.core.chunk import ROWS_QUEUE, Chunk, Predicted
from mlq.core.job import number
from mlq.core.job_options import JobOptions
from mlq.errors import UnknownJob, WrongState
from mlq.ops import jobs as job_ops
from mlq.ops import work as work_ops

if TYPE_CHECKING:
    from mlq.client.blocking import Client

KEEP = 86400.0  # seconds for which predictions that no run takes are kept: as long as their idempotency key
AGAIN = 2.0  # seconds after which the workers are looked at again


class Done(NamedTuple):
    """A chunk whose job has succeeded."""

    predicted: Predicted
    took: float  # seconds


class ChunkJobs(Protocol):
    """What a run asks of the queue."""

    def post(self, chunk: Chunk, key: str) -> str:
        """Post a chunk, or find the job that was posted with this key; its reference."""

    def first_ended(self, references: Collection[str], seconds: float) -> str | None:
        """One of these that has ended or is gone; None if none has after so many seconds."""

    def take(self, reference: str) -> Done:
        """What an ended job gave. Raises JobFailed, JobCancelled, UnknownJob, Undecodable."""

    def remove(self, reference: str) -> None:
        """Delete an ended job, if it is still there."""

    def slots(self) -> int:
        """How many chunks may be predicted at a time; 0 if no worker can predict them."""

    def waiting(self) -> int:
        """How many chunks wait for a slot, those of other runs with the same function among them."""

    def lacking(self) -> str | None:
        """Why no worker can predict the chunks; None if one can."""


class ClientJobs:
    """The jobs of one run."""

    def __init__(self, client: "Client", function: str) -> None:
        """All chunks are for one function."""
        self._client = client
        # Rows that raise fail by themselves, and what else fails is halved: the same once more would be in vain.
        self._options = JobOptions(functions=(function,), queue=ROWS_QUEUE, ttl=KEEP, retries=0)
        self._workers: list[dict[str, str]] = []
        self._look = 0.0
        self._out: set[str] = set()  # what was posted and not removed

    def post(self, chunk: Chunk, key: str) -> str:
        """As in `ChunkJobs`."""
        posted = self._client._post_one(self._options, self._options.body(chunk), key)  # noqa: SLF001 - users can't
        self._out.add(posted.id.reference)
        return posted.id.reference

    def first_ended(self, references: Collection[str], seconds: float) -> str | None:
        """As in `ChunkJobs`."""
        client, wanted = self._client, [check_id(reference) for reference in references]
        with client._inbox.listen(*wanted) as heard:  # noqa: SLF001 - as its own waits do
            name = client._inbox.name  # noqa: SLF001
            ops = [job_ops.wait(client._keys, one, name, LISTEN, whole=False) for one in wanted]  # noqa: SLF001
            for one, ended in zip(wanted, client._shell.run_each(ops), strict=True):  # noqa: SLF001
                if _is_over(ended):
                    return one.reference
            heard.wait(seconds)
        return None

    def take(self, reference: str) -> Done:
        """As in `ChunkJobs`."""
        client, wanted = self._client, check_id(reference)
        found = client._shell.run(job_ops.outcome(client._keys, wanted))  # noqa: SLF001
        fields = client._complete(wanted, found)  # noqa: SLF001
        if fields is None:
            raise UnknownJob(f"job {wanted} was requeued")
        predicted = Predicted.of(value_of(str(wanted), fields, original=False))
        started, finished = number(fields.get("started")), number(fields.get("finished"))
        return Done(predicted, finished - started if started and finished else 0.0)

    def remove(self, reference: str) -> None:
        """As in `ChunkJobs`."""
        self._out.discard(reference)
        with contextlib.suppress(UnknownJob, WrongState):
            self._client.delete(reference)

    def remove_all(self) -> None:
        """Cancel and delete what was posted: no run will go on with it. Raises ServerError."""
        for reference in tuple(self._out):
            with contextlib.suppress(UnknownJob, WrongState):
                self._client.cancel(reference)
            self.remove(reference)

    def slots(self) -> int:
        """As in `ChunkJobs`."""
        now = time.monotonic()
        if now >= self._look:
            self._workers, self._look = self._client.workers(), now + AGAIN
        serving = [worker for worker in self._workers if can_serve(worker, self._options.lane)]
        return sum(int(slots) for worker in serving if (slots := worker.get("slots", "1")).isdecimal())

    def waiting(self) -> int:
        """As in `ChunkJobs`."""
        client = self._client
        return client._shell.run(work_ops.waiting(client._keys, self._options.lane))  # noqa: SLF001

    def lacking(self) -> str | None:
        """As in `ChunkJobs`."""
        why = missing(self._options.lane, self._workers, self._client.namespace)
        return why and with_server(why, self._workers, self._client.server)


def _is_over(ended: Callable[[], object]) -> bool:
    """Whether a job has ended or is gone, by what its op gives."""
    try:
        return ended() is not None
    except UnknownJob:
        return True
