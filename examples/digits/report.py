"""What became of the predictions: every one is read back and checked."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from examples.digits.callbacks import Received
from mlq import MLQ


@dataclass(frozen=True)
class Report:
    """All jobs as the queue keeps them, what the model gave for each image, and what went wrong."""

    jobs: Sequence[dict[str, Any]]
    outputs: Sequence[dict[str, Any] | None]  # read over HTTP, then those read from Python, as the jobs
    labels: np.ndarray  # of the images
    problems: Sequence[str]

    @property
    def answers(self) -> np.ndarray:
        """The digits that were read, -1 where there is no result: a row over HTTP, and a row from Python."""
        return _digits(self.outputs).reshape(2, -1)

    @property
    def correct(self) -> int:
        """How many predictions are correct."""
        return int((self.answers == self.labels).sum())

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
    def batches(self) -> list[int]:
        """How many jobs that took one run each call of the model had: what a worker claims at once is one batch."""
        return list(Counter((job["worker"], job["started"]) for job in self.jobs if not job["retries"]).values())

    @property
    def run_again(self) -> list[dict[str, Any]]:
        """The jobs that took more than one run."""
        return [job for job in self.jobs if job["retries"]]

    @property
    def lost(self) -> int:
        """How many jobs have no result."""
        return self.outputs.count(None)

    def settled_by(self) -> Counter[str]:
        """How many jobs each worker has settled, by its name in the queue."""
        return Counter(job["worker"] for job in self.jobs)


def check(
    mlq: MLQ, ids: Sequence[str], outcomes: tuple[list[Any], list[Any]], labels: np.ndarray, received: Received
) -> Report:
    """Compare what was posted, what the queue keeps, what was read in both ways, and what the callbacks told."""
    jobs = [mlq.get_job(job_id) for job_id in ids]
    over_http, from_python = outcomes
    outputs = over_http + from_python
    without = [job_id for job_id, output in zip(ids, outputs, strict=True) if output is None]
    kept = Counter(job.id for job in mlq.jobs())
    differ = np.flatnonzero(_digits(over_http) != _digits(from_python))
    problems = [
        _problem("jobs without a result", without),
        _problem("jobs that are in the queue's list not exactly once", [one for one in ids if kept[one] != 1]),
        _problem("jobs that nobody posted", kept.keys() - set(ids)),
        _problem("jobs without a callback", set(ids) - received.times.keys()),
        _problem("callbacks that say otherwise than the queue", received.failures ^ set(without)),
        _problem("images that are read differently over HTTP and from Python", map(str, differ)),
    ]
    return Report(jobs, outputs, labels, [problem for problem in problems if problem])


def _digits(outputs: Sequence[dict[str, Any] | None]) -> np.ndarray:
    return np.array([-1 if output is None else output["digit"] for output in outputs])


def _problem(what: str, which: Iterable[str]) -> str:
    numbers = sorted(which, key=int)
    return f"{what}: {', '.join(numbers)}" if numbers else ""
