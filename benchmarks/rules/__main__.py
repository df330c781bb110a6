"""What each rule costs a job, beside a plain one: python -m benchmarks.rules [--runs N] [--count N] [--server PROGRAM].

Jobs are posted one by one while the only worker, of ten threads, is busy; then it runs them. The table has medians of
the posts and runs a second, and of the server's own time for a job, from its post to its end. Rounds are interleaved.
Takes about two minutes a round.
"""

import argparse
import statistics
import sys
import time
from collections import defaultdict
from collections.abc import Callable
from typing import Any, NamedTuple

from benchmarks.stage import Stage, stage, use_server
from mlq import MLQ

Options = Callable[[int], dict[str, Any]]


class Kind(NamedTuple):
    """Jobs under one rule."""

    options: Options = lambda _: {}
    prepare: Callable[[MLQ], object] = lambda _: None
    echoes: int = 0  # functions that the worker has besides


def _delayed(mlq: MLQ) -> None:
    mlq.post_many(range(100_000), delay=1e6)


def _keys(mlq: MLQ) -> None:
    for number in range(10_000):
        mlq.post(number, key=f"other-{number}", delay=1e6)


def _schedules(mlq: MLQ) -> None:
    for number in range(100):
        mlq.schedules.add(f"s{number}", every=1e6, functions=["work"])


KINDS: dict[str, Kind] = {
    "plain": Kind(),
    "`expires`": Kind(lambda _: {"expires": 3600}),
    "`priority`": Kind(lambda number: {"priority": number % 3}),
    "`delay`, due when the worker is free": Kind(lambda _: {"delay": 0.01}),
    "`key`, a new one each": Kind(lambda number: {"key": f"k{number}"}),
    "`share`, 1": Kind(lambda _: {"share": "s"}),
    "`share`, 1,000": Kind(lambda number: {"share": f"s{number % 1000}"}),
    "limit of another function": Kind(prepare=lambda mlq: mlq.limit(function="other", running=1)),
    "limit that is not reached": Kind(prepare=lambda mlq: mlq.limit(queue="default", running=1000)),
    "limit of 10, as many as slots": Kind(prepare=lambda mlq: mlq.limit(queue="default", running=10)),
    "rate that is not reached": Kind(prepare=lambda mlq: mlq.limit(queue="default", rate="10000/s")),
    "length of the queue limited": Kind(prepare=lambda mlq: mlq.limit(queue="default", length=10_000_000)),
    "plain, beside 100,000 delayed": Kind(prepare=_delayed),
    "plain, beside 10,000 keys": Kind(prepare=_keys),
    "plain, beside 100 schedules": Kind(prepare=_schedules),
    "plain, for 1,000 functions": Kind(lambda number: {"functions": [f"echo_{number % 1000}"]}, echoes=1000),
}


def measure(place: Stage, kind: Kind, count: int) -> tuple[float, float, float]:
    """Posts a second, runs a second, and microseconds of the server's time for a job."""
    mlq = place.mlq
    with place.worker(10, kind.echoes):
        kind.prepare(mlq)
        busy = mlq.post_many([{"sleep": 1.5 + count / 1000}] * 10)
        time.sleep(0.5)  # until all of them run
        spent, began = _server_seconds(mlq), time.perf_counter()
        last = [mlq.post(number, **kind.options(number)) for number in range(count)]
        posts = count / (time.perf_counter() - began)
        mlq.wait(busy[-1], timeout=120)
        began = time.perf_counter()
        for job_id in last[-1000:]:
            mlq.wait(job_id, timeout=300)
        runs = count / (time.perf_counter() - began)
        return posts, runs, 1e6 * (_server_seconds(mlq) - spent) / count


def _server_seconds(mlq: MLQ) -> float:
    """The server's processor time."""
    found = mlq._redis.info("cpu")
    return float(found["used_cpu_user_main_thread"]) + float(found["used_cpu_sys_main_thread"])


def main() -> None:
    """As the module says."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.rules", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)  # fmt: skip
    parser.add_argument("--runs", type=int, default=3, help="rounds; the table has medians (default 3)")
    parser.add_argument("--count", type=int, default=5000, help="jobs of each measurement (default 5,000)")
    parser.add_argument("--server", help="the server program, like /usr/bin/redis-server; default: the bundled Valkey")
    given = parser.parse_args()
    use_server(given.server)
    found = defaultdict[str, list[tuple[float, float, float]]](list)
    for _ in range(given.runs):
        for title, kind in KINDS.items():
            with stage() as place:
                found[title].append(measure(place, kind, given.count))
            print(title, found[title][-1], file=sys.stderr)
    print("| jobs | posts/s | runs/s | server us per job | ÷ plain |\n|---|---:|---:|---:|---:|")
    plain = statistics.median(column[2] for column in found["plain"])
    for title, rows in found.items():
        posts, runs, spent = (statistics.median(column) for column in zip(*rows, strict=True))
        print(f"| {title} | {posts:,.0f} | {runs:,.0f} | {spent:.0f} | {spent / plain:.2f} |")


if __name__ == "__main__":
    main()
