"""A server that does nothing but answer: what the load generator reaches against it is the most it can measure."""

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from benchmarks.models.services import Running, free_ports, requests_of, wait_for
from benchmarks.stage import pin

BODY = b'{"species": ["setosa", "versicolor", "virginica"]}'  # right for each request
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (len(BODY), BODY)


class Answering(asyncio.Protocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:  # noqa: ARG002 - whole requests come in one piece
        self._transport.write(ANSWER)  # type: ignore[attr-defined]


@contextmanager
def trivial_server() -> Iterator[Running]:
    """On core 1, as the services."""
    port = free_ports(1)[0]
    process = subprocess.Popen([sys.executable, "-m", "benchmarks.models.trivial", str(port)])
    pin(process.pid, 1)
    try:
        running = Running(port, requests_of("mlq", "iris"), [process])
        wait_for(running)
        yield running
    finally:
        process.terminate()
        process.wait()


async def _serve(port: int) -> None:
    server = await asyncio.get_running_loop().create_server(Answering, "127.0.0.1", port)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(_serve(int(sys.argv[1])))
