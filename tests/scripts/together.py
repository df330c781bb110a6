"""What must be so of jobs with keys, shares, priorities, limits and pauses: a model for test_together_machine.py."""

from collections import defaultdict
from dataclasses import dataclass

from mlq.core.checks import functions_of, queue_of
from mlq.core.limit import Gate, Limit
from mlq.ops.work import WorkerClass

CLASSES = {"all": WorkerClass.of("pq", "pq", "fg"), "some": WorkerClass.of((), "q", "f")}
GATES = [Gate("queue", "q"), Gate("function", "f"), Gate("resource", "r"), Gate("share", "a")]  # g uses r


@dataclass
class Job:
    """What is known of a job."""

    lane: str
    priority: int
    expires: bool
    key: tuple[str, str] | None  # functions and key
    state: str
    attempts: int = 0
    lost: bool = False


class Model:
    """One namespace."""

    def __init__(self):
        """Nothing was posted."""
        self.jobs: dict[int, Job] = {}
        self.holders: dict[tuple[str, str], int] = {}  # who took a key last, and has not ended
        self.limits: dict[Gate, Limit] = {}
        self.paused: set[Gate] = set()
        self.held, self.starts = defaultdict(set), defaultdict(set)  # leases by gate

    def those(self, *states):
        """The jobs in these states."""
        return [job_id for job_id, job in self.jobs.items() if job.state in states]

    def gates_of(self, lane):
        """What its jobs count for."""
        functions = functions_of(lane)
        names = {Gate("queue", queue_of(lane)), *(Gate("function", name) for name in functions)}
        names |= {Gate("resource", "r")} if "g" in functions else set()
        return names | ({Gate("share", lane.partition("|")[2])} if "|" in lane else set())

    def is_open(self, gate):
        """Whether a job of it may begin."""
        limit = self.limits.get(gate, Limit())
        is_full = limit.running and len(self.held[gate]) >= limit.running
        return gate not in self.paused and not is_full and not (limit.starts and len(self.starts[gate]) >= limit.starts)

    def able(self, name):
        """The jobs that workers of a class may begin now."""
        served = set(CLASSES[name].serves)

        def is_able(lane):
            queue, functions = queue_of(lane), functions_of(lane)
            wanted = {f"{queue}:", *(f":{one}" for one in functions)} if functions else {queue}
            return wanted <= served and all(map(self.is_open, self.gates_of(lane)))

        return [one for one in self.those("waiting") if is_able(self.jobs[one].lane)]

    def in_lane(self, lane):
        """The jobs that wait in a lane, in their order."""
        found = [one for one in self.those("waiting") if self.jobs[one].lane == lane]
        return sorted(found, key=lambda one: (-self.jobs[one].priority, one))

    def begin(self, job_id, lease):
        """A worker takes it."""
        job = self.jobs[job_id]
        job.state, job.attempts = "running", job.attempts + 1
        for gate in self.gates_of(job.lane):
            limit = self.limits.get(gate, Limit())
            self.held[gate] |= {lease} if limit.running else set()
            self.starts[gate] |= {lease} if limit.starts else set()

    def free(self, lease, *, unbegun=False):
        """An attempt ends."""
        for gate in GATES:
            self.held[gate].discard(lease)
            if unbegun:
                self.starts[gate].discard(lease)

    def end(self, job_id, state):
        """A job ends."""
        job = self.jobs[job_id]
        job.state, job.expires = state, False
        if self.holders.get(job.key) == job_id:
            del self.holders[job.key]

    def limit(self, gate, limit, running):
        """Another limit; `running`: the lanes of all attempts by lease. Whether that changes something."""
        before, self.limits[gate] = self.limits.get(gate, Limit()), limit
        if not limit.running:
            self.held[gate].clear()
        elif not before.running:
            self.held[gate] |= {lease for lease, lane in running.items() if gate in self.gates_of(lane)}
        if not limit.starts:
            self.starts[gate].clear()
        return limit != before
