"""Sends requests over connections that stay open: from clients that wait for their answers, or at random times.

The connections are bare asyncio protocols: clients such as aiohttp need more time for a request than some of the
services that are measured.
"""

import asyncio
import random
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import cycle

LIMIT = 60.0  # seconds for one request
CONNECTIONS = 1000  # at a time; a request at a random time that finds none free has failed


@dataclass(frozen=True)
class Request:
    """What is sent, and what the answer must contain."""

    message: bytes
    expected: bytes


@dataclass
class Loaded:
    """What came of a load."""

    seconds: float
    latencies: list[float] = field(default_factory=list)  # of the right answers
    failures: int = 0
    why: str = ""  # the first failure

    def failed(self, why: str) -> None:
        self.failures += 1
        self.why = self.why or why

    def figures(self) -> dict[str, float]:
        """Requests a second, and latencies in ms."""
        took = sorted(self.latencies) or [float("nan")]
        return {
            "rate": len(self.latencies) / self.seconds,
            "mean": 1000 * statistics.fmean(took),
            "p50": 1000 * statistics.median(took),
            "p99": 1000 * took[int(len(took) * 0.99)],
        }


class Connection(asyncio.Protocol):
    """One connection, which carries one request at a time."""

    def __init__(self) -> None:
        self._received = bytearray()
        self._answer: asyncio.Future[tuple[int, bytes]] | None = None
        self._transport: asyncio.Transport

    @classmethod
    async def to(cls, port: int) -> "Connection":
        loop = asyncio.get_running_loop()
        made: Connection = (await loop.create_connection(cls, "127.0.0.1", port))[1]
        return made

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 - for mypy
        self._transport = transport

    async def ask(self, message: bytes) -> tuple[int, bytes]:
        """The status and the body of the answer. Raises OSError if the connection ends first."""
        self._answer = asyncio.get_running_loop().create_future()
        self._transport.write(message)
        return await self._answer

    def data_received(self, data: bytes) -> None:
        self._received += data
        if self._answer is None or (end := self._received.find(b"\r\n\r\n")) < 0:
            return
        head = bytes(self._received[:end]).lower()
        length = int(head.partition(b"content-length:")[2].partition(b"\r\n")[0])
        if len(self._received) >= end + 4 + length:
            body = bytes(self._received[end + 4 : end + 4 + length])
            self._received.clear()
            answer, self._answer = self._answer, None
            if not answer.done():
                answer.set_result((int(head[9:12]), body))

    def connection_lost(self, exc: Exception | None) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(exc or ConnectionResetError("the service closed the connection"))

    def close(self) -> None:
        self._transport.close()


async def closed(port: int, requests: Sequence[Request], clients: int, seconds: float) -> Loaded:
    """Each client sends its next request when it has its answer."""
    connections = [await Connection.to(port) for _ in range(clients)]
    began = time.perf_counter()
    taken = Loaded(seconds)

    async def client(number: int) -> None:
        turns = cycle([*requests[number % len(requests) :], *requests[: number % len(requests)]])
        while (now := time.perf_counter()) < began + seconds and not taken.failures:
            await _one(connections[number], next(turns), now, taken)

    await asyncio.gather(*(client(number) for number in range(clients)))
    taken.seconds = time.perf_counter() - began
    for connection in connections:
        connection.close()
    return taken


async def opened(port: int, requests: Sequence[Request], rate: float, seconds: float) -> Loaded:
    """Requests come at random times (Poisson), whatever became of those before.

    A latency counts from the time at which its request was due, so a late generator does not flatter the service.
    """
    chance, turns, free = random.Random(7), cycle(requests), [await Connection.to(port)]
    running: set[asyncio.Task[None]] = set()
    taken = Loaded(seconds)
    began = due = time.perf_counter()

    async def one(request: Request, at: float) -> None:
        connection = free.pop() if free else await Connection.to(port)
        if await _one(connection, request, at, taken):
            free.append(connection)

    while (due := due + chance.expovariate(rate)) < began + seconds:
        await asyncio.sleep(max(0.0, due - time.perf_counter()))
        if len(running) >= CONNECTIONS:
            taken.failed(f"{CONNECTIONS} requests wait for their answers")
            break
        task = asyncio.create_task(one(next(turns), due))
        running.add(task)
        task.add_done_callback(running.discard)
    await asyncio.gather(*running)
    for connection in free:
        connection.close()
    return taken


async def _one(connection: Connection, request: Request, began: float, taken: Loaded) -> bool:
    """Whether the right answer came."""
    try:
        async with asyncio.timeout(LIMIT):
            status, body = await connection.ask(request.message)
    except (OSError, TimeoutError) as error:
        taken.failed(repr(error))
        return False
    if status != 200 or request.expected not in body:
        taken.failed(f"{status}: {body[:200]!r}")
        return False
    taken.latencies.append(time.perf_counter() - began)
    return True
