"""Restarts a worker when its Python files change."""

import os
import signal
import subprocess
from pathlib import Path

import watchfiles

from mlq import InputError
from mlq.cli.base import WATCHER
from mlq.system import launch

LOOK = 0.1  # seconds between checks for another signal, while a worker ends
OPTION, VARIABLE = "--watch", "MLQ_WORKER_WATCH"  # make this process the watcher; the worker must not get them

_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


class _Stop:
    """Counts the signals to stop. An event for watchfiles, but without a lock, since a signal handler sets it."""

    def __init__(self) -> None:
        self.times = 0

    def __call__(self, *_: object) -> None:
        self.times += 1

    def is_set(self) -> bool:
        return self.times > 0


def watch(folder: Path, arguments: list[str]) -> int:
    """Run `mlq` with these arguments until a signal. Returns the last worker's exit code. Raises InputError."""
    stop = _Stop()
    for number in _SIGNALS:
        if signal.getsignal(number) is not signal.SIG_IGN:  # nohup and & in a script have signals ignored
            signal.signal(number, stop)
    changes = watchfiles.watch(folder, watch_filter=watchfiles.PythonFilter(), stop_event=stop, raise_interrupt=False)
    alive, _ = os.pipe()  # the other end is closed when this process is gone
    worker = _start(arguments, alive)
    try:
        for _ in changes:
            _end(worker, stop)
            if stop.is_set():
                break
            worker = _start(arguments, alive)
    except OSError as error:
        raise InputError(f"can't watch {folder}: {error}") from None
    finally:
        code = _end(worker, stop)
    return code


def _start(arguments: list[str], alive: int) -> subprocess.Popen[bytes]:
    """Start a worker in its own process group: else a terminal's Ctrl-C would be a second signal for it, after ours.

    `alive`: the read end of a pipe that closes when this process ends or is killed, whereupon the worker stops.
    """
    command = [*launch.command("mlq.cli"), *(argument for argument in arguments if argument != OPTION)]
    environment = {name: value for name, value in os.environ.items() if name != VARIABLE} | {WATCHER: str(alive)}
    # a process outside the terminal's foreground group that reads from the terminal would be stopped
    return subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL, process_group=0, pass_fds=(alive,))


def _end(worker: subprocess.Popen[bytes], stop: _Stop) -> int:
    """Send the worker SIGTERM, and once more for each further signal. Returns its exit code, as shells give it."""
    sent = 0
    while True:
        if sent < max(1, stop.times):
            worker.terminate()
            sent += 1
        try:
            code = worker.wait(LOOK)
        except subprocess.TimeoutExpired:
            continue
        return code if code >= 0 else 128 - code
