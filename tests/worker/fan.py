"""Listeners of fan-ins, for workers that are killed: each run is told under `runs <listener>` of namespace `FAN`."""

import os
import time
from collections.abc import Sequence
from typing import Any

import redis

from mlq import MLQ, Split

NAMESPACE = os.environ["FAN"]
mlq = MLQ(NAMESPACE)
side = redis.Redis.from_url(os.environ["MLQ_URL"], retry=redis.retry.Retry(redis.backoff.ConstantBackoff(0.2), 100),
                            retry_on_error=[redis.ConnectionError])  # fmt: skip


def begun(what: str, context: Any) -> None:
    """Tell of a run: whose, and which."""
    side.rpush(f"{{{NAMESPACE}}}:data:runs {what}", context.full_message["id"])


@mlq.listener
def scatter(count: int, context: Any) -> Split:
    """A fan-out, whose items come slowly enough to be interrupted."""
    begun("scatter", context)

    def items() -> Any:
        for number in range(count):
            time.sleep(0.002)
            yield number

    return Split(items(), each="square", into="gather", at_once=8)


@mlq.listener
def square(number: int, context: Any) -> int:
    """One part."""
    begun("square", context)
    time.sleep(0.01)
    return number * number


@mlq.listener
def gather(results: Sequence[int], context: Any) -> list[int]:
    """The join."""
    begun("gather", context)
    return list(results)
