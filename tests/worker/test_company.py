"""Jobs that kill their worker beside jobs that do not: the former are found, the latter succeed."""

import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from mlq import MLQ

pytestmark = pytest.mark.slow

PROGRAM = str(Path(__file__).with_name("crowd.py"))
SOON = 90.0  # seconds until a test gives up
FREE, OWN = 3, 3  # losses with others until a job runs apart, and losses alone that end it

Keep = Callable[..., None]


@pytest.fixture
def keep(server_url: str, namespace: str) -> Iterator[Keep]:
    """Keeps so many workers of a pool running, as a supervisor does."""
    over = threading.Event()
    threads: list[threading.Thread] = []

    def supervise(command: list[str]) -> None:
        while not over.is_set():
            process = subprocess.Popen(command)
            while process.poll() is None and not over.wait(0.02):
                pass
            process.kill()
            process.wait()

    def begin(pool: str, slots: int, workers: int = 1) -> None:
        command = [sys.executable, PROGRAM, server_url, namespace, pool, str(slots)]
        for _ in range(workers):
            threads.append(threading.Thread(target=supervise, args=(command,)))
            threads[-1].start()

    yield begin
    over.set()
    for thread in threads:
        thread.join()


@pytest.fixture
def runs(raw: Any, namespace: str) -> Callable[[str], int]:
    """How often the listener of a job began."""
    return lambda job_id: int(raw.get(f"{{{namespace}}}:data:runs {job_id}") or 0)


@pytest.mark.parametrize("pool", ["thread", "asyncio"])
def test_innocents_outlive_a_neighbour_that_kills(keep: Keep, mlq: MLQ, runs: Callable[[str], int], pool: str) -> None:
    """They all succeed, after a bounded number of runs; the guilty one is a dead letter, and the only one."""
    innocent = [mlq.submit(0.3) for _ in range(6)]
    guilty = mlq.submit("kill")
    innocent += [mlq.submit(0.3) for _ in range(12)]
    keep(pool, slots=8)
    assert [job.result(SOON) for job in innocent] == [0.3] * 18
    with pytest.raises(Exception, match="died or was cut off"):
        guilty.result(SOON)
    assert [letter.id for letter in mlq.dead_letters()] == [guilty.id]
    assert max(runs(job.id) for job in innocent) <= FREE + 1
    assert runs(guilty.id) <= FREE + OWN
    kept = mlq.get_job(guilty.id)
    assert (kept["reason"], kept["error_type"]) == ("lost", "mlq.errors.LeaseLost")
    told = [run["error"] for run in kept["attempts"]]
    assert "together with" in told[0]
    assert not any("together with" in error for error in told[-OWN:])


def test_many_that_kill_beside_a_stream_of_others(keep: Keep, mlq: MLQ, runs: Callable[[str], int]) -> None:
    """Busy workers make room for those that are to run apart."""
    jobs = [mlq.submit("kill" if i in (3, 9, 20) else 0.1) for i in range(40)]
    keep("thread", slots=4, workers=2)
    give_up, stream = time.monotonic() + SOON, []
    while len(mlq.dead_letters()) < 3:
        assert time.monotonic() < give_up
        stream.append(mlq.submit(0.1))
        time.sleep(0.05)
    guilty = [jobs[i] for i in (3, 9, 20)]
    assert {letter.id for letter in mlq.dead_letters()} == {job.id for job in guilty}
    innocent = [job for job in (*jobs, *stream) if job not in guilty]
    assert [job.result(SOON) for job in innocent] == [0.1] * len(innocent)
    assert max(runs(job.id) for job in innocent) <= FREE + 1
    assert max(runs(job.id) for job in guilty) <= FREE + OWN


def test_who_waits_for_one_that_kills_is_not_blamed(keep: Keep, mlq: MLQ, raw: Any, namespace: str) -> None:
    """One worker with one slot: the other one runs apart though the waiting one is there, and pays alone."""
    parent = mlq.submit("parent")
    keep("thread", slots=1)
    with pytest.raises(Exception, match="died or was cut off"):
        parent.result(SOON)
    kept = mlq.get_job(parent.id)
    assert kept["reason"] == "error"
    child = raw.get(f"{{{namespace}}}:data:child").decode()
    assert {letter.id for letter in mlq.dead_letters()} == {parent.id, child}
    assert mlq.get_job(child)["reason"] == "lost"
    assert len(mlq.get_job(child)["attempts"]) <= FREE + OWN
    assert any("while it waited" in run["error"] for run in kept["attempts"])
