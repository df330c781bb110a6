"""Listeners that change what context variables hold, the module's own and decimal's."""

import contextvars
import decimal
from collections.abc import AsyncIterator, Iterator

from side_channel import hear, mlq, say

from mlq.running.context import JobContext

tenant: contextvars.ContextVar[str] = contextvars.ContextVar("tenant", default="nobody")
region: contextvars.ContextVar[str] = contextvars.ContextVar("region", default="unset")
region.set("set by the module")
decimal.getcontext().prec = 12


def _swap(name: str) -> list[str]:
    """What is seen, before it is changed."""
    seen = [tenant.get(), region.get(), str(decimal.getcontext().prec)]
    tenant.set(name)
    region.set(name)
    decimal.getcontext().prec = 5
    return seen


@mlq.listener
def swaps(name: str) -> list[str]:
    return _swap(name)


@mlq.listener
async def swaps_async(name: str) -> list[str]:
    return _swap(name)


@mlq.listener
def swaps_and_yields(name: str) -> Iterator[str]:
    yield from _swap(name)
    assert tenant.get() == name


@mlq.listener
async def swaps_and_yields_async(name: str) -> AsyncIterator[str]:
    for each in _swap(name):
        yield each
    assert tenant.get() == name


@mlq.listener
def swaps_and_waits(name: str, context: JobContext) -> list[str]:
    """The job that it waits for takes its place."""
    _swap(name)
    seen: list[str] = context.block_until_result(context.post("another", functions=["swaps_async"]), 20)
    assert tenant.get() == name
    return seen


@mlq.listener
def swaps_slowly(name: str) -> list[str]:
    seen = _swap(name)
    say("swapped")
    hear("go on")
    return [*seen, tenant.get()]
