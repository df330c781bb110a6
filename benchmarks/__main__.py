"""Runs the benchmarks and prints one table: `python -m benchmarks [--runs N] [--cases post,drain,...]`."""

import argparse
import statistics
import sys
from collections import defaultdict

from benchmarks.cases import CASES, bare_loop
from benchmarks.stage import stage, use_server


def main() -> None:
    """Each case `--runs` times, interleaved, with the bare loop before and after every round."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--runs", type=int, default=3, help="rounds; the table shows medians (default 3)")
    parser.add_argument("--cases", default=",".join(CASES), help=f"comma-separated, of: {', '.join(CASES)}")
    parser.add_argument("--server", help="the server program, like /usr/bin/redis-server; default: the bundled Valkey")
    options = parser.parse_args()
    use_server(options.server)
    names = options.cases.split(",")
    if unknown := set(names) - set(CASES):
        parser.error(f"no such case: {', '.join(sorted(unknown))}")
    figures: defaultdict[str, list[float]] = defaultdict(list)
    for number in range(options.runs):
        for probe in (bare_loop, *(CASES[name] for name in names), bare_loop):
            print(f"round {number + 1}: {probe.__name__}", file=sys.stderr)
            with stage() as place:
                for name, value in probe(place).items():
                    figures[name].append(value)
    print(f"| measured (median of {options.runs}) | figure | from | to |\n|---|---:|---:|---:|")
    for name, values in figures.items():
        row = (statistics.median(values), min(values), max(values))
        print(f"| {name} | " + " | ".join(f"{value:,.2f}" if value < 100 else f"{value:,.0f}" for value in row) + " |")


if __name__ == "__main__":
    main()
