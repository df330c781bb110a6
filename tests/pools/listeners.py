"""What the workers of these tests run, in every pool: each listener does what its name says."""

import asyncio
import logging
import os
import sys
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any

import batches  # noqa: F401 - more listeners
import contexts  # noqa: F401 - more listeners
import corners  # noqa: F401 - more listeners
import gated  # noqa: F401 - more listeners
import hazards  # noqa: F401 - more listeners
import helpers  # noqa: F401 - more listeners
import interruptions  # noqa: F401 - more listeners
import leftovers  # noqa: F401 - more listeners
import limited  # noqa: F401 - more listeners
import routed  # noqa: F401 - more listeners
import typed  # noqa: F401 - more listeners
import untidy  # noqa: F401 - more listeners
import whole_files  # noqa: F401 - more listeners
from side_channel import NAMESPACE, hear, mlq, say, side

from mlq.running.context import JobContext


@mlq.listener
def echo(value: Any) -> Any:
    return value


@mlq.listener
def pair(value: Any) -> Any:
    return "short", value


@mlq.listener
async def echo_async(value: Any) -> Any:
    await asyncio.sleep(0.01)
    return value


@mlq.listener
def fails(value: Any) -> None:
    raise ZeroDivisionError(f"about {value}")


@mlq.listener
async def fails_async(value: Any) -> None:
    await asyncio.sleep(0.01)
    raise ZeroDivisionError(f"about {value}")


@mlq.listener
def leaves(code: int) -> None:
    sys.exit(code)


@mlq.listener
def unserialisable(_: Any) -> Any:
    return object()


@mlq.listener
def sized(size: int) -> bytes:
    return b"x" * size


@mlq.listener
def sized_parts(size: int) -> Iterator[bytes]:
    for _ in range(3):
        yield b"x" * size
    return size


@mlq.listener
def measures(value: bytes) -> int:
    return len(value)


@mlq.listener
def counts(most: int) -> Iterator[int]:
    for i in range(most):
        yield i
        hear("go on")


@mlq.listener
async def counts_async(most: int) -> AsyncIterator[int]:
    for i in range(most):
        yield i
        await asyncio.to_thread(hear, "go on")


@mlq.listener
def emits(chunks: list[Any], context: JobContext) -> str:
    for chunk in chunks:
        context.emit(chunk)
        hear("go on")
    return "emitted"


@mlq.listener
def reports(values: list[Any], context: JobContext) -> str:
    for value in values:
        context.update_progress(value)
        hear("go on")
    return "reported"


@mlq.listener
def keeps(value: Any, context: JobContext) -> list[Any]:
    key = context.store_data(value)
    posted = context.post("from a listener", functions=["echo"])
    return [key, context.fetch_data(key), context.fetch_data("unknown"), posted]


@mlq.listener
def posts_for_later(options: dict[str, Any], context: JobContext) -> str:
    return context.post("later", functions=["echo"], **options)


@mlq.listener
def nests(depth: int, context: JobContext) -> int:
    if depth == 0:
        return 0
    return 1 + context.block_until_result(context.post(depth - 1, functions=["nests"]), timeout=20)


@mlq.listener
async def nests_async(depth: int, context: JobContext) -> int:
    if depth == 0:
        return 0
    return 1 + await context.wait(context.post(depth - 1, functions=["nests_async"]), timeout=20)


@mlq.listener
def awaits(job_id: str, context: JobContext) -> Any:
    say("begun", os.getpid())
    return context.block_until_result(job_id)


@mlq.listener
async def awaits_async(job_id: str, context: JobContext) -> Any:
    say("begun", os.getpid())
    return await context.wait(job_id)


@mlq.listener
def waits_for(job_id: str, context: JobContext) -> str:
    try:
        return str(context.block_until_result(job_id, timeout=0.2))
    except Exception as error:  # noqa: BLE001 - whatever it is, it is told
        return type(error).__name__


@mlq.listener
async def blocks_its_loop(job_id: str, context: JobContext) -> str:
    return str(context.block_until_result(job_id))


def _ask(seconds: float, context: JobContext) -> str:
    say("begun", os.getpid())
    end = time.monotonic() + seconds
    try:
        while time.monotonic() < end:
            if context.cancelled:
                say("saw", context.full_message["id"])
                return "cancelled"
            time.sleep(0.02)
    except BaseException:  # a greenlet is killed, which it sees sooner
        say("saw", context.full_message["id"])
        raise
    return "not cancelled"


@mlq.listener
def asks(seconds: float, context: JobContext) -> str:
    return _ask(seconds, context)


@mlq.listener(timeout=0.4)
def hurries(seconds: float, context: JobContext) -> str:
    return _ask(seconds, context)


@mlq.listener
def sleeps(seconds: float) -> float:
    say("begun", os.getpid())
    time.sleep(seconds)
    return seconds


@mlq.listener
async def sleeps_async(seconds: float) -> float:
    say("begun", os.getpid())
    await asyncio.sleep(seconds)
    return seconds


@mlq.listener
async def minds_its_cancellation(seconds: float) -> None:
    say("begun", os.getpid())
    try:
        await asyncio.sleep(seconds)
    except asyncio.CancelledError:
        say("saw", "CancelledError")
        raise


@mlq.listener
async def crowds(_: Any) -> None:
    say("begun")
    while not await asyncio.to_thread(side.exists, f"{{{NAMESPACE}}}:data:open"):  # noqa: ASYNC110 - another process opens
        await asyncio.sleep(0.2)


@mlq.listener
async def blocks_the_loop(seconds: float) -> float:
    say("begun", os.getpid())
    time.sleep(seconds)  # noqa: ASYNC251 - what it must not do
    return seconds


@mlq.listener(retries=1, backoff=0.05, retry_on=(KeyError, "ValueError"))
def retried_on(kind: str) -> None:
    raise {"KeyError": KeyError, "ValueError": ValueError, "TypeError": TypeError}[kind]("told to")


@mlq.listener
def succeeds_at(attempt: int, context: JobContext) -> int:
    if context.attempt < attempt:
        raise ValueError(f"not in attempt {context.attempt}")
    return context.attempt


@mlq.listener
def talks(lines: int) -> None:
    for i in range(lines):
        print(f"printed {i}")
    print("to stderr", file=sys.stderr)
    logging.getLogger("app").warning("logged")


@mlq.listener
async def talks_async(name: str) -> None:
    for i in range(5):
        print(f"{name} {i}")
        await asyncio.sleep(0.01)


@mlq.listener(queue="special")
def special(value: Any) -> Any:
    return value


side.incr(f"{{{NAMESPACE}}}:data:imports")
