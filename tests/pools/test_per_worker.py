"""`per_worker` with real workers: the limit holds across children, and a dead child counts no more."""

import os
import signal

import pytest

from mlq import JobFailed

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("pool", ["process", "thread"])
def test_nothing_is_left_waiting(begin, mlq, tell, pool):
    jobs = [mlq.submit(number, functions=["limited" if number % 2 else "echo"]) for number in range(1000)]
    begin(pool, "--concurrency", "4" if pool == "process" else "8")
    assert [job.result(60) for job in jobs] == list(range(1000))
    assert tell.number("too many") == 0


def test_a_killed_child_counts_no_more(begin, mlq, tell):
    begin("process", "--concurrency", "3")
    jobs = [mlq.submit(number, functions=["limited_until_told"]) for number in range(3)]
    child = int(tell.heard("begun"))
    assert mlq.submit("beside", functions=["echo"]).result(60) == "beside"
    assert tell.count("begun") == 0
    os.kill(child, signal.SIGKILL)
    for _ in range(3):  # one after the other, the lost one among them
        tell.heard("begun")
        assert tell.count("begun") == 0
        tell.say("go on")
    assert [job.result(60) for job in jobs] == [0, 1, 2]


def test_halves_of_a_lost_batch_run_one_after_the_other(begin, mlq, tell):
    jobs = [mlq.submit(value, functions=["limited_together"]) for value in ("a", "b", "c", "die", "d", "e", "f", "g")]
    begin("process", "--concurrency", "3")
    assert [job.result(60) for job in jobs if job is not jobs[3]] == list("abcdefg")
    with pytest.raises(JobFailed):
        jobs[3].result(60)
    assert tell.number("too many") == 0
