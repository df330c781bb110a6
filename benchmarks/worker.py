"""The worker process of the benchmarks: one listener that does next to nothing."""

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
    url, namespace, slots = sys.argv[1:4]
    MLQ(namespace, url=url).create_listener(work, concurrency=int(slots), grace=1.0)


if __name__ == "__main__":
    main()
