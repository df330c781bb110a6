"""Listeners that do what an adversary thought of."""

import asyncio
import multiprocessing
import sys
import time
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from side_channel import mlq, say

from mlq.running.context import JobContext

kept: list[JobContext] = []


@mlq.listener
async def waits_for_three_on_the_loop(_: Any, context: JobContext) -> list[Any]:
    """Three waits side by side, in coroutines."""
    ids = [context.post(value, functions=["echo"]) for value in range(3)]
    return list(await asyncio.gather(*(context.wait(each, 20) for each in ids)))


@mlq.listener
def waits_for_three_in_threads(_: Any, context: JobContext) -> list[Any]:
    """Three waits side by side, in threads of its own."""
    ids = [context.post(value, functions=["echo"]) for value in range(3)]
    with ThreadPoolExecutor(3) as threads:
        return list(threads.map(lambda each: context.block_until_result(each, 20), ids))


@mlq.listener
def waits_twice(_: Any, context: JobContext) -> list[Any]:
    return [context.block_until_result(context.post(value, functions=["echo"]), 20) for value in range(2)]


def _square(number: int) -> int:
    print("squaring", number, flush=True)
    time.sleep(0.02)
    return number * number


@mlq.listener
def forks(_: Any, context: JobContext) -> list[int]:
    """A pool of forked processes that print, while this one emits."""
    with multiprocessing.get_context("fork").Pool(3) as pool:
        asked = pool.map_async(_square, range(12))
        for _ in range(5):
            context.emit(b"x" * 300_000)
        return asked.get(20)


@mlq.listener
async def sleeps_on_the_loop(seconds: float) -> None:
    say("begun")
    await asyncio.sleep(seconds)


@mlq.listener
async def leaves_in_a_task(code: int) -> None:
    """A task of its own wants to end the process."""

    async def part() -> None:
        sys.exit(code)

    await asyncio.gather(part(), asyncio.sleep(1))


@mlq.listener
async def waits_no_longer(job_id: str, context: JobContext) -> str:
    """It ends before its wait does."""
    try:
        await asyncio.wait_for(context.wait(job_id), 0.2)
    except TimeoutError:
        return "impatient"
    return "waited"


@mlq.listener
def keeps_its_context(_: Any, context: JobContext) -> None:
    kept.append(context)


@mlq.listener
def uses_a_kept_context(_: Any) -> list[str]:
    """What each use of a context says whose attempt is over."""
    told = [str(kept[0].cancelled)]
    for use in (lambda: kept[0].post(1), lambda: kept[0].update_progress(1), lambda: kept[0].emit(1)):
        try:
            use()
        except Exception as error:  # noqa: BLE001 - whatever it is
            told.append(type(error).__name__)
    return told


@mlq.listener
def runs_a_loop(value: int) -> list[int]:
    """Has a loop of its own, and in it what asyncio keeps by thread; meanwhile others do so, too."""

    async def numbers() -> AsyncIterator[int]:
        for number in range(value):
            await asyncio.sleep(0.01)
            yield number

    async def main() -> list[int]:
        task = asyncio.current_task()
        found = [number async for number in numbers()]
        time.sleep(0.05)  # noqa: ASYNC251 - under gevent others run meanwhile, amid this task
        found.append(await asyncio.to_thread(lambda: value))
        async with asyncio.timeout(5):
            await asyncio.sleep(0.01)
        assert asyncio.current_task() is task
        return found

    return asyncio.run(main())


@mlq.listener
def returns_a_coroutine(value: int) -> Any:
    """It is awaited."""
    return asyncio.sleep(0.05, value)
