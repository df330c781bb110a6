"""MLQ, as its command line runs it: `Forward`, `Split`, `then=` and `after=`."""

import time
from collections.abc import Sequence

from benchmarks.pipelines.systems.adapter import Adapter, joined, messages, ran
from mlq import MLQ, Forward, Split

mlq = MLQ("bench")


@mlq.listener
def plain(seconds: float) -> float:
    time.sleep(seconds)
    ran("plain")
    return seconds


@mlq.listener
def first(seconds: float) -> Forward:
    ran("step")
    return Forward(seconds, to=plain)


@mlq.listener
def step(value: int) -> int:
    ran("step")
    return value + 1


@mlq.listener
def part(message: tuple[int, int, float]) -> int:
    number, index, seconds = message
    time.sleep(seconds)
    ran("part", number, index)
    return number


@mlq.listener
def join(numbers: Sequence[int]) -> int:
    return joined(numbers)


@mlq.listener
def fan(message: tuple[int, int, float]) -> Split:
    return Split(messages(*message), each=part, into=join)


def worker(pool: str, slots: int) -> list[str]:
    return ["python", "-m", "mlq.cli", "--log-level", "warning", "worker", "benchmarks.pipelines.systems.mlq",
            "--pool", pool, "--concurrency", str(slots)]  # fmt: skip


class Client(Adapter):
    ends = ("plain", 1)

    async def plain(self, count: int, seconds: float = 0.0) -> None:
        mlq.post_many([seconds] * count, functions=["plain"])

    async def forward(self, count: int) -> None:
        mlq.post_many([0.0] * count, functions=["first"])

    async def chain(self, count: int, steps: int) -> None:
        mlq.post_many([0] * count, functions=["step"], then=["step"] * (steps - 1))

    async def fan(self, number: int, parts: int, seconds: float = 0.0) -> None:
        fan.submit((number, parts, seconds))

    async def depend(self, count: int) -> int:
        needed = mlq.submit(0.0, functions=["plain"])
        mlq.post_many([0.0] * count, functions=["plain"], after=[needed])
        return 1
