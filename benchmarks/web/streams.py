"""Opens many event streams on one serving process, posts meanwhile, and checks that every stream tells the end."""

import asyncio
import http.client
import json
import resource
import statistics
import time
from pathlib import Path
from urllib.parse import urlsplit

from mlq import MLQ
from mlq.http.process import Plan, ServerProcess
from mlq.server import scratch

POSTS = 500  # one after the other, while all streams are open
OPENING = 200  # streams opened at a time


async def follow(host: str, port: int, job_id: str, opened: asyncio.Semaphore, ready: asyncio.Event) -> float:
    """Read one stream to its end; when that came."""
    async with opened:
        reader, writer = await asyncio.open_connection(host, port)
        writer.write(f"GET /jobs/{job_id}/events HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        await reader.readuntil(b"event: state\n")
    ready.set()
    await reader.readuntil(b"event: end\n")
    ended = time.perf_counter()
    writer.close()
    return ended


def post_meanwhile(host: str, port: int, took: list[float]) -> None:
    connection = http.client.HTTPConnection(host, port)
    for number in range(POSTS):
        began = time.perf_counter()
        body = json.dumps({"msg": number, "queue": "other"})
        connection.request("POST", "/jobs", body, {"Content-Type": "application/json"})
        connection.getresponse().read()
        took.append(time.perf_counter() - began)
    connection.close()


async def run(mlq: MLQ, url: str, count: int) -> None:
    parts = urlsplit(url)
    host, port = parts.hostname or "", parts.port or 0
    ids = mlq.post_many(range(count))
    opened = asyncio.Semaphore(OPENING)
    waiting = [asyncio.Event() for _ in ids]
    began = time.perf_counter()
    readers = [asyncio.create_task(follow(host, port, job_id, opened, event))
               for job_id, event in zip(ids, waiting, strict=True)]  # fmt: skip
    for event in waiting:
        await event.wait()
    print(f"{count} streams open after {time.perf_counter() - began:.1f} s")
    took: list[float] = []
    await asyncio.to_thread(post_meanwhile, host, port, took)
    took.sort()
    print(
        f"posts meanwhile: p50 {1000 * statistics.median(took):.2f} ms, p99 {1000 * took[int(len(took) * 0.99)]:.2f} ms"
    )
    print(f"connections to the server: {mlq._redis.info('clients')['connected_clients']}")
    began = time.perf_counter()
    mlq.create_listener(lambda number: number, concurrency=10)
    ends = await asyncio.gather(*readers)
    print(f"all {len(ends)} streams told the end; the last one {max(ends) - began:.1f} s after the worker started")


def measure_streams(count: int) -> None:
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(most, 65_536), most))
    with scratch(port=0, appendfsync=None) as server:
        mlq = MLQ("bench", url=server.url)
        serving = ServerProcess(Plan("bench", server.url), "127.0.0.1", 0)
        serving.start()
        asyncio.run(run(mlq, serving.url, count))
        memory = Path(f"/proc/{serving.pid}/status").read_text()
        print("the serving process holds", next(line for line in memory.splitlines() if line.startswith("VmRSS")))
        mlq.shutdown(0)
        serving.stop(0)
