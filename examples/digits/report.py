"""What became of the jobs: every one is read back from the queue and checked."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from examples.digits.callbacks import Received
from mlq import MLQ


@dataclass(frozen=True)
class Report:
    """All jobs as the queue keeps them, in the order of the images, and what went wrong."""

    jobs: Sequence[dict[str, Any]]
    labels: np.ndarray
    problems: Sequence[str]

    @property
    def answers(self) -> list[int]:
        """The digit that each job's worker has read; -1 where there is none."""
        return [-1 if job["short_result"] is None else job["short_result"] for job in self.jobs]

    @property
    def correct(self) -> int:
        """How many images were read correctly."""
        return int((np.array(self.answers) == self.labels).sum())

    @property
    def undisturbed(self) -> int:
        """How many jobs took one run."""
        return len(self.jobs) - len(self.run_again)

    @property
    def seconds(self) -> float:
        """From the first post to the last outcome of a job that took one run, by the server's clock.

        A job that is run again waits for the lease of the killed worker, up to 7.5 s; the others take less altogether.
        """
        finished = [job["processing_finished"] or 0.0 for job in self.jobs if not job["retries"]]
        return max(finished) - min(job["timestamp"] for job in self.jobs)

    @property
    def run_again(self) -> list[dict[str, Any]]:
        """The jobs that took more than one run."""
        return [job for job in self.jobs if job["retries"]]

    @property
    def lost(self) -> int:
        """How many jobs have no result."""
        return sum(job["state"] != "succeeded" for job in self.jobs)

    def settled_by(self) -> Counter[str]:
        """How many jobs each worker has settled, by its name in the queue."""
        return Counter(job["worker"] for job in self.jobs)


def check(mlq: MLQ, ids: Sequence[str], labels: np.ndarray, received: Received) -> Report:
    """Read every job's outcome; compare what was posted, what the queue keeps, and what the callbacks told."""
    jobs = [mlq.get_job(job_id) for job_id in ids]
    without = [job["id"] for job in jobs if job["state"] != "succeeded"]
    kept = Counter(job.id for job in mlq.jobs())
    problems = [
        _problem("jobs without a result", without),
        _problem("jobs that are in the queue's list not exactly once", [one for one in ids if kept[one] != 1]),
        _problem("jobs that nobody posted", kept.keys() - set(ids)),
        _problem("jobs without a callback", set(ids) - received.times.keys()),
        _problem("callbacks that say otherwise than the queue", received.failures ^ set(without)),
    ]
    return Report(jobs, labels, [problem for problem in problems if problem])


def _problem(what: str, ids: Sequence[str] | set[str]) -> str:
    return f"{what}: {', '.join(sorted(ids, key=int))}" if ids else ""
