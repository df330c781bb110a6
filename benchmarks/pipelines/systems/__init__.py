"""MLQ and its peers behind one small protocol for pipelines: what each needs, and how many jobs suffice for a rate.

Modules in here run in each peer's own environment: they import the standard library and that peer, never another one.
"""

import sys
from dataclasses import dataclass
from pathlib import Path

from benchmarks.peers import ASYNCIO, PROCESS, THREAD
from benchmarks.peers.environments import python_of


@dataclass(frozen=True)
class System:
    """One competitor."""

    module: str  # also the name of its environment
    pool: str
    jobs: int  # that forward, for a rate: about two seconds' worth
    recovery: float  # seconds after which a dead worker's jobs run again at the latest, with the settings used here
    slots: int = 0  # of a worker; 0 means the usual number of its pool
    requirements: tuple[str, ...] = ()  # for pip; the first names the package whose version is reported

    @property
    def python(self) -> Path:
        """The interpreter that runs it; MLQ's is this one."""
        return python_of(self.module) if self.requirements else Path(sys.executable)


# rq has one worker for rates: each worker WATCHes the registry of all released jobs, so with two a release can be given
# up until maintenance, ten minutes later (rq 3.0.0, `ReadyJobRegistry.enqueue_jobs`).
#
# Recovery. celery: invisible for 5 s, looked for every 2 s. rq: 65 s, of which nothing shortens 60, and twice 5 s.
# streaq: idle for 3 s. bullmq: locked for 3 s, and stalled at the second look, every 3 s.
SYSTEMS = {
    "mlq": System("mlq", THREAD, 5_000, 10),
    "mlq-process": System("mlq", PROCESS, 2_000, 10),
    "celery": System("celery", PROCESS, 600, 10, 0, ("celery[redis]", "hiredis")),
    "rq": System("rq", PROCESS, 60, 80, 1, ("rq", "hiredis")),
    "streaq": System("streaq", ASYNCIO, 1_000, 10, 0, ("streaq",)),
    "bullmq": System("bullmq", ASYNCIO, 1_000, 12, 0, ("bullmq", "hiredis")),
}
