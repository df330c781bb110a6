"""The listeners of jobs under rules: each takes its time, and leaves a record of its run."""

import asyncio
import time
from typing import Any

from benchmarks.chaos import effects
from benchmarks.chaos.mix import value
from benchmarks.chaos.rules import plans
from mlq import MLQ

_USES = {plans.ASKS: plans.RESOURCE, plans.TELLS: plans.RESOURCE}
_QUEUES = {plans.NARROW: plans.NARROW_QUEUE, plans.PAUSED: plans.PAUSED_QUEUE}
_NAMES = (
    plans.LIMITED, plans.ASKS, plans.TELLS, plans.SHARED, plans.NARROW, plans.KEYED, plans.DEBOUNCED, plans.PAUSED,
    plans.BEATS,
)  # fmt: skip


def declare(mlq: MLQ, *, is_asyncio: bool, backoff: float) -> None:
    """Declare them all, as coroutines for the asyncio pool, and the schedule of the code."""
    body = _wait if is_asyncio else _sleep
    for name in _NAMES:
        mlq.listener(name=name, backoff=backoff, queue=_QUEUES.get(name, plans.QUEUE), uses=_USES.get(name))(body)
    ticks = mlq.listener(name=plans.TICKS, backoff=backoff, queue=plans.QUEUE)(body)
    message = plans.message(plans.TICKS, -1, plans.SECONDS[plans.TICKS])
    mlq.schedule(every=plans.EVERY[plans.TICKS], name=plans.TICKS, msg=message, **plans.TICKS_RULES)(ticks)


def _sleep(message: dict[str, Any], context: Any) -> list[int]:
    with effects.recorded(context.full_message) as attempt:
        time.sleep(message["seconds"])
        return value(message["number"], attempt)


async def _wait(message: dict[str, Any], context: Any) -> list[int]:
    with effects.recorded(context.full_message) as attempt:
        await asyncio.sleep(message["seconds"])
        return value(message["number"], attempt)
