"""Measures MLQ and its peers side by side: `python -m benchmarks.compare [--runs N] [--peers ...] [--cases ...]`.

`python -m benchmarks.peers install` comes first. Every measurement gets a fresh private server that keeps nothing on
disk, pinned to core 0; workers and clients have core 1. Peers take turns within a case, and a bare loop of redis-py is
timed before and after each, so that a slow spell of the machine shows. Workers log warnings only. Needs Linux.
"""

import argparse
import compileall
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import mlq
from benchmarks import report
from benchmarks.bench import Failed, Measurement, bare_loop, measure, server_benchmark
from benchmarks.peers import ASYNCIO, PEERS, PROCESS, SLOTS, THREAD
from benchmarks.peers.environments import python_of
from benchmarks.stage import pin, use_server
from mlq.server import Scratch, scratch


@dataclass(frozen=True)
class Case:
    """What is measured, for whom."""

    title: str
    count: int  # jobs; 0 means what the peer's own entry says
    pools: tuple[str, ...] = ()  # of which pools; those for waiting if none
    has_worker: bool = True
    once: bool = False  # what hardly varies is measured in the first round alone
    less_is_better: bool = False
    name: str = ""  # the client's name of it, if another
    slots: int = 0  # of the worker; 0 means the usual number of its pool


CASES = {
    "post": Case("Post one by one, 100 bytes", 2_000, has_worker=False),
    "bulk": Case("Post in bulk, 100 bytes, 250 in each of the peer's own bulk calls", 5_000, has_worker=False),
    "drain-thread": Case("Drain of small jobs, 10 threads, results stored", 0, (THREAD,), name="drain"),
    "drain-process": Case("Drain of small jobs, 2 child processes, results stored", 0, (PROCESS,), name="drain"),
    "drain-asyncio": Case("Drain of small jobs, asyncio with 100 slots, results stored", 0, (ASYNCIO,), name="drain"),
    "latency": Case("From submit to result, idle worker", 300, less_is_better=True),
    "sleepers": Case("1,000 jobs that sleep 100 ms, 100 slots", 1_000, (THREAD, ASYNCIO), slots=100),
    "large": Case("1 MB there and back", 20, less_is_better=True),
    "memory": Case("What a waiting job costs the server", 3_000, has_worker=False, once=True, less_is_better=True),
    "idle": Case("A worker without work", 10, once=True, less_is_better=True),
}


def entrants(case: Case, peers: list[str]) -> Iterator[tuple[str, str]]:
    """Who takes part in a case, and with which pool."""
    for name in peers:
        peer = PEERS[name]
        if case.slots and peer.runs_one:
            continue
        if not case.has_worker:
            yield name, peer.usual
        else:
            yield from ((name, pool) for pool in peer.drains if pool in (case.pools or peer.waited))


def planned(key: str, name: str, pool: str, *, quick: bool) -> Measurement:
    case = CASES[key]
    count = case.count or PEERS[name].drains[pool]
    if quick:
        count = max(count // 20, case.slots or 1)
    return Measurement(name, pool, case.slots or SLOTS[pool], case.name or key, count, case.has_worker)


def taken(plan: Measurement) -> report.Taken:
    """One measurement between two bare loops, or why there is none."""
    with scratch(port=0, appendfsync=None) as server:
        pin(server.pid, 0)
        before = bare_loop(server.url)
        try:
            figures, failure = measure(plan, server.url), ""
        except Failed as error:
            figures, failure = {}, str(error)
        return report.Taken(plan.peer, plan.pool, figures, failure, (before, bare_loop(server.url)))


def plain_benchmark() -> float | None:
    with scratch(port=0, appendfsync=None) as server:
        pin(server.pid, 0)
        return server_benchmark(server.url)


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.compare", description=__doc__)
    parser.add_argument("--runs", type=int, default=3, help="rounds; tables show medians (default 3)")
    parser.add_argument("--peers", default=",".join(PEERS), help=f"of: {', '.join(PEERS)}; mlq is always there")
    parser.add_argument("--cases", default=",".join(CASES), help=f"of: {', '.join(CASES)}")
    parser.add_argument("--server", help="the server program, like /usr/bin/redis-server; default: the bundled Valkey")
    parser.add_argument("--quick", action="store_true", help="a twentieth of the jobs: shows that all works, no more")
    given = parser.parse_args()
    given.peers = list(dict.fromkeys(["mlq", *given.peers.split(",")]))
    given.cases = given.cases.split(",")
    if unknown := (set(given.peers) - set(PEERS)) | (set(given.cases) - set(CASES)):
        parser.error(f"no such peer or case: {', '.join(sorted(unknown))}")
    if missing := [name for name in given.peers if not python_of(name).exists()]:
        parser.error(f"first: python -m benchmarks.peers install {' '.join(missing)}")
    return given


def main() -> None:
    given = options()
    use_server(given.server)
    compileall.compile_dir(Path(mlq.__file__).parent, quiet=1)  # as pip did for the peers; it saves each worker 0.7 MB
    pin(os.getpid(), 1)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # no worker outlives this process
    book = report.Book({key: case.title for key, case in CASES.items() if key in given.cases})
    with suppress(KeyboardInterrupt):  # what there is by then is told
        for number in range(given.runs):
            book.benchmarks.append(plain_benchmark())
            one_round(book, given, number)
    with scratch(port=0, appendfsync=None) as server:
        print_all(book, given, server)


def one_round(book: report.Book, given: argparse.Namespace, number: int) -> None:
    for key in given.cases:
        if CASES[key].once and number:
            continue
        for name, pool in entrants(CASES[key], given.peers):
            print(f"round {number + 1}: {key}, {name} {pool}", file=sys.stderr)
            book.add(key, taken(planned(key, name, pool, quick=given.quick)))


def print_all(book: report.Book, given: argparse.Namespace, server: Scratch) -> None:
    for key in given.cases:
        print(report.table(book, key, less_is_better=CASES[key].less_is_better))
    print(report.probes(book))
    print(report.versions(given.peers, server.url))


if __name__ == "__main__":
    main()
