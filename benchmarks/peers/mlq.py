"""MLQ, as its command line runs it; the listeners are in benchmarks/app.py."""

from typing import Any

from benchmarks.peers.adapter import LIMIT, POOL, Adapter
from benchmarks.peers.probes import Server
from mlq import MLQ

SUFFIX = "_async" if POOL == "asyncio" else ""


def worker(pool: str, slots: int) -> list[str]:
    return ["python", "-m", "mlq.cli", "--log-level", "warning", "worker", "benchmarks.app",
            "--pool", pool, "--concurrency", str(slots)]  # fmt: skip


class Client(Adapter):
    bulk = True

    def __init__(self) -> None:
        self.mlq = MLQ("bench")

    async def post(self, task: str, message: Any) -> Any:
        return self.mlq.submit(message, functions=[task + SUFFIX])

    async def post_many(self, task: str, messages: list[Any]) -> list[Any]:
        return [self.mlq.job(each) for each in self.mlq.post_many(messages, functions=[task + SUFFIX])]

    async def result(self, job: Any) -> Any:
        return job.result(timeout=LIMIT)

    def stored(self, server: Server) -> int:  # noqa: ARG002 - it can tell by itself
        now = self.mlq.counts()
        return -now.waiting - now.running
