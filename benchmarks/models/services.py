"""Starts a service on core 1, waits until it answers, and ends all of its processes."""

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from benchmarks.models.load import Request, closed
from benchmarks.models.memory import resident, tree
from benchmarks.models.peers import SERVICES, Commands, Place
from benchmarks.models.work import EXPECTED, FIELDS
from benchmarks.peers import PROJECT
from benchmarks.stage import pin
from mlq.server import scratch

PATIENCE = 60.0  # seconds until a service must answer


class Silent(Exception):
    """A service does not answer."""


@dataclass(frozen=True)
class Running:
    """A service that runs."""

    port: int
    requests: list[Request]
    processes: list["subprocess.Popen[bytes]"]

    def memory(self) -> dict[str, float]:
        """MB of memory of the process that serves HTTP, and of all processes together."""
        each = [resident(pid) for process in self.processes for pid in tree(process.pid)]
        return {"first": resident(self.processes[0].pid), "all": sum(each), "processes": len(each)}


@contextmanager
def service(name: str, model: str, commands: Commands | None = None) -> Iterator[tuple[Running, str]]:
    """A service, and its server of Redis, which is fresh and has core 0; `commands` if not its usual ones."""
    with ExitStack() as stack:
        server = stack.enter_context(scratch(port=0, appendfsync=None))
        pin(server.pid, 0)
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="mlq-bench-"))
        port, *spare = free_ports(3)
        place = Place(name, model, port, (spare[0], spare[1]), server.url, Path(folder))
        with (Path(folder) / "log").open("w+b") as log:
            wanted = (commands or SERVICES[name].commands)(place)
            processes = [stack.enter_context(_started(command, place, log)) for command in wanted]
            running = Running(port, requests_of(name, model), processes)
            try:
                wait_for(running)
            except Silent as error:
                log.seek(0)
                print(log.read().decode(errors="replace"), file=sys.stderr)
                raise Silent(f"{error}; what it said is among the errors of the run") from None
            yield running, server.url


@contextmanager
def _started(command: list[str], place: Place, log: BinaryIO) -> Iterator["subprocess.Popen[bytes]"]:
    """A process, which ends with all of its children. What it writes stays out of the project."""
    environment = {"BENCH_MODEL": place.model, "BENCH_URL": place.redis, "PYTHONPATH": str(PROJECT)}
    environment |= {"BENTOML_DO_NOT_TRACK": "true", "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(
        command, env=os.environ | environment, cwd=place.folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log
    )
    pin(process.pid, 1)
    try:
        yield process
    finally:
        children = tree(process.pid)
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(10)
        for pid in children:  # those that outlived it
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        process.wait()


def free_ports(count: int) -> list[int]:
    with ExitStack() as stack:
        taken = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(count)]
        return [int(each.getsockname()[1]) for each in taken]


def requests_of(name: str, model: str) -> list[Request]:
    """One for each species."""
    made = []
    for row, species in EXPECTED.items():
        body = json.dumps(SERVICES[name].body(dict(zip(FIELDS, row, strict=True)))).encode()
        head = (
            f"POST {SERVICES[name].path.format(model=model)} HTTP/1.1\r\nHost: localhost\r\n"
            f"Content-Type: application/json\r\n{SERVICES[name].header}Content-Length: {len(body)}\r\n\r\n"
        )
        made.append(Request(head.encode() + body, species.encode()))
    return made


def wait_for(running: Running) -> None:
    """Until it answers rightly."""
    began, why = time.monotonic(), "no answer"
    while time.monotonic() - began < PATIENCE:
        for process in running.processes:
            if process.poll() is not None:
                raise Silent(f"a process ended with code {process.returncode}")
        with suppress(OSError):
            taken = asyncio.run(closed(running.port, running.requests, 1, 0.2))
            if not taken.failures:
                return
            why = taken.why
        time.sleep(0.2)
    raise Silent(why)
