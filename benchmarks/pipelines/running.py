"""The processes of a measurement: workers and clients of a system, a fresh server, and the file of runs."""

import json
import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.peers import PROJECT, SLOTS
from benchmarks.peers.probes import send, tree
from benchmarks.pipelines.systems import SYSTEMS
from benchmarks.stage import pin
from mlq.server import scratch

LIMIT = 120.0  # seconds for a client; RQ's chains take half of it


class Failed(Exception):
    """A measurement that did not come about; the message is the last line that the culprit wrote."""


@dataclass(frozen=True)
class Place:
    """Where a system is measured."""

    system: str
    url: str
    folder: Path
    reliable: bool  # set up for workers that die
    workers: list["subprocess.Popen[bytes]"] = field(default_factory=list)

    @property
    def runs(self) -> Path:
        return self.folder / "runs"

    def start(self) -> "subprocess.Popen[bytes]":
        """A worker; it may not be up yet."""
        process = self._started("worker", "worker", [])
        self.workers.append(process)
        return process

    def begin(self, case: str, *numbers: int) -> "subprocess.Popen[bytes]":
        """A client."""
        return self._started("client", "answer", [case, *map(str, numbers)])

    def figures(self, case: str, *numbers: int) -> dict[str, float]:
        """What a client measures. Raises Failed."""
        process, give_up = self.begin(case, *numbers), time.monotonic() + LIMIT
        try:
            while process.poll() is None:
                self._check(give_up)
                time.sleep(0.05)
        finally:
            process.kill()
            process.wait()
        if process.returncode:
            raise Failed(self._last_line("client.log"))
        found: dict[str, float] = json.loads((self.folder / "answer").read_bytes().splitlines()[-1])
        return found

    def end(self, process: "subprocess.Popen[bytes]") -> frozenset[int]:
        """Kills a worker with all its processes at once, as the loss of its machine would; returns their pids."""
        pids = tree(process.pid)
        send(pids, signal.SIGKILL)
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)  # children whose parent died before
        process.wait()
        self.workers.remove(process)
        return frozenset(pids)

    def _started(self, role: str, output: str, more: list[str]) -> "subprocess.Popen[bytes]":
        system = SYSTEMS[self.system]
        command = [str(system.python), "-m", "benchmarks.pipelines.systems", role]
        command += [system.module, system.pool, str(system.slots or SLOTS[system.pool]), *more]
        settings = {"BENCH_URL": self.url, "BENCH_RUNS": str(self.runs), "BENCH_RELIABLE": str(int(self.reliable))}
        with (self.folder / output).open("ab") as told, (self.folder / f"{role}.log").open("ab") as log:
            return subprocess.Popen(
                command, cwd=PROJECT, env=os.environ | settings, stdin=subprocess.DEVNULL, stdout=told, stderr=log,
                start_new_session=True,
            )  # fmt: skip

    def _check(self, give_up: float) -> None:
        for each in self.workers:
            if each.poll() is not None:
                raise Failed(f"a worker ended: {self._last_line('worker.log')}")
        if time.monotonic() > give_up:
            raise Failed(f"no figures within {LIMIT:.0f} s; the worker's last line: {self._last_line('worker.log')}")

    def _last_line(self, name: str) -> str:
        lines = (self.folder / name).read_text(errors="replace").strip().splitlines()
        return lines[-1].strip() if lines else "it wrote nothing"


@contextmanager
def place(system: str, *, reliable: bool = False) -> Iterator[Place]:
    """A fresh private server that keeps nothing on disk, on core 0; workers and clients have core 1."""
    with scratch(port=0, appendfsync=None) as server, tempfile.TemporaryDirectory(prefix="mlq-bench-") as folder:
        pin(server.pid, 0)
        pin(os.getpid(), 1)
        made = Place(system, server.url, Path(folder), reliable)
        for name in ("runs", "worker.log", "client.log"):
            (made.folder / name).touch()
        try:
            yield made
        finally:
            for each in list(made.workers):
                made.end(each)
