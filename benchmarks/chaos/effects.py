"""The record of runs that needs no server: a line per begin and end in a local file, each by one appending write."""

import os
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

FILE = "CHAOS_EFFECTS"  # the environment variable that names it


@cache
def _descriptor(path: str) -> int:
    return os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)


def _say(job: Mapping[str, Any], what: str) -> None:
    name = os.environ[FILE]
    worker = str(job["worker"]).split("-")[-2]  # <host>-<pid>-<chance>; our own parent may be a helper of the pool
    line = f"{job['id']} {job['retries'] + 1} {worker} {os.getpid()} {what} {time.monotonic():.6f}\n"
    os.write(_descriptor(name), line.encode())


@contextmanager
def recorded(job: Mapping[str, Any]) -> Iterator[int]:
    """Writes the lines of one run; gives the number of the attempt."""
    _say(job, "begin")
    try:
        yield job["retries"] + 1
    finally:
        _say(job, "end")


class Run(NamedTuple):
    """One run of a listener. Times by the system's monotonic clock, the same in all processes."""

    job_id: str
    attempt: int
    worker: int  # pid
    process: int  # pid; a child of the worker where the pool has such
    begin: float
    end: float | None  # None: its process died


def read(path: Path) -> list[Run]:
    """All runs, by begin."""
    open_runs: dict[tuple[str, int, int, int], list[float]] = {}
    runs = []
    for job_id, attempt, worker, process, what, moment in _lines(path):
        key = (job_id, int(attempt), int(worker), int(process))
        if what == "begin":
            open_runs.setdefault(key, []).append(float(moment))
        else:
            runs.append(Run(*key, open_runs[key].pop(0), float(moment)))
    runs += [Run(*key, begin, None) for key, begins in open_runs.items() for begin in begins]
    return sorted(runs, key=lambda run: run.begin)


def _lines(path: Path) -> Iterable[list[str]]:
    return [line.split() for line in path.read_text().splitlines()] if path.exists() else []
