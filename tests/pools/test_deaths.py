"""Child processes that die, in the process pool: their job alone is concerned, and the worker goes on."""

import os
import signal
from pathlib import Path

import pytest

from mlq import JobFailed

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(
    ("function", "message", "words"),
    [("segfaults", None, "was killed by SIGSEGV"), ("exits", 3, "exited with code 3"), ("exits", 0, "code 0")],
)
def test_a_job_that_kills_its_child_thrice_is_a_dead_letter(begin, mlq, function, message, words):
    worker = begin("process")
    job = mlq.submit(message, functions=[function])
    with pytest.raises(JobFailed, match="in 3 attempts"):
        job.result(60)
    kept = mlq.get_job(job.id)
    assert [run["reason"] for run in kept["attempts"]] == ["lost"] * 3
    assert all(words in run["error"] for run in kept["attempts"])
    assert kept["reason"] == "lost"
    assert [letter.id for letter in mlq.dead_letters()] == [job.id]
    assert mlq.submit(1, functions=["echo"]).result(60) == 1
    assert worker.running()


def test_innocents_in_a_child_of_the_gevent_pool_outlive_one_that_kills_it(begin, mlq):
    """Which has many runs: those lost together run again, from the third time apart."""
    worker = begin("gevent", "--concurrency", "8")
    innocent = [mlq.submit(0.2, functions=["sleeps"]) for _ in range(6)]
    guilty = mlq.submit(3, functions=["exits"])
    innocent += [mlq.submit(0.2, functions=["sleeps"]) for _ in range(6)]
    for job in innocent:
        job.result(60)
    with pytest.raises(JobFailed, match="exited with code 3 in 3 attempts"):
        guilty.result(60)
    assert [letter.id for letter in mlq.dead_letters()] == [guilty.id]
    assert max(mlq.get_job(job.id)["retries"] for job in innocent) <= 3
    kept = mlq.get_job(guilty.id)
    assert kept["retries"] <= 5
    assert "together with" in kept["attempts"][0]["error"]
    assert worker.running()


def test_max_losses_1_makes_one_death_enough(begin, mlq, tell):
    begin("process", "--max-losses", "1")
    job = mlq.submit(None, functions=["dies_at_first"])
    with pytest.raises(JobFailed):
        job.result(60)
    assert tell.count("ran") == 1
    assert "was killed by SIGKILL" in mlq.get_job(job.id)["error"]


def test_a_killed_childs_job_runs_again_at_once_and_others_are_unharmed(begin, mlq, tell):
    """Children are up, so within a second; and the others' jobs never notice."""
    begin("process", "--concurrency", "3")
    others = [mlq.submit(i, functions=["waits"]) for i in range(2)]
    pids = {int(tell.heard("begun")) for _ in others}
    job = mlq.submit(20, functions=["sleeps"])
    victim = int(tell.heard("begun"))
    for i in range(2):
        tell.say(f"end {i}")
    assert [other.result(60) for other in others] == [0, 1]
    more = mlq.submit("on", functions=["waits"])
    assert int(tell.heard("begun")) in pids
    os.kill(victim, signal.SIGKILL)
    assert int(tell.heard("begun")) in pids
    first = mlq.get_job(job.id)["attempts"][0]
    assert (first["reason"], first["error"]) == ("lost", "its child process was killed by SIGKILL")
    tell.say("end on")
    assert more.result(60) == "on"
    assert {mlq.get_job(one.id)["retries"] for one in (*others, more)} == {0}
    job.cancel()


def test_a_child_that_dies_between_jobs_is_replaced(begin, mlq):
    begin("process")
    (pid, *_) = mlq.submit(None, functions=["identity"]).result(60)
    os.kill(pid, signal.SIGKILL)
    (other, *_) = mlq.submit(None, functions=["identity"]).result(60)
    assert other != pid


def test_a_listener_that_holds_the_gil_keeps_its_lease(begin, mlq, tell):
    """Past the lease of 6 s, with another worker that watches; in the asyncio pool a blocked loop is the same."""
    begin("process")
    job = mlq.submit(8, functions=["holds_the_gil"])
    tell.heard("begun")
    begin("asyncio", "--queues", "loop")
    blocked = mlq.submit(8, functions=["blocks_the_loop"], queue="loop")
    tell.heard("begun")
    begin("thread", "--queues", "default,loop")
    assert job.result(60) == "held"
    assert blocked.result(60) == 8
    assert (mlq.get_job(job.id)["retries"], mlq.get_job(blocked.id)["retries"]) == (0, 0)
    assert tell.count("begun") == 0


@pytest.mark.parametrize(("function", "message"), [("ignores_cancellation", 30), ("holds_the_gil", 30)])
def test_a_listener_that_ignores_its_cancellation_is_killed(begin, mlq, tell, eventually, function, message):
    begin("process")
    job = mlq.submit(message, functions=[function])
    pid = int(tell.heard("begun"))
    job.cancel()
    took = eventually(lambda: not Path(f"/proc/{pid}").exists(), 5)
    assert took > 0.5  # it has a second to end by itself
    assert mlq.submit(1, functions=["echo"]).result(60) == 1
    kept = mlq.get_job(job.id)
    assert (kept["state"], kept["retries"]) == ("cancelled", 0)


def test_a_stopped_child_is_killed_when_its_time_is_up(begin, mlq, tell):
    begin("process")
    job = mlq.submit(30, functions=["sleeps"], timeout=1)
    pid = int(tell.heard("begun"))
    os.kill(pid, signal.SIGSTOP)
    with pytest.raises((TimeoutError, JobFailed), match="limit of 1 s"):
        job.result(60)
    assert mlq.submit(1, functions=["echo"]).result(60) == 1
    assert not Path(f"/proc/{pid}").exists()


def test_children_that_are_killed_together_do_not_end_their_worker(begin, mlq):
    """None of them has read that its run is given up."""
    worker = begin("process", "--concurrency", "8")
    worker.logs(" is ready", times=8)
    jobs = [mlq.submit(30, functions=["sleeps"], timeout=1) for _ in range(8)]
    for job in jobs:
        with pytest.raises((TimeoutError, JobFailed), match="limit of 1 s"):
            job.result(60)
    worker.logs(" is ready", times=16)
    assert mlq.submit(1, functions=["echo"]).result(60) == 1
    assert worker.running()


@pytest.mark.parametrize("function", ["sleeps", "holds_the_gil"])
def test_children_die_with_their_worker(begin, mlq, tell, eventually, function):
    """Also while busy in C; and the job runs again elsewhere."""
    worker = begin("process")
    job = mlq.submit(4, functions=[function])
    pid = int(tell.heard("begun"))
    begin("process")
    assert mlq.submit(1, functions=["echo"]).result(60) == 1
    worker.signal(signal.SIGKILL)
    eventually(lambda: not Path(f"/proc/{pid}").exists(), 2)
    tell.heard("begun")
    assert job.result(60) in (4, "held")
    assert mlq.get_job(job.id)["attempts"][0]["reason"] == "lost"
