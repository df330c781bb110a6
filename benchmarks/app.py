"""The application that MLQ's own worker runs in the comparison; its server comes from MLQ_URL."""

import asyncio
import time

from benchmarks.peers.adapter import noted
from mlq import MLQ

mlq = MLQ("bench")


@mlq.listener
def echo(message: object) -> object:
    return noted(message)


@mlq.listener
def nap(seconds: float) -> float:
    time.sleep(seconds)
    return seconds


@mlq.listener
async def echo_async(message: object) -> object:
    return noted(message)


@mlq.listener
async def nap_async(seconds: float) -> float:
    await asyncio.sleep(seconds)
    return seconds
