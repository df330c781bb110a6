"""A worker process whose attempts share it: `crowd.py URL NAMESPACE POOL SLOTS`. Its leases are short.

Messages: "kill" kills the process at once; "parent" posts one that kills, and waits for that; a number is slept for.
Each run is counted under `runs <id>`.
"""

import asyncio
import os
import signal
import sys
import time
from typing import Any

import redis

from mlq import MLQ
from mlq.pools.aio import AsyncioPool
from mlq.pools.thread import ThreadPool
from mlq.worker import apart, claimer, renewer
from mlq.worker import exit as way_out

URL, NAMESPACE, POOL, SLOTS = sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4])
STEM = f"{{{NAMESPACE}}}:data:"
for module in (apart, claimer, renewer):
    assert hasattr(module, "LEASE")  # else this would change nothing, and nobody would know
    module.LEASE = 1.5  # type: ignore[attr-defined]
renewer.RENEW, renewer.PAUSE, renewer.GRACE = 0.3, 1.0, 0.5
apart.PATIENCE = 0.5
mlq = MLQ(NAMESPACE, url=URL)
side = redis.Redis.from_url(URL, socket_timeout=None)


def begun(message: Any, context: Any) -> None:
    """Count the run, and die where that is wanted."""
    side.incr(f"{STEM}runs {context.full_message['id']}")
    if message == "kill":
        os.kill(os.getpid(), signal.SIGKILL)


def on_thread(message: Any, context: Any) -> Any:
    """For the thread pool."""
    begun(message, context)
    if message == "parent":
        child = side.get(f"{STEM}child") or context.post("kill")
        side.set(f"{STEM}child", child)
        return context.block_until_result(child if isinstance(child, str) else child.decode())
    time.sleep(message)
    return message


async def on_loop(message: Any, context: Any) -> Any:
    """For the asyncio pool."""
    begun(message, context)
    await asyncio.sleep(message)
    return message


if __name__ == "__main__":
    on_thread.__name__ = on_loop.__name__ = "work"
    mlq.listener(on_loop if POOL == "asyncio" else on_thread)
    worker = mlq.make_worker(AsyncioPool(SLOTS) if POOL == "asyncio" else ThreadPool(SLOTS))
    way_out.keep(worker, 30, stays=True)
    worker.start()
    way_out.stay()
