"""What a run left behind, gathered for the reckoning: on the server, in the file of effects, and in the harness."""

from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from benchmarks.chaos import effects
from benchmarks.chaos.effects import Run
from benchmarks.chaos.mix import NAMESPACE, Mix
from benchmarks.chaos.receiver import Call
from benchmarks.chaos.trouble import Troubles
from mlq import MLQ
from mlq.core.keys import Keys

if TYPE_CHECKING:
    import redis

KEYS = Keys(NAMESPACE)


class Ended(NamedTuple):
    """A job as the server tells it."""

    number: int
    state: str
    reason: str | None
    result: Any
    error: str | None
    retries: int
    losses: int  # leases
    callback: bool


@dataclass
class Evidence:
    """All that is known after a run."""

    mix: Mix
    seconds: float
    troubles: Troubles
    acknowledged: dict[int, tuple[str, float]] = field(default_factory=dict)  # number: id, when
    unknown: set[int] = field(default_factory=set)  # numbers of posts that failed with an error
    jobs: dict[str, Ended] = field(default_factory=dict)
    dead: set[str] = field(default_factory=set)  # ids among the dead letters
    runs: dict[str, list[Run]] = field(default_factory=dict)
    calls: dict[str, list[Call]] = field(default_factory=dict)
    kills: list[tuple[float, int]] = field(default_factory=list)  # SIGKILL of a worker: when, pid
    exits: dict[str, int] = field(default_factory=dict)
    keys: dict[str, int] = field(default_factory=dict)  # how many of each kind are left
    queues: int = 0  # names of queues and functions that passed by
    wrong: list[str] = field(default_factory=list)  # what was wrong on the way

    def first_heard(self, job_id: str) -> float:
        """When a job was posted, as near as is known."""
        number = self.jobs[job_id].number
        return self.acknowledged[number][1] if number in self.acknowledged else 0.0

    @cached_property
    def crashed(self) -> set[tuple[int, int]]:
        """Processes that one of their own jobs ended, each with its worker."""
        found = (
            (self.mix.job(self.jobs[job_id].number), mine) for job_id, mine in self.runs.items() if job_id in self.jobs
        )
        return {
            (run.worker, run.process)
            for job, mine in found for run in mine if run.end is None and job.crashes(run.attempt)
        }  # fmt: skip


def read_jobs(mlq: MLQ, client: "redis.Redis") -> dict[str, Ended]:
    """All jobs of the namespace that were posted to be run."""
    found = {}
    for name in client.scan_iter(KEYS.post + "*", count=1000):
        job_id = name.decode().removeprefix(KEYS.post)
        job = mlq.get_job(job_id)
        if job["msg"]["number"] < 0:
            continue  # of a passer-by
        losses = int(client.hget(KEYS.job + job_id, "losses") or 0)
        found[job_id] = Ended(
            job["msg"]["number"], job["state"], job["reason"], job["result"], job["error"],
            job["retries"], losses, job["callback"] is not None,
        )  # fmt: skip
    return found


def read_runs(file: Path) -> dict[str, list[Run]]:
    """The runs of each job, by attempt, then by begin: a frozen worker may go on with one after the next began."""
    runs: dict[str, list[Run]] = {}
    for run in effects.read(file):
        runs.setdefault(run.job_id, []).append(run)
    return {job_id: sorted(mine, key=lambda run: (run.attempt, run.begin)) for job_id, mine in runs.items()}


def unfinished(client: "redis.Redis") -> dict[str, int]:
    """What is still to be done in the namespace."""
    lanes = [KEYS.lane + name.decode() for name in client.smembers(KEYS.lanes)]
    names = [*lanes, KEYS.leases, KEYS.deliveries + "callback", KEYS.root + "scheduled"]
    counts = {name: client.zcard(name) for name in names}
    return {name.removeprefix(KEYS.root): count for name, count in counts.items() if count}
