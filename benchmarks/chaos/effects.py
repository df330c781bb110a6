"""The record of runs that needs no server: a line per begin and end in a local file, each by one appending write."""

import os
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

FILE = "CHAOS_EFFECTS"  # the environment variable that names it


@cache
def _descriptor(path: str) -> int:
    return os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)


def _say(jobs: Sequence[Mapping[str, Any]], what: str) -> None:
    lines = (f"{_run_of(job)} {len(jobs)} {what} {time.monotonic():.6f}\n" for job in jobs)
    os.write(_descriptor(os.environ[FILE]), "".join(lines).encode())


def _run_of(job: Mapping[str, Any]) -> str:
    worker = str(job["worker"]).split("-")[-2]  # <host>-<pid>-<chance>; our own parent may be a helper of the pool
    return f"{job['id']} {job['retries'] + 1} {worker} {os.getpid()}"


@contextmanager
def recorded(job: Mapping[str, Any]) -> Iterator[int]:
    """Writes the lines of one run; gives the number of the attempt."""
    with recorded_together([job]) as call:
        call.answers = 1  # a plain listener that raises is not called again within its attempt, either
        yield call.attempts[0]


@dataclass
class Call:
    """One call of a listener."""

    attempts: list[int]  # the number of each job's attempt
    answers: int = 0  # how many it returns; they belong to nobody if that is not the number of jobs


@contextmanager
def recorded_together(jobs: Sequence[Mapping[str, Any]]) -> Iterator[Call]:
    """Writes the lines of one call for several jobs. The listener sets `answers`, unless it raises."""
    _say(jobs, "begin")
    call = Call([job["retries"] + 1 for job in jobs])
    try:
        yield call
    finally:
        _say(jobs, "end" if call.answers == len(jobs) else "unanswered")


def mend(path: Path, root: str) -> None:
    """From now on, the steps of this pipeline that raise until they are mended raise no more."""
    _mark(path, root).touch()


def is_mended(root: str) -> bool:
    """Whether `mend` was called; for listeners."""
    return _mark(Path(os.environ[FILE]), root).exists()


def _mark(path: Path, root: str) -> Path:
    return path.with_name(f"mended-{root}")


class Run(NamedTuple):
    """One run of a listener. Times by the system's monotonic clock, the same in all processes."""

    job_id: str
    attempt: int
    worker: int  # pid
    process: int  # pid; a child of the worker where the pool has such
    begin: float
    end: float | None  # None: its process died
    together: int = 1  # jobs of the call
    answered: bool = True  # the call did not raise, and returned an answer for each job

    @property
    def is_repeated(self) -> bool:
        """Whether MLQ calls again, with fewer jobs, within the same attempt."""
        return not self.answered and self.together > 1


def read(path: Path) -> list[Run]:
    """All runs, by begin."""
    open_runs: dict[tuple[str, int, int, int, int], list[float]] = {}
    runs = []
    for job_id, attempt, worker, process, together, what, moment in _lines(path):
        key = (job_id, int(attempt), int(worker), int(process), int(together))
        if what == "begin":
            open_runs.setdefault(key, []).append(float(moment))
        else:
            runs.append(Run(*key[:4], open_runs[key].pop(0), float(moment), key[4], what == "end"))
    runs += [Run(*key[:4], begin, None, key[4]) for key, begins in open_runs.items() for begin in begins]
    return sorted(runs, key=lambda run: run.begin)


def _lines(path: Path) -> Iterable[list[str]]:
    return [line.split() for line in path.read_text().splitlines()] if path.exists() else []
