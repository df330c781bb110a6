"""The listener that predicts files and batches: hosted by workers that were told where files are."""

from collections.abc import Mapping
from typing import Any

from mlq.batches.allowed import Allowed
from mlq.batches.one_batch import predict_batch
from mlq.batches.one_file import predict_one
from mlq.batches.store import kept_at
from mlq.client.blocking import Client
from mlq.core.file_job import FILES_QUEUE, KEPT_IN, PLACES, PREDICT_FILE
from mlq.core.policy import Policy
from mlq.errors import InputError, ServerError
from mlq.running.context import JobContext
from mlq.running.listeners import Listener

OUTAGES = 10  # times that it runs again because the server was away for longer than a run waits
AT_A_TIME = 16  # files that one worker predicts; they share its slots, and the memory of a process (`files/run.py`)


def file_listener(client: Client, variables: Mapping[str, str]) -> Listener:
    """The listener for jobs of the client's namespace; `variables` say where files are. Raises InputError."""
    places = Allowed(variables.get(PLACES, "").split(","))
    root = variables.get(KEPT_IN)
    kept = kept_at(root, client.namespace) if root else None

    def predict_file(message: Any, context: JobContext) -> dict[str, Any]:
        """Either one file or a batch."""
        if not isinstance(message, dict) or "batch" not in message:
            return predict_one(client, places, message, context)
        if kept is None:
            raise InputError(f"this worker keeps no files of batches: start it with {KEPT_IN}")
        return predict_batch(client, kept, str(message["batch"]), context)

    made = Listener.of(
        predict_file, PREDICT_FILE, None, Policy.of(None, OUTAGES, None), ServerError, per_worker=AT_A_TIME
    )
    return made._replace(queue=FILES_QUEUE)
