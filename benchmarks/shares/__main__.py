"""Draws how shares divide the time of a worker: python -m benchmarks.shares.

Two users share one slot: jobs of 0.6 s and of 0.01 s, sixty to one as 60 s and 1 s are. Writes docs/figures/shares.svg:
the seconds that each user's jobs have had, with shares and without. Takes a minute. What shares cost is measured by
`python -m benchmarks.rules`.
"""

import argparse
import time
from collections import defaultdict
from pathlib import Path

from benchmarks.shares.drawing import draw
from benchmarks.stage import Stage, stage, use_server
from mlq.pools.thread import ThreadPool

FIGURE = Path(__file__).resolve().parents[2] / "docs" / "figures" / "shares.svg"
LONG, SHORT, SECONDS = 0.6, 0.01, 24.0  # of a job of either user; for how long it is drawn

Points = list[tuple[float, float]]


def drawn(place: Stage, *, shares: bool) -> dict[str, Points]:
    """The seconds that the jobs of each user have had, over the time. The long jobs were posted first."""
    mlq = place.mlq
    used, points, began = defaultdict[str, float](float), defaultdict[str, Points](list), time.perf_counter()

    def work(message: dict[str, object]) -> None:
        at = time.perf_counter()
        time.sleep(float(str(message["seconds"])))
        user, now = str(message["user"]), time.perf_counter()
        used[user] += now - at
        points[user].append((now - began, used[user]))

    mlq.listener(work)
    for user, seconds in (("a", LONG), ("b", SHORT)):
        mlq.post_many([{"user": user, "seconds": seconds}] * int(SECONDS / seconds), share=user if shares else None)
    worker = mlq.make_worker(ThreadPool(1))
    began = time.perf_counter()
    worker.start()
    time.sleep(SECONDS)
    worker.stop(0)
    return {user: [(0.0, 0.0), *points[user], (SECONDS, used[user])] for user in "ab"}


def main() -> None:
    """As the module says."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.shares", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)  # fmt: skip
    parser.add_argument("--server", help="the server program, like /usr/bin/redis-server; default: the bundled Valkey")
    use_server(parser.parse_args().server)
    found = {}
    for shares in (True, False):
        with stage() as place:
            found[shares] = drawn(place, shares=shares)
    FIGURE.parent.mkdir(exist_ok=True)
    FIGURE.write_text(draw(found[True], found[False], SECONDS))
    print(FIGURE)


if __name__ == "__main__":
    main()
