"""Listeners that only a child process survives, or can be told of."""

import ctypes
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from typing import Any

from side_channel import NAMESPACE, hear, mlq, say, side

from mlq.running.context import JobContext

leaked: list[bytes] = []


@mlq.listener
def identity(_: Any) -> tuple[str, list[Any]]:
    return "", [os.getpid(), _imports(), len(leaked)]


@mlq.listener
def waits(value: Any) -> Any:
    say("begun", os.getpid())
    hear(f"end {value}")
    return value


@mlq.listener
def segfaults(_: Any) -> None:
    ctypes.string_at(0)


@mlq.listener
def exits(code: int) -> None:
    os._exit(code)


@mlq.listener
def dies_at_first(_: Any, context: JobContext) -> int:
    say("ran", context.attempt)
    if context.attempt == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    return context.attempt


@mlq.listener
def holds_the_gil(seconds: int) -> str:
    say("begun", os.getpid())
    ctypes.PyDLL(None).sleep(seconds)
    return "held"


@mlq.listener
def ignores_cancellation(seconds: float) -> None:
    say("begun", os.getpid())
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            time.sleep(0.1)
        except BaseException:  # noqa: BLE001, S112 - that is its point
            continue


@mlq.listener
def leaks(size: int) -> int:
    leaked.append(b"\xff" * size)
    return os.getpid()


@mlq.listener
def has_grandchildren(value: int) -> list[int]:
    said = subprocess.run([sys.executable, "-c", f"print({value} * 2)"], capture_output=True, text=True, check=True)
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return [int(said.stdout), *pool.map(abs, [-value])]


@mlq.listener
def prints_much(size: int) -> str:
    print("y" * size)
    return "printed"


def _imports() -> int:
    return int(side.incrby(f"{{{NAMESPACE}}}:data:imports", 0))
