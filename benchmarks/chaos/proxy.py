"""A TCP proxy on loopback, in a process of its own, that cuts, mutes and delays what goes through it when told to."""

import asyncio
import socket
import struct
import subprocess
import sys
import time
from contextlib import suppress
from typing import Any

from benchmarks.chaos.place import environment

CHUNK = 65536
_RESET = struct.pack("ii", 1, 0)  # SO_LINGER: close with a reset, what is under way is lost


class Proxy:
    """The proxy's process, seen from the harness."""

    def __init__(self, target: int) -> None:
        """`target`: the server's port."""
        command = [sys.executable, "-m", "benchmarks.chaos.proxy", str(target)]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1, env=environment()
        )
        self._orders: Any = self._process.stdin
        self._told: Any = self._process.stdout
        self.port = int(self._told.readline())

    def order(self, what: str, seconds: float, amount: float = 0.0) -> None:
        """`cut` everything, `mute` the server's answers, or `delay` each portion by `amount`; for `seconds`."""
        self._orders.write(f"{what} {seconds} {amount}\n")

    def heal(self) -> None:
        """Let everything through."""
        self.order("heal", 0.0)

    def close(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.wait()
        with suppress(BrokenPipeError):
            self._orders.close()
        self._told.close()


class Line:
    """What the proxy does to its connections now."""

    def __init__(self) -> None:
        """Nothing."""
        self.pairs: set[tuple[asyncio.StreamWriter, asyncio.StreamWriter]] = set()
        self.cut_until = self.mute_until = self.delay_until = self.delay = 0.0

    def obey(self, what: str, seconds: float, amount: float) -> None:
        """Carry an order out."""
        until = time.monotonic() + seconds
        if what == "cut":
            self.cut_until = until
            self.reset_all()
        elif what == "mute":
            self.mute_until = until
        elif what == "delay":
            self.delay_until, self.delay = until, amount
        else:
            self.cut_until = self.mute_until = self.delay_until = 0.0

    def reset_all(self) -> None:
        """Break all connections."""
        for pair in self.pairs:
            for writer in pair:
                _reset(writer)


def _reset(writer: asyncio.StreamWriter) -> None:
    connection = writer.get_extra_info("socket")
    with suppress(OSError):
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
    writer.transport.abort()


async def _carry(line: Line, source: asyncio.StreamReader, sink: asyncio.StreamWriter, *, answers: bool) -> None:
    """Copy one direction until it ends. A muted answer is gone, so its connection can't go on."""
    while portion := await source.read(CHUNK):
        if time.monotonic() < line.delay_until:
            await asyncio.sleep(line.delay)
        if answers and time.monotonic() < line.mute_until:
            await asyncio.sleep(line.mute_until - time.monotonic())
            return
        sink.write(portion)
        await sink.drain()


async def _serve(line: Line, target: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    if time.monotonic() < line.cut_until:
        return _reset(writer)
    try:
        answers, server = await asyncio.open_connection("127.0.0.1", target)
    except OSError:
        return _reset(writer)
    pair = (writer, server)
    line.pairs.add(pair)
    ways = [
        asyncio.ensure_future(_carry(line, reader, server, answers=False)),
        asyncio.ensure_future(_carry(line, answers, writer, answers=True)),
    ]
    await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
    for way in ways:
        way.cancel()
    await asyncio.gather(*ways, return_exceptions=True)
    line.pairs.discard(pair)
    for end in pair:
        _reset(end)
    return None


async def _main(target: int) -> None:
    line = Line()
    server = await asyncio.start_server(lambda reader, writer: _serve(line, target, reader, writer), "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    orders = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(orders), sys.stdin)
    while order := await orders.readline():  # ends with the harness, however that ended
        what, seconds, amount = order.decode().split()
        line.obey(what, float(seconds), float(amount))


if __name__ == "__main__":
    asyncio.run(_main(int(sys.argv[1])))
