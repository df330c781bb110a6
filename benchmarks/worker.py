"""The worker process of the benchmarks, whose listeners do next to nothing."""

import sys
import time

from mlq import MLQ


def work(message: object) -> object:
    """Echo; a mapping with `sleep` sleeps so many seconds first."""
    if isinstance(message, dict) and "sleep" in message:
        time.sleep(message["sleep"])
    return message


def main() -> None:
    """Work until SIGTERM."""
    url, namespace, slots, echoes = sys.argv[1:5]
    mlq = MLQ(namespace, url=url)
    for i in range(int(echoes)):
        mlq.listener(name=f"echo_{i}")(lambda message: message)
    mlq.create_listener(work, concurrency=int(slots), grace=1.0)


if __name__ == "__main__":
    main()
