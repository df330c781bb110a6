"""The processes of the demonstration: the HTTP service, and workers, which can be killed at the worst moment."""

import os
import signal
import socket
import subprocess
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import closing
from http.client import HTTPConnection
from pathlib import Path

import click

from examples.digits.model import FILE
from mlq import MLQ, State

ROOT = Path(__file__).parents[2]  # where `examples` and `mlq` are found
START_LIMIT = 60.0  # seconds; importing scikit-learn for the first time on a slow disk takes a while
STOP_LIMIT = 5.0


class Process(ABC):
    """A command of `mlq`. It can be started again after it has ended."""

    def __init__(self, label: str, mlq: MLQ, *arguments: str, **environment: str) -> None:
        """Starts nothing yet."""
        self.label = label
        self._mlq = mlq
        self._command = [sys.executable, "-m", "mlq.cli", *arguments]
        server = {"MLQ_URL": mlq.url or "", "MLQ_NAMESPACE": mlq.namespace}
        # warnings: that it starts and stops is shown by the demonstration itself
        self._environment = os.environ | server | {"MLQ_LOG_LEVEL": "warning"} | environment
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """The number of the process; 0 while there is none."""
        return self._process.pid if self._process else 0

    def start(self) -> None:
        """Start the process; it is ready when `wait` has returned."""
        # A session of its own: a Ctrl-C in the terminal is for the demonstration, which then ends its processes.
        self._process = subprocess.Popen(self._command, cwd=ROOT, env=self._environment, start_new_session=True)

    def has_ended(self) -> bool:
        """Whether the process is gone without having been asked to go."""
        return self._process is not None and self._process.poll() is not None

    def wait(self) -> None:
        """Wait until it is ready."""
        give_up = time.monotonic() + START_LIMIT
        while not self.is_ready():
            if time.monotonic() > give_up or self.has_ended():
                raise click.ClickException(f"{self.label} did not start")
            time.sleep(0.05)

    @abstractmethod
    def is_ready(self) -> bool:
        """Whether it can be used."""

    def stop(self) -> None:
        """End the process in good order, or by force if that takes too long."""
        if self._process and not self.has_ended():
            self.end(signal.SIGTERM)

    def end(self, by: signal.Signals) -> None:
        """Send a signal that ends the process, and return when it is gone."""
        process, self._process = self._process, None
        if process is None:
            return
        process.send_signal(by)
        try:
            process.wait(STOP_LIMIT)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


class Service(Process):
    """The HTTP service, on a free port of this machine."""

    def __init__(self, mlq: MLQ) -> None:
        """Starts nothing yet."""
        with socket.create_server(("127.0.0.1", 0)) as probe:
            self.port: int = probe.getsockname()[1]
        super().__init__("the HTTP service", mlq, "serve", "--port", str(self.port))

    def is_ready(self) -> bool:
        """Whether it answers."""
        with closing(HTTPConnection("127.0.0.1", self.port, timeout=STOP_LIMIT)) as connection:
            try:
                connection.request("GET", "/healthz")
                return connection.getresponse().status == 200
            except OSError:
                return False


class Worker(Process):
    """A worker that hosts the model."""

    def __init__(self, label: str, mlq: MLQ, classifier: Path) -> None:
        """Starts nothing yet. `classifier`: the file that the model loads."""
        # the thread pool, so that the process that is killed is the one that predicts
        models = str(Path(__file__).with_name("models.toml"))
        super().__init__(label, mlq, "worker", "--models", models, "--pool", "thread", **{FILE: str(classifier)})
        self.names: list[str] = []  # the queue's names for it, a new one after each start

    def is_ready(self) -> bool:
        """Whether the queue lists this process as a worker, which it does once the model is loaded."""
        found = [listed["name"] for listed in self._mlq.workers() if listed["pid"] == str(self.pid)]
        self.names += found
        return bool(found)

    def kill_while_it_works(self, goes_on: Callable[[], bool]) -> list[str]:
        """SIGKILL the process at a moment when it surely predicts; the ids of the jobs that it held.

        To be sure, freeze it, look what the queue says that it holds, and let it go on if that is nothing. `goes_on`:
        whether there is work, or will be.
        """
        while goes_on():
            os.kill(self.pid, signal.SIGSTOP)
            time.sleep(0.02)  # what it sent a moment ago has arrived after that
            held = [job.id for job in self._mlq.jobs(State.RUNNING) if job.worker == self.names[-1]]
            if held:
                self.end(signal.SIGKILL)
                return held
            os.kill(self.pid, signal.SIGCONT)
            time.sleep(0.005)
        raise click.ClickException(f"all images were read before {self.label} could be killed")
