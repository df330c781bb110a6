"""What a claim of one job costs the server, by its own clock: with few or many workers and models."""

import statistics
from collections.abc import Iterator
from contextlib import closing
from itertools import count, cycle
from typing import NamedTuple

import redis

from mlq.core.keys import Keys
from mlq.ops import jobs as job_ops
from mlq.ops import presence as presence_ops
from mlq.ops import work as work_ops
from mlq.ops.work import WorkerClass
from mlq.server import scratch
from mlq.shell.sync import Shell
from mlq.shell.target import Target

CALLS = 1000  # of each case and round
WAIT = 1000.0  # seconds, so that no job has waited for too long meanwhile
HELD = 5  # models that each worker holds, besides those that the case is about


class Case(NamedTuple):
    """One row: what is claimed, and by whom."""

    title: str
    named: str  # what jobs name: "plain", or "model"
    wait: float = WAIT
    holder: str = ""  # "me" or "other": who holds the models that are asked for; nobody if empty
    batches: bool = False  # whether models take batches, of which a claim tells the server the sizes


CASES = (
    Case("a plain job, by a worker without models", "plain", 0.0),
    Case("a plain job, by a worker with models", "plain"),
    Case("a model's job, without affinity", "model", 0.0),
    Case("a model's job, by a worker that holds it", "model", WAIT, "me"),
    Case("the same, where models take batches", "model", WAIT, "me", batches=True),
    Case("a model's job that nobody holds", "model"),
    Case("a model's job that is passed over", "model", WAIT, "other"),
)


class Scene:
    """A namespace with workers and models; each worker holds some of these."""

    def __init__(self, url: str, workers: int, models: int) -> None:
        self.shell = Shell(Target(url, "arguments"))
        self.raw = redis.Redis.from_url(url)
        self.keys = Keys("zoo")
        self.names = [f"m{number}@1" for number in range(models)]
        self.sizes = work_ops.batches({f":{name}": 32 for name in self.names})
        self.numbers = count(1)
        self.served = WorkerClass.of(["default"], ["default"], ["plain", *self.names])
        self.workers = ["me", *(f"w{number}" for number in range(1, workers))]

    def set_up(self, case: Case) -> None:
        """Nothing waits; who holds what is as the case says."""
        self.raw.flushall()
        while not self.shell.run(work_ops.register(self.keys, self.served, 100)):
            pass
        holders = self.workers if case.holder == "me" else self.workers[1:] if case.holder else []
        for place, name in enumerate([*self.workers, "other"]):
            self.shell.run(presence_ops.alive(self.keys, name, 600, {}))
            if name in holders or (name == "other" and case.holder == "other"):
                held = [self.names[(place * HELD + i) % len(self.names)] for i in range(HELD)]
                self.shell.run(presence_ops.hold(self.keys, name, held, []))
        if case.holder:
            self.shell.run(presence_ops.hold(self.keys, case.holder, self.names, []))

    def cost(self, case: Case) -> float:
        """Microseconds of the server for one claim: the median of many, each of a job that was posted just before."""
        self.set_up(case)
        wanted = cycle(["plain"] if case.named == "plain" else self.names)
        spent = []
        for _ in range(CALLS):
            name = next(wanted)
            self.shell.run(job_ops.post(self.keys, "poster", next(self.numbers), f"default:{name}", [b"0\n\xc0"]))
            spent.append(self._claim(case, name))
        return statistics.median(spent)

    def _claim(self, case: Case, name: str) -> float:
        number, sizes = next(self.numbers), self.sizes if case.batches else b""
        before = self._spent()
        self.shell.run(work_ops.claim(self.keys, "me", number, self.served.name, 60, 1, sizes, case.wait))
        spent = self._spent() - before
        if case.holder == "other":
            lane = f"{self.keys.lane}default:{name}"
            self.raw.delete(lane, self.keys.inbox + "other")
            self.raw.srem(self.keys.lanes, f"default:{name}")
            self.raw.zrem(f"{self.keys.class_}{self.served.name}:ready", f"default:{name}")
        elif not case.holder:
            self.raw.delete(self.keys.holders + name)
        return spent

    def _spent(self) -> float:
        return float(self.raw.info("commandstats").get("cmdstat_evalsha", {}).get("usec", 0))


def costs(workers: tuple[int, ...], models: tuple[int, ...]) -> Iterator[tuple[str, list[float]]]:
    """Each case with its costs, for the fewest workers and models first."""
    with scratch(appendfsync=None, port=0) as server:
        scenes = [Scene(server.url, some, many) for some in workers for many in models]
        for case in CASES:
            yield case.title, [scene.cost(case) for scene in scenes]
        for scene in scenes:
            with closing(scene.raw), closing(scene.shell):
                pass
