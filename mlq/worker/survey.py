"""What a worker finds out about its listeners when they change: their batches, and pauses after these."""

from collections.abc import Mapping, Sequence

from mlq.running.listeners import Listeners
from mlq.worker.batch import batch_of
from mlq.worker.batch_pause import BatchPause


def sizes_of(listeners: Listeners, queues: Sequence[str]) -> dict[str, int]:
    """The sizes of batches by function (`:embed`), or by queue for jobs that name none."""
    plain = [queue for queue in queues if listeners.chosen(queue)]
    sizes = {f":{one.name}": one.batch for one in listeners.all()}
    sizes |= {queue: batch_of(listeners.chosen(queue)) for queue in plain}
    return {what: size for what, size in sizes.items() if size}


def pauses_of(listeners: Listeners, before: Mapping[str, BatchPause]) -> dict[str, BatchPause]:
    """What learns the pauses after batches, by listener; those that are there go on where they fit."""
    return {
        one.name: known if (known := before.get(one.name)) and known.fits(one.max_wait, one.batch)
        else BatchPause(one.max_wait, one.batch)
        for one in listeners.all() if one.batch
    }  # fmt: skip
