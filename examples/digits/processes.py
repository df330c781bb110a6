"""The two worker processes: started, found in the queue, killed at the worst moment, ended."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import click

from mlq import MLQ, State

ROOT = Path(__file__).parents[2]  # where `python -m examples.digits.worker` is found
START_LIMIT = 60.0  # seconds; importing scikit-learn for the first time on a slow disk takes a while
STOP_LIMIT = 5.0


class WorkerProcess:
    """One `examples.digits.worker`. It can be started again after it was killed."""

    def __init__(self, label: str, server_url: str, *arguments: str) -> None:
        """Starts nothing yet."""
        self.label = label
        self.names: list[str] = []  # the queue's names for it, a new one after each start
        self._command = [sys.executable, "-m", "examples.digits.worker", *arguments]
        self._environment = os.environ | {"MLQ_URL": server_url}
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """The number of the process; 0 while there is none."""
        return self._process.pid if self._process else 0

    def start(self) -> None:
        """Start the process; it is ready when `find` has found it."""
        # A session of its own: a Ctrl-C in the terminal is for the demonstration, which then ends its workers.
        self._process = subprocess.Popen(self._command, cwd=ROOT, env=self._environment, start_new_session=True)

    def has_ended(self) -> bool:
        """Whether the process is gone without having been asked to go."""
        return self._process is not None and self._process.poll() is not None

    def find(self, mlq: MLQ) -> None:
        """Wait until the queue lists this process as a worker."""
        give_up = time.monotonic() + START_LIMIT
        while time.monotonic() < give_up and not self.has_ended():
            for listed in mlq.workers():
                if listed["pid"] == str(self.pid):
                    self.names.append(listed["name"])
                    return
            time.sleep(0.05)
        raise click.ClickException(f"{self.label} did not start")

    def kill_while_it_works(self, mlq: MLQ) -> list[str]:
        """SIGKILL the process at a moment when it surely runs a job; the ids of the jobs that it held.

        To be sure, freeze it, look what the queue says that it holds, and let it go on if that is nothing.
        """
        while mlq.job_count():
            os.kill(self.pid, signal.SIGSTOP)
            time.sleep(0.05)  # what it sent a moment ago has arrived after that
            held = [job.id for job in mlq.jobs(State.RUNNING) if job.worker == self.names[-1]]
            if held:
                self._end(signal.SIGKILL)
                return held
            os.kill(self.pid, signal.SIGCONT)
            time.sleep(0.01)
        raise click.ClickException(f"all images were read before {self.label} could be killed")

    def stop(self) -> None:
        """End the process in good order, or by force if that takes too long."""
        if self._process and not self.has_ended():
            self._end(signal.SIGTERM)

    def _end(self, by: signal.Signals) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        process.send_signal(by)
        try:
            process.wait(STOP_LIMIT)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
