"""The worker process of the benchmarks, whose listeners do next to nothing."""

import sys
import time
from collections.abc import Sequence

from mlq import MLQ, Forward, Split


def work(message: object) -> object:
    """Echo; a mapping with `sleep` sleeps so many seconds first."""
    if isinstance(message, dict) and "sleep" in message:
        time.sleep(message["sleep"])
    return message


def forward(message: object) -> Forward:
    """Goes on as an echo."""
    return Forward(message, to=work)


def scan(parts: int) -> Split:
    """So many echoes, and their count."""
    return Split(range(parts), each=work, into=count)


def count(results: Sequence[object]) -> int:
    return len(results)


def chain(left: int) -> Forward | int:
    """So many more steps."""
    return Forward(left - 1, to="chain") if left else 0


def main() -> None:
    """Work until SIGTERM."""
    url, namespace, slots, echoes = sys.argv[1:5]
    mlq = MLQ(namespace, url=url)
    for i in range(int(echoes)):
        mlq.listener(name=f"echo_{i}")(lambda message: message)
    for listener in (forward, scan, count, chain):
        mlq.listener(listener, queue="steps")  # or they would run for jobs that name none
    mlq.create_listener(work, concurrency=int(slots), grace=1.0)


if __name__ == "__main__":
    main()
