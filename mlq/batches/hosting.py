"""Has workers predict files, if their environment says where files are."""

import os

from mlq.client.blocking import Client
from mlq.core.file_job import KEPT_IN, PLACES, PREDICT_FILE
from mlq.running.listeners import Listeners


def host_files(client: Client, listeners: Listeners) -> None:
    """Add the listener of jobs that predict files, if MLQ_FILES or MLQ_FILE_PLACES is set. Raises InputError."""
    if PREDICT_FILE in listeners.names() or not (os.environ.get(KEPT_IN) or os.environ.get(PLACES)):
        return
    from mlq.batches.listener import file_listener  # few workers need it

    listeners.add(file_listener(client, os.environ))
