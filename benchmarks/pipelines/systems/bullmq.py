"""BullMQ's Python port: flows, in which a job waits for its children. It has no worker program, so this is one."""

import asyncio
import signal
from typing import Any, Self

from bullmq import FlowProducer, Queue, Worker

from benchmarks.pipelines.systems.adapter import RELIABLE, SLOTS, URL, Adapter, joined, messages, ran

QUEUE = "bench"
OPTIONS = {"lockDuration": 3000, "stalledInterval": 3000, "maxStalledCount": 10} if RELIABLE else {}


async def process(job: Any, token: str) -> Any:  # noqa: ARG001
    if job.name == "plain":
        await asyncio.sleep(job.data["seconds"])
        ran("plain")
    elif job.name == "step":
        before = list((await job.getChildrenValues()).values())
        ran("step")
        return before[0] + 1 if before else 0
    elif job.name == "part":
        number, index, seconds = job.data["part"]
        await asyncio.sleep(seconds)
        ran("part", number, index)
        return number
    elif job.name == "join":
        return joined((await job.getChildrenValues()).values())
    return None


def worker(pool: str, slots: int) -> list[str]:  # noqa: ARG001
    return ["python", "-m", "benchmarks.pipelines.systems.bullmq"]


def node(name: str, data: Any, children: list[Any] | None = None) -> dict[str, Any]:
    return {"name": name, "queueName": QUEUE, "data": data, **({"children": children} if children else {})}


class Client(Adapter):
    async def __aenter__(self) -> Self:
        self.queue, self.flows = Queue(QUEUE, {"connection": URL}), FlowProducer(URL)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.queue.close()
        await self.flows.close()

    async def plain(self, count: int, seconds: float = 0.0) -> None:
        await self.queue.addBulk([{"name": "plain", "data": {"seconds": seconds}} for _ in range(count)])

    async def chain(self, count: int, steps: int) -> None:
        for _ in range(count):
            flow = node("step", {})
            for _ in range(steps - 1):
                flow = node("step", {}, [flow])
            await self.flows.add(flow)

    async def fan(self, number: int, parts: int, seconds: float = 0.0) -> None:
        children = [node("part", {"part": each}) for each in messages(number, parts, seconds)]
        await self.flows.add(node("join", {}, children))

    async def depend(self, count: int) -> int:
        """A job has one parent at most, so each dependent waits for a job of its own."""
        for _ in range(count):
            await self.flows.add(node("plain", {"seconds": 0.0}, [node("plain", {"seconds": 0.0})]))
        return count


async def main() -> None:
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    running = Worker(QUEUE, process, {"connection": URL, "concurrency": SLOTS, **OPTIONS})
    await stop.wait()
    await running.close()


if __name__ == "__main__":
    asyncio.run(main())
