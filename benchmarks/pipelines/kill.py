"""Fan-ins while one of two workers is killed again and again: joins that never ran, and those that ran twice."""

import random
import sys
import time
from collections import defaultdict
from dataclasses import dataclass, field

from benchmarks.pipelines.running import Failed, Place, place
from benchmarks.pipelines.systems import SYSTEMS

WORKERS = 2
PAUSES = 0.5, 2.5  # seconds between two kills; the worker that has run longer is killed
QUIET = 20.0  # seconds without any run after which all is over, or more if the system may need more to recover
CUT = 0.5  # seconds: a run that close before the kill of its process may not have been recorded
LONGEST = 900.0  # seconds


@dataclass(frozen=True)
class Run:
    """One line of the file of runs."""

    kind: str
    number: int
    index: int
    pid: int
    at: float


@dataclass(frozen=True)
class Plan:
    """What happens, the same for each system."""

    seed: int
    fans: int = 200
    parts: int = 50
    milliseconds: int = 10  # that a part sleeps
    seconds: int = 30  # over which fan-ins are posted and workers are killed


@dataclass
class Kills:
    """When which processes were killed."""

    happened: list[tuple[float, frozenset[int]]] = field(default_factory=list)

    def cut(self, run: Run) -> bool:
        """Whether the run's process was killed right then, so that running it again is right."""
        return any(run.pid in pids and 0 <= at - run.at < CUT for at, pids in self.happened)


def kill(system: str, plan: Plan) -> dict[str, float]:
    """What became of the joins. Raises Failed."""
    with place(system, reliable=True) as there:
        for _ in range(WORKERS):
            there.start()
        there.figures("warm")
        poster = there.begin("pace", plan.fans, plan.parts, plan.milliseconds, plan.seconds)
        kills = Kills()
        try:
            _adversary(there, plan, kills)
            if poster.wait(plan.seconds + 60):
                raise Failed(f"the poster ended with code {poster.returncode}")
        finally:
            poster.kill()
            poster.wait()
        _settle(there, max(QUIET, SYSTEMS[system].recovery + 10))
        return _told(system, plan, kills, _read(there))


def _adversary(there: Place, plan: Plan, kills: Kills) -> None:
    chance, ends = random.Random(plan.seed), time.monotonic() + plan.seconds
    while time.monotonic() + (pause := chance.uniform(*PAUSES)) < ends:
        time.sleep(pause)
        kills.happened.append((time.monotonic(), there.end(there.workers[0])))
        there.start()


def _settle(there: Place, quiet: float) -> None:
    """Until nothing has run for so long: late second runs count, too."""
    size, since, gives_up = -1, time.monotonic(), time.monotonic() + LONGEST
    while time.monotonic() < min(since + quiet, gives_up):
        if (now := there.runs.stat().st_size) != size:
            size, since = now, time.monotonic()
        time.sleep(0.2)


def _read(there: Place) -> list[Run]:
    lines = (line.split() for line in there.runs.read_text().splitlines())
    return [Run(kind, int(number), int(index), int(pid), float(at)) for kind, number, index, pid, at in lines]


def _told(system: str, plan: Plan, kills: Kills, runs: list[Run]) -> dict[str, float]:
    joins: defaultdict[int, list[Run]] = defaultdict(list)
    for run in runs:
        if run.kind == "join":
            joins[run.number].append(run)
    lost = sorted(set(range(plan.fans)) - joins.keys())
    again = {number: found for number, found in joins.items() if len(found) > 1}
    unexplained = sorted(number for number, found in again.items() if not all(map(kills.cut, found[:-1])))
    parts = [(run.number, run.index) for run in runs if run.kind == "part"]
    for what, numbers in (("never ran", lost), ("ran again", sorted(again)), ("ran again, unexplained", unexplained)):
        if numbers:
            print(f"seed {plan.seed}, {system}: joins that {what}: {numbers}", file=sys.stderr)
    return {
        "kills": len(kills.happened),
        "joins": plan.fans,
        "never ran": len(lost),
        "ran twice or more": len(again),
        "of these not cut off by a kill": len(unexplained),
        "ran with too few results": sum(run.index != plan.parts for found in joins.values() for run in found),
        "parts that never ran": plan.fans * plan.parts - len(set(parts)),
        "parts run again": len(parts) - len(set(parts)),
        "seconds to the last run": max((run.at for run in runs), default=0.0)
        - min((run.at for run in runs), default=0.0),
    }
