"""What a run left behind, gathered for the reckoning: on the server, in the file of effects, and in the harness."""

from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from benchmarks.chaos import effects
from benchmarks.chaos.effects import Run
from benchmarks.chaos.mix import NAMESPACE, Mix
from benchmarks.chaos.pipelines.poster import Fate
from benchmarks.chaos.receiver import Call
from benchmarks.chaos.rules.told import Told, Turn, turn
from benchmarks.chaos.trouble import Troubles
from mlq import MLQ
from mlq.core.job import Record
from mlq.core.keys import Keys
from mlq.core.part import Part

if TYPE_CHECKING:
    import redis

KEYS = Keys(NAMESPACE)


class Ended(NamedTuple):
    """A job as the server tells it, unless it belongs to a pipeline."""

    number: int
    state: str
    reason: str | None
    result: Any
    error: str | None
    retries: int
    losses: int  # leases
    callback: bool


class Piece(NamedTuple):
    """A job of a pipeline as the server tells it."""

    key: str | None  # of the plan, for a root
    root: str  # id
    path: str | None  # in its plan; None for a join and a wrap
    listener: str
    into: str  # the join that it is a part for; empty if there is none
    after: list[str]  # the jobs that it comes after
    state: str
    reason: str | None
    result: Any
    error: str | None
    retries: int
    losses: int  # leases
    finished: float | None  # by the server's clock
    callback: bool


Outcome = Ended | Piece | Turn  # of any job


@dataclass
class Evidence:
    """All that is known after a run."""

    mix: Mix
    seconds: float
    troubles: Troubles
    acknowledged: dict[int, tuple[str, float]] = field(default_factory=dict)  # number: id, when
    unknown: set[int] = field(default_factory=set)  # numbers of posts that failed with an error
    jobs: dict[str, Ended] = field(default_factory=dict)
    pieces: dict[str, Piece] = field(default_factory=dict)
    fates: dict[str, Fate] = field(default_factory=dict)
    turns: dict[str, Turn] = field(default_factory=dict)
    told: Told = field(default_factory=Told)
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


class Jobs(NamedTuple):
    """All jobs of the namespace that were posted to be run: plain ones, those of pipelines, and those under rules."""

    plain: dict[str, Ended]
    pieces: dict[str, Piece]
    turns: dict[str, Turn]


def read_jobs(mlq: MLQ, client: "redis.Redis") -> Jobs:
    """Read all of them."""
    found = Jobs({}, {}, {})
    for name in client.scan_iter(KEYS.post + "*", count=1000):
        job_id = name.decode().removeprefix(KEYS.post)
        job, record = mlq.get_job(job_id), Record.parse(client.get(name))
        part, losses = record.options.part, int(client.hget(KEYS.job + job_id, "losses") or 0)
        if part or "root" in job["msg"]:
            found.pieces[job_id] = _piece(job, part, losses)
        elif "rule" in job["msg"]:
            found.turns[job_id] = turn(job, record.last)
        elif job["msg"]["number"] >= 0:  # else of a passer-by
            found.plain[job_id] = Ended(
                job["msg"]["number"], job["state"], job["reason"], job["result"], job["error"],
                job["retries"], losses, job["callback"] is not None,
            )  # fmt: skip
    return found


def _piece(job: dict[str, Any], part: Part | None, losses: int) -> Piece:
    message = job["msg"] if isinstance(job["msg"], dict) else {}
    return Piece(
        None if part else message["root"], part.root if part else job["id"], message.get("path"), job["functions"][0],
        part.into if part else "", job["after"] or [], job["state"], job["reason"], job["result"], job["error"],
        job["retries"], losses, job["finished"], job["callback"] is not None,
    )  # fmt: skip


def read_runs(file: Path) -> dict[str, list[Run]]:
    """The runs of each job, by attempt, then by begin: a frozen worker may go on with one after the next began."""
    runs: dict[str, list[Run]] = {}
    for run in effects.read(file):
        runs.setdefault(run.job_id, []).append(run)
    return {job_id: sorted(mine, key=lambda run: (run.attempt, run.begin)) for job_id, mine in runs.items()}


def unfinished(client: "redis.Redis") -> dict[str, int]:
    """What is still to be done in the namespace."""
    lanes = [KEYS.lane + name.decode() for name in client.smembers(KEYS.lanes)]
    names = [*lanes, KEYS.leases, KEYS.deliveries + "callback", KEYS.scheduled, KEYS.blocked]
    counts = {name: client.zcard(name) for name in names} | {KEYS.chores: client.llen(KEYS.chores)}
    return {name.removeprefix(KEYS.root): count for name, count in counts.items() if count}
