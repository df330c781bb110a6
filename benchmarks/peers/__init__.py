"""MLQ and its peers behind one small protocol: what each needs, how it is run, and how many jobs suffice for a rate.

Modules in here run in each peer's own environment: they import the standard library and that peer, never MLQ.
"""

from dataclasses import dataclass
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]
ENVIRONMENTS = PROJECT / "benchmarks" / ".peers"
THREAD, PROCESS, ASYNCIO = "thread", "process", "asyncio"
SLOTS = {THREAD: 10, PROCESS: 2, ASYNCIO: 100}


@dataclass(frozen=True)
class Peer:
    """One competitor."""

    requirements: tuple[str, ...]  # for pip; the first names the package whose version is reported
    drains: dict[str, int]  # its pools, the usual one first, and the jobs of a drain: two seconds' worth
    calls: tuple[str, ...] = ()  # pools measured in the cases that wait for single jobs; the usual one if none
    runs_one: bool = False  # job at a time, whatever number of slots is asked for

    @property
    def usual(self) -> str:
        return next(iter(self.drains))

    @property
    def waited(self) -> tuple[str, ...]:
        return self.calls or (self.usual,)


PEERS = {
    "mlq": Peer(("mlq",), {THREAD: 20_000, PROCESS: 4_000, ASYNCIO: 20_000}, (THREAD, PROCESS, ASYNCIO)),
    "bare": Peer(("redis", "hiredis"), {THREAD: 20_000}, runs_one=True),
    "celery": Peer(("celery[redis]", "hiredis"), {THREAD: 1_600, PROCESS: 1_400}, (THREAD, PROCESS)),
    "rq": Peer(("rq", "hiredis"), {PROCESS: 120}),
    "dramatiq": Peer(("dramatiq[redis]", "hiredis"), {THREAD: 5_000, PROCESS: 5_000}),
    "huey": Peer(("huey", "redis", "hiredis"), {THREAD: 5_000, PROCESS: 5_000}),
    "arq": Peer(("arq", "hiredis"), {ASYNCIO: 2_000}),
    "saq": Peer(("saq[redis,hiredis]", "typing-extensions"), {ASYNCIO: 3_500}),
    "streaq": Peer(("streaq",), {ASYNCIO: 2_000}),
    "taskiq": Peer(("taskiq", "taskiq-redis", "hiredis"), {ASYNCIO: 3_000}),
    "docket": Peer(("pydocket", "hiredis"), {ASYNCIO: 2_500}),
}
