"""Twenty models on four workers, and what a claim costs: python -m benchmarks.zoo [--runs N] [--requests N] ...

loads   20 models (0.5 s to load, 5 ms for a prediction) on 4 workers of 2 slots with room for 3 models each; 6 clients
        ask, each for one at a time, by Zipf's law: the n-th model is asked for 1/n as often as the first one. With
        affinity, and without (--affinity-wait 0). A load also starts a Python, which costs a core 0.4 s.
        Ray Serve's multiplexing, which loads within its replicas: benchmarks/zoo/ray_serve.py
claims  the server's own time for claiming one job, with 1 and 200 workers that live and 1 and 1,000 models.

A round takes some ten minutes on two cores.
"""

import argparse
import statistics
import sys
import tempfile
from collections import defaultdict
from pathlib import Path

from benchmarks.stage import use_server
from benchmarks.zoo.claims import costs
from benchmarks.zoo.loads import Told, measure

WAITS = {"with affinity": "1", "without": "0"}
WORKERS, MODELS = (1, 200), (1, 1000)


def loads(runs: int, requests: int) -> str:
    """A table of medians."""
    found = defaultdict[str, list[Told]](list)
    for _ in range(runs):
        for title, wait in WAITS.items():
            with tempfile.TemporaryDirectory() as folder:
                found[title].append(told := measure(Path(folder), wait, requests))
            print(title, told, file=sys.stderr)
    heads = (
        "",
        "loads per 1,000 requests",
        "evictions",
        "p50 ms",
        "p99 ms",
        "requests/s",
        "most memory, % of the budget",
    )
    lines = [f"| {' | '.join(heads)} |", "|---|" + "---:|" * len(Told._fields)]
    for title, each in found.items():
        medians = (statistics.median(column) for column in zip(*each, strict=True))
        lines.append(f"| {title} | " + " | ".join(f"{value:,.0f}" for value in medians) + " |")
    return "\n".join(lines)


def claims(runs: int) -> str:
    """A table of medians."""
    found = defaultdict[str, list[list[float]]](list)
    for _ in range(runs):
        for title, row in costs(WORKERS, MODELS):
            found[title].append(row)
    heads = [f"{some} worker{'s'[: some - 1]}, {many:,} model{'s'[: many - 1]}" for some in WORKERS for many in MODELS]
    lines = [f"| us for a claim of | {' | '.join(heads)} |", "|---|" + "---:|" * len(heads)]
    for title, rows in found.items():
        medians = [statistics.median(column) for column in zip(*rows, strict=True)]
        lines.append(f"| {title} | " + " | ".join(f"{value:.0f}" for value in medians) + " |")
    return "\n".join(lines)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m benchmarks.zoo", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)  # fmt: skip
    parser.add_argument("what", nargs="*", default=["claims", "loads"], help="claims, loads (default: both)")
    parser.add_argument("--runs", type=int, default=3, help="rounds; tables show medians (default 3)")
    parser.add_argument("--requests", type=int, default=1000, help="of each measurement of loads (default 1,000)")
    parser.add_argument("--server", help="the server program, like /usr/bin/redis-server; default: the bundled Valkey")
    given = parser.parse_args()
    use_server(given.server)
    if "claims" in given.what:
        print(claims(given.runs))
    if "loads" in given.what:
        print(loads(given.runs, given.requests))
