"""The listeners that the workers run: they do what a job's message says, and leave a record of each run."""

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
from benchmarks.chaos.mix import BATCH, NAMESPACE, TOGETHER, crashes, value
from benchmarks.chaos.pipelines import steps
from benchmarks.chaos.rules import steps as rules
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
    if crashes(kind, attempt):
        crash(message["how"])
    if kind in ("raises", "raises always") or (kind == "raises at first" and attempt <= message["fails"]):
        raise ValueError(message["number"])
    return value(message["number"], attempt)


def finish_together(messages: list[dict[str, Any]], call: effects.Call) -> list[Any]:
    """How the call ends for a batch, after it took its time: with a crash, else with an error, else with answers."""
    items = list(zip(messages, call.attempts, strict=True))
    for message, attempt in items:
        if crashes(message["kind"], attempt):
            crash(message["how"])
    for message, attempt in items:
        if message["kind"] == "together, raises" or (message["kind"] == "together, raises at first" and attempt == 1):
            raise ValueError(message["number"])
    answers = [answer(message, attempt) for message, attempt in items]
    if len(answers) > 1 and any(message["kind"] == "together, loses an answer" for message in messages):
        del answers[0]  # whichever one: alone, each has its own
    call.answers = len(answers)
    return answers


def answer(message: dict[str, Any], attempt: int) -> Any:
    """What a batch has for one of its jobs."""
    number = message["number"]
    return ValueError(number) if message["kind"] == "together, returns an error" else value(number, attempt)


def longest(messages: list[dict[str, Any]]) -> float:
    """Seconds that a batch takes."""
    return max(message["seconds"] for message in messages)


def jobs_of(contexts: list[Any]) -> list[dict[str, Any]]:
    """The whole job of each message."""
    return [context.full_message for context in contexts]


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


if features.BATCHES and os.environ.get(POOL) == "asyncio":

    @mlq.listener(name=TOGETHER, batch=BATCH, queue=TOGETHER, **declared)
    async def work_together(messages: list[dict[str, Any]], contexts: list[Any]) -> list[Any]:
        """A batch on an event loop."""
        with effects.recorded_together(jobs_of(contexts)) as call:
            await asyncio.sleep(longest(messages))
            return finish_together(messages, call)

elif features.BATCHES:

    @mlq.listener(name=TOGETHER, batch=BATCH, queue=TOGETHER, **declared)
    def work_together(messages: list[dict[str, Any]], contexts: list[Any]) -> list[Any]:
        """A batch on a thread or in a process of its own."""
        with effects.recorded_together(jobs_of(contexts)) as call:
            time.sleep(longest(messages))
            return finish_together(messages, call)


steps.declare(mlq, is_asyncio=os.environ.get(POOL) == "asyncio", backoff=0.2)
rules.declare(mlq, is_asyncio=os.environ.get(POOL) == "asyncio", backoff=0.2)
