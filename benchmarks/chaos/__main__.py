"""Runs the chaos suite: `python -m benchmarks.chaos --minutes 60 --seed 1 [--jobs-per-second 60]`."""

import argparse
import sys

from benchmarks.chaos import harness, report, verify
from benchmarks.chaos.adversary import schedule


def main() -> int:
    """A run, its figures, and what is wrong; 1 when something is."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.chaos", description=__doc__)
    parser.add_argument("--minutes", type=float, default=1.0, help="of chaos; peace afterwards takes up to 75 s more")
    parser.add_argument("--seed", type=int, default=1, help="decides the jobs and what the adversary does, and when")
    parser.add_argument("--jobs-per-second", type=float, default=60.0, help="posted (default 60)")
    parser.add_argument("--schedule", action="store_true", help="only print what the adversary will do")
    options = parser.parse_args()
    if options.schedule:
        for step in schedule(options.seed, options.minutes * 60):
            print(f"{step.at:8.1f} s  {step.action:<16} {step.seconds:4.1f} s  pick {step.pick:.3f}")
        return 0
    evidence = harness.run(options.seed, options.minutes * 60, options.jobs_per_second)
    wrong = verify.problems(evidence)
    print(report.lines(evidence, options.seed))
    print(f"{'keys left':>24}  {', '.join(f'{kind} {count}' for kind, count in evidence.keys.items())}")
    print("\n" + report.markdown(evidence, options.seed))
    for problem in wrong:
        print(f"WRONG: {problem}", file=sys.stderr)
    print(f"\n{len(wrong)} problems" if wrong else "\nNothing is wrong.")
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main())
