"""Listeners with `per_worker`, which count how many of them run at a time, in any process."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from side_channel import NAMESPACE, hear, mlq, say, side

STEM = f"{{{NAMESPACE}}}:data:"


@contextmanager
def metered(limit: int) -> Iterator[None]:
    if side.incr(f"{STEM}now") > limit:
        side.incr(f"{STEM}too many")
    yield
    side.decr(f"{STEM}now")


@mlq.listener(per_worker=2)
def limited(value: Any) -> Any:
    with metered(2):
        return value


@mlq.listener(per_worker=1)
def limited_until_told(value: Any) -> Any:
    say("begun", os.getpid())
    hear("go on")
    return value


@mlq.listener(batch=8, per_worker=1)
def limited_together(values: list[Any]) -> list[Any]:
    with metered(1):
        if "die" in values:
            side.set(f"{STEM}now", 0)
            os._exit(3)
        return values
