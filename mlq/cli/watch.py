"""Runs a worker again when its Python files change."""

import os
import signal
import subprocess
from pathlib import Path

import watchfiles

from mlq import InputError
from mlq.cli.base import WATCHER
from mlq.system import launch

LOOK = 0.1  # seconds between looks whether another signal came, while a worker ends
OPTION, VARIABLE = "--watch", "MLQ_WORKER_WATCH"  # what made this process the watcher, and must not make a second one

_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


class _Stop:
    """How often this process was told to stop. An event for watchfiles, but without a lock, as signals need it."""

    def __init__(self) -> None:
        self.times = 0

    def __call__(self, *_: object) -> None:
        self.times += 1

    def is_set(self) -> bool:
        return self.times > 0


def watch(folder: Path, arguments: list[str]) -> int:
    """Run `mlq` with these arguments until a signal; the last worker's exit code. Raises InputError."""
    stop = _Stop()
    for number in _SIGNALS:
        if signal.getsignal(number) is not signal.SIG_IGN:  # which nohup and a script's & mean
            signal.signal(number, stop)
    changes = watchfiles.watch(folder, watch_filter=watchfiles.PythonFilter(), stop_event=stop, raise_interrupt=False)
    alive, _ = os.pipe()  # the other end is closed when this process is gone
    worker = _started(arguments, alive)
    try:
        for _ in changes:
            _ended(worker, stop)
            if stop.is_set():
                break
            worker = _started(arguments, alive)
    except OSError as error:
        raise InputError(f"can't watch {folder}: {error}") from None
    finally:
        code = _ended(worker, stop)
    return code


def _started(arguments: list[str], alive: int) -> subprocess.Popen[bytes]:
    """A worker in a process group of its own: a terminal's Ctrl-C would be its second signal, after ours.

    `alive`: an end of a pipe that ends with this process, and so the worker, even where this one is killed.
    """
    command = [*launch.command("mlq.cli"), *(argument for argument in arguments if argument != OPTION)]
    environment = {name: value for name, value in os.environ.items() if name != VARIABLE} | {WATCHER: str(alive)}
    # another group than the terminal's may not read from it, and would be stopped for that
    return subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL, process_group=0, pass_fds=(alive,))


def _ended(worker: subprocess.Popen[bytes], stop: _Stop) -> int:
    """Tell the worker to end, and again with the second signal that comes here. Its exit code, as shells write it."""
    told = 0
    while True:
        if told < max(1, stop.times):
            worker.terminate()
            told += 1
        try:
            code = worker.wait(LOOK)
        except subprocess.TimeoutExpired:
            continue
        return code if code >= 0 else 128 - code
