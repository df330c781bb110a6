"""What `why` looks at: what the server knows of a job, and the workers that live."""

from collections.abc import Sequence
from typing import NamedTuple

from mlq.client.unserved import Worker
from mlq.core.job import number, or_none
from mlq.ops.why import Facts


class Seen(NamedTuple):
    """All that the reasons are told from."""

    facts: Facts
    workers: Sequence[Worker]  # those that live
    namespace: str
    beneath: Facts | None = None  # of the first job that a blocked one waits for

    def time(self, name: str) -> float | None:
        """A time in the job's hash."""
        return or_none(number, self.facts.job.get(name))
