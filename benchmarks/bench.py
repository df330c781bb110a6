"""One measurement: a peer's worker and its client as processes, from the start to the figures or the failure."""

import json
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO
from urllib.parse import urlsplit

import redis

from benchmarks.peers.environments import python_of
from benchmarks.peers.probes import Server, cpu_seconds, megabytes, send, tree

ROOT = Path(__file__).resolve().parent.parent
LIMIT = 60  # seconds for a measurement

Worker = tuple["subprocess.Popen[bytes]", IO[bytes]]  # the process, and what it wrote


class Failed(Exception):
    """A measurement that did not come about; the message is the last line that the culprit wrote."""


@dataclass(frozen=True)
class Measurement:
    """What to start."""

    peer: str
    pool: str
    slots: int
    case: str
    count: int  # jobs, or seconds for the case `idle`
    has_worker: bool


def bare_loop(url: str) -> float:
    """The floor: redis-py alone, one RPUSH per round trip; calls per second."""
    with redis.Redis.from_url(url) as client:
        client.delete("bare")
        count = 1000
        began = time.perf_counter()
        for _ in range(count):
            client.rpush("bare", b"x" * 100)
        rate = count / (time.perf_counter() - began)
        client.delete("bare")
    return rate


def server_benchmark(url: str) -> float | None:
    """RPUSH per second by the server's own benchmark with one connection, where that is installed and works."""
    program = shutil.which("redis-benchmark") or shutil.which("valkey-benchmark")
    if program is None:
        return None
    place = urlsplit(url)
    command = [program, "-h", str(place.hostname), "-p", str(place.port), "-c", "1", "-n", "20000", "-t", "rpush"]
    command += ["-d", "100", "--csv"]
    answer = subprocess.run(command, check=False, capture_output=True, text=True, timeout=LIMIT)
    return None if answer.returncode else float(answer.stdout.splitlines()[-1].split(",")[1].strip('"'))


def measure(plan: Measurement, url: str) -> dict[str, float]:
    """The figures. Raises Failed."""
    if not plan.has_worker:
        return _client(plan, url, plan.case, None)
    with _worker(plan, url) as worker:
        if plan.case != "idle":
            return _client(plan, url, plan.case, worker)
        _client(plan, url, "warm", worker)
        return _idle(worker[0].pid, url, plan.count)


@contextmanager
def _worker(plan: Measurement, url: str) -> Iterator[Worker]:
    """The worker's process, killed afterwards: its server is about to go, too. Jobs of a drain append to a file."""
    command = [python_of(plan.peer), "-m", "benchmarks.peers", "worker", plan.peer, url, plan.pool, str(plan.slots)]
    with tempfile.TemporaryFile() as told, tempfile.NamedTemporaryFile() as effects:
        environment = {**os.environ, "BENCH_EFFECTS": effects.name} if plan.case == "drain" else None
        process = subprocess.Popen(command, cwd=ROOT, stdout=told, stderr=told, env=environment, start_new_session=True)
        try:
            yield process, told
        finally:
            send(tree(process.pid), signal.SIGKILL)
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)  # children whose parent died before
            process.wait()


def _client(plan: Measurement, url: str, case: str, worker: Worker | None) -> dict[str, float]:
    pid = worker[0].pid if worker else 0
    command = [python_of(plan.peer), "-m", "benchmarks.peers", "client", plan.peer, url, plan.pool, str(plan.slots)]
    with tempfile.TemporaryFile() as told, tempfile.TemporaryFile() as answer:
        process = subprocess.Popen([*command, case, str(plan.count), str(pid)], cwd=ROOT, stdout=answer, stderr=told)
        try:
            _follow(process, worker)
        finally:
            process.kill()
            process.wait()
        if process.returncode:
            raise Failed(_last_line(told))
        answer.seek(0)
        return json.loads(answer.read().splitlines()[-1])


def _follow(client: "subprocess.Popen[bytes]", worker: Worker | None) -> None:
    """Returns when the client ended. Raises Failed when the worker did, or the time is over."""
    give_up = time.monotonic() + LIMIT
    while client.poll() is None:
        if worker and worker[0].poll() is not None:
            raise Failed(f"the worker ended: {_last_line(worker[1])}")
        if time.monotonic() > give_up:
            hint = f"; the worker's last line: {_last_line(worker[1])}" if worker else ""
            raise Failed(f"no figures within {LIMIT} s{hint}")
        time.sleep(0.05)


def _last_line(told: IO[bytes]) -> str:
    told.seek(0)
    lines = told.read().decode(errors="replace").strip().splitlines()
    return lines[-1].strip() if lines else "it wrote nothing"


def _idle(pid: int, url: str, seconds: int) -> dict[str, float]:
    """What a warm worker costs while it has nothing to do."""
    server = Server(url)
    time.sleep(1)
    began, cpu = time.monotonic(), cpu_seconds(tree(pid))
    sent, called = server.sent_within(seconds)
    took = time.monotonic() - began
    pids = tree(pid)
    return {
        "MB": megabytes(pids),
        "commands/s": sent / took,
        "commands/s with those in scripts": (sent + called) / took,
        "% of a core": 100 * (cpu_seconds(pids) - cpu) / took,
    }
