"""What workers report of their slots."""

from collections.abc import Iterable

from mlq.client.unserved import Worker, can_serve
from mlq.core.job import or_none


def number_in(worker: Worker, name: str) -> int:
    """A number that a worker reports; 0 for anything else."""
    return or_none(int, worker.get(name, "0")) or 0


def claims(worker: Worker) -> bool:
    """Whether it takes jobs: it neither stops, nor makes room for a job that is to run apart."""
    return worker.get("claims", "") == ""  # one of an older version does not say


def slots_for(workers: Iterable[Worker], lane: str) -> int:
    """The slots of those that can run the jobs of a lane."""
    return sum(number_in(one, "slots") for one in workers if claims(one) and can_serve(one, lane))
