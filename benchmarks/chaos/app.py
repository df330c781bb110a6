"""The listener that the workers run: it does what a job's message says, and leaves a record of each run."""

import asyncio
import contextlib
import ctypes
import os
import resource
import subprocess
import time
from collections.abc import Iterator
from typing import Any, NoReturn

from benchmarks.chaos import effects, features
from benchmarks.chaos.mix import NAMESPACE, value
from mlq import MLQ

POOL = "CHAOS_POOL"  # the environment variable that tells the worker's pool
EXIT_CODE = 66  # of a listener that ends its process
HELPER_LIVES = 86_123  # seconds: tells helpers of process pools, which must end with their child, from all other sleeps
HELPER_LEFT = 9  # seconds that a helper lives whose worker can be killed without anybody to end it

resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # crashes are meant; nobody wants their dumps

mlq = MLQ(NAMESPACE)
declared: dict[str, Any] = {"backoff": 0.2} if features.BACKOFF else {}


def crash(how: str) -> NoReturn:
    """End this process as native code does when it goes wrong."""
    if how == "segfault":
        ctypes.string_at(0)
    os._exit(EXIT_CODE)


def spin(seconds: float) -> None:
    """Hold a core."""
    end = time.thread_time() + seconds
    while time.thread_time() < end:
        sum(range(1000))


@contextlib.contextmanager
def helper(kind: str) -> Iterator[None]:
    """A program that runs as long as the job does. Where no child's end can end it, it ends by itself."""
    if kind != "has a helper":
        yield
        return
    lives = HELPER_LIVES if os.environ.get(POOL) == "process" else HELPER_LEFT
    with subprocess.Popen(["/bin/sleep", str(lives)], stdin=subprocess.DEVNULL) as program:
        try:
            yield
        finally:
            program.kill()


def finish(message: dict[str, Any], attempt: int) -> list[int]:
    """How the run ends, after it took its time."""
    kind = message["kind"]
    if kind == "crashes always" or (kind == "crashes once" and attempt == 1):
        crash(message["how"])
    if kind in ("raises", "raises always") or (kind == "raises at first" and attempt <= message["fails"]):
        raise ValueError(message["number"])
    return value(message["number"], attempt)


if os.environ.get(POOL) == "asyncio":

    @mlq.listener(**declared)
    async def work(message: dict[str, Any], context: Any) -> list[int]:
        """A job on an event loop."""
        with effects.recorded(context.full_message) as attempt, helper(message["kind"]):
            if message["kind"] == "busy":
                spin(message["seconds"])
            else:
                await asyncio.sleep(message["seconds"])
            return finish(message, attempt)

else:

    @mlq.listener(**declared)
    def work(message: dict[str, Any], context: Any) -> list[int]:
        """A job on a thread or in a process of its own."""
        with effects.recorded(context.full_message) as attempt, helper(message["kind"]):
            (spin if message["kind"] == "busy" else time.sleep)(message["seconds"])
            return finish(message, attempt)
