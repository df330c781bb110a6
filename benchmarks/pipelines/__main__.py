"""Pipelines in MLQ and in its peers, side by side: python -m benchmarks.pipelines [--runs N] [--systems ...] ...

python -m benchmarks.pipelines install     environments for the peers, below benchmarks/.peers
python -m benchmarks.pipelines             all cases; systems take turns within a case

Each measurement has a fresh private server that keeps nothing on disk, on core 0; workers and clients have core 1.
`kill` counts joins that are lost or run twice while one of two workers is killed again and again; each round has a
seed of its own, the same for each system. It takes about a minute for each system and round, and for RQ five. Needs
Linux.
"""

import argparse
import signal
import sys
from contextlib import suppress
from dataclasses import dataclass

from benchmarks.bench import bare_loop
from benchmarks.peers.environments import lacking, try_to_make
from benchmarks.pipelines.kill import Plan, kill
from benchmarks.pipelines.report import Book, ending, table
from benchmarks.pipelines.running import Failed, place
from benchmarks.pipelines.systems import SYSTEMS
from benchmarks.stage import use_server
from mlq.server import scratch


@dataclass(frozen=True)
class Case:
    """What is measured."""

    title: str
    count: int = 0  # of jobs; 0 means what the system's own entry says
    has_worker: bool = True


CASES = {
    "forward": Case("Jobs that go on as another one, beside two plain jobs each (MLQ's aim: time ÷ two plain ≤ 1.1)"),
    "fan": Case(
        "A fan-in of 1,000 parts, from its post to its join, beside 1,001 plain jobs (MLQ's aim: ≥ 0.8)", 1_000
    ),
    "chain": Case("Chains of 10 steps: one alone, and 200 at once", 200),
    "memory": Case(
        "What a job that waits for another one costs the server, beside a plain one", 1_000, has_worker=False
    ),
    "kill": Case("Joins of fan-ins while one of two workers is killed again and again: sums over all rounds"),
}
SMALL = Plan(seed=0, fans=20, parts=5, seconds=6)


def measure(case: str, name: str, seed: int, *, quick: bool) -> dict[str, float]:
    """The figures. Raises Failed."""
    if case == "kill":
        plan = SMALL if quick else Plan(seed)
        return kill(name, Plan(seed, plan.fans, plan.parts, plan.milliseconds, plan.seconds))
    count = CASES[case].count or SYSTEMS[name].jobs
    if quick and CASES[case].has_worker:  # without one it takes a second, and fewer jobs could not be told from noise
        count = max(1, count // 20)
    with place(name) as there:
        worker = there.start().pid if CASES[case].has_worker else 0
        return there.figures(case, worker, count)


def note(book: Book, case: str, name: str, seed: int, *, quick: bool) -> None:
    print(f"round of seed {seed}: {case}, {name}", file=sys.stderr)
    book.loops.append(loop())
    try:
        figures = measure(case, name, seed, quick=quick)
        book.figures[case, name].append(figures)
    except Failed as error:
        book.failures[case, name] = str(error)
    book.loops.append(loop())


def loop() -> float:
    with place("mlq") as there:
        return bare_loop(there.url)


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.pipelines", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)  # fmt: skip
    parser.add_argument("what", nargs="?", choices=["run", "install"], default="run")
    parser.add_argument("--runs", type=int, default=3, help="rounds; tables show medians (default 3)")
    parser.add_argument("--seed", type=int, default=1, help="of the first round of kills (default 1)")
    parser.add_argument("--systems", default=",".join(SYSTEMS), help=f"of: {', '.join(SYSTEMS)}")
    parser.add_argument("--cases", default=",".join(CASES), help=f"of: {', '.join(CASES)}")
    parser.add_argument("--server", help="the server program, like /usr/bin/redis-server; default: the bundled Valkey")
    parser.add_argument("--quick", action="store_true", help="a twentieth of the jobs: shows that all works, no more")
    given = parser.parse_args()
    given.systems, given.cases = given.systems.split(","), given.cases.split(",")
    if unknown := (set(given.systems) - set(SYSTEMS)) | (set(given.cases) - set(CASES)):
        parser.error(f"no such system or case: {', '.join(sorted(unknown))}")
    return given


def install() -> None:
    for each in SYSTEMS.values():
        if each.requirements:
            try_to_make(each.module, each.requirements)


def run(given: argparse.Namespace) -> None:
    use_server(given.server)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # no worker outlives this process
    why = {name: absent(name) for name in given.systems}
    there = [name for name, reason in why.items() if not reason]
    book = Book(notes=[f"{name} is not installed: {reason}" for name, reason in why.items() if reason])
    with suppress(KeyboardInterrupt):  # what there is by then is told
        for seed in range(given.seed, given.seed + given.runs):
            for case in given.cases:
                for name in there:
                    note(book, case, name, seed, quick=given.quick)
    for case in given.cases:
        print(table(book, case, CASES[case].title, summed=case == "kill"))
    with scratch(port=0, appendfsync=None) as server:
        print(ending(book, there, server.url))


def absent(name: str) -> str:
    each = SYSTEMS[name]
    return lacking(each.module, "python -m benchmarks.pipelines install") if each.requirements else ""


if __name__ == "__main__":
    chosen = options()
    install() if chosen.what == "install" else run(chosen)
