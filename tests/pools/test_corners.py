"""What an adversary found: slots that vanished, workers that died of their listeners' children, calls that hung."""

import signal

import pytest

from mlq import JobFailed

pytestmark = pytest.mark.slow

THREE = dict.fromkeys(("process", "thread", "gevent", "solo"), "waits_for_three_in_threads")
THREE["asyncio"] = "waits_for_three_on_the_loop"


def test_waits_side_by_side_cost_no_slot(shared):
    """With one slot: the three wait while the jobs that they wait for run in it."""
    for _ in range(3):
        job = shared.mlq.submit(None, functions=[THREE[shared.pool]])
        assert job.result(60) == [0, 1, 2]
    assert shared.mlq.submit(7, functions=["echo"]).result(60) == 7


def test_forked_processes_of_a_listener_speak_for_no_job(begin, mlq):
    """They print and are told to end, and neither the child's wire nor the worker takes notice."""
    worker = begin("process")
    for _ in range(3):
        job = mlq.submit(None, functions=["forks"])
        assert job.result(60) == [number * number for number in range(12)]
        assert "squaring" not in job.logs()
    assert worker.running()
    assert mlq.submit(7, functions=["echo"]).result(60) == 7


@pytest.mark.parametrize("words", [("--max-jobs", "1"), ()])
def test_a_child_that_retires_while_it_waits_goes_on(begin, mlq, words):
    """The only child must still run what its own run waits for."""
    worker = begin("process", *words)
    assert mlq.submit(1, functions=["echo"]).result(60) == 1
    job = mlq.submit(None, functions=["waits_twice"])
    if not words:
        worker.signal(signal.SIGHUP)
    assert job.result(60) == [0, 1]
    assert mlq.submit(7, functions=["echo"]).result(60) == 7


def test_a_plain_listener_may_run_a_loop_of_its_own(begin, mlq, pool):
    """In every pool, several side by side where it has slots, and beside coroutines."""
    begin(pool, "--concurrency", "1" if pool in ("process", "solo") else "8")
    jobs = []
    for value in range(5):
        jobs += [mlq.submit(value, functions=[name]) for name in ("runs_a_loop", "returns_a_coroutine", "echo_async")]
    expected = [found for value in range(5) for found in ([*range(value), value], value, value)]
    assert [job.result(60) for job in jobs] == expected


def test_many_time_limits_at_once_do_no_harm(begin, mlq):
    """Coroutines that end when they are cancelled are not stuck."""
    worker = begin("asyncio")
    jobs = [mlq.submit(60, functions=["sleeps_on_the_loop"], timeout=0.3) for _ in range(20)]
    for job in jobs:
        with pytest.raises(JobFailed, match="limit"):
            job.result(60)
    assert mlq.submit(7, functions=["echo"]).result(60) == 7
    assert worker.running()


def test_a_context_is_dead_when_its_attempt_is(begin, mlq, pool):
    """No use of it hangs, and none writes."""
    begin(pool, "--concurrency", "1")
    mlq.submit(None, functions=["keeps_its_context"]).result(60)
    told = mlq.submit(None, functions=["uses_a_kept_context"]).result(60)
    assert told == ["True", "LeaseLost", "LeaseLost", "LeaseLost"]


@pytest.mark.parametrize("kind", ["asyncio", "gevent"])
def test_a_task_that_ends_the_process_ends_itself_alone(kind, begin, mlq, tell):
    """The job that made it fails, that of others on the same loop goes on, and so does the worker."""
    worker = begin(kind, "--concurrency", "2")
    innocent = mlq.submit(2, functions=["sleeps_on_the_loop"])
    tell.heard("begun")
    guilty = mlq.submit(3, functions=["leaves_in_a_task"])
    with pytest.raises((SystemExit, JobFailed)):
        guilty.result(60)
    assert innocent.result(60) is None
    assert mlq.submit(7, functions=["echo_async"]).result(60) == 7
    worker.signal(signal.SIGTERM)
    assert worker.wait(20) == 0


def test_a_wait_that_outlives_its_listener_leaves_no_room_behind(begin, mlq, tell):
    """A child of one slot runs one job at a time afterwards, too."""
    begin("process", "--concurrency", "1")
    never = mlq.post(1, functions=["nobody"])
    for _ in range(3):
        assert mlq.submit(never, functions=["waits_no_longer"]).result(60) == "impatient"
    jobs = [mlq.submit(name, functions=["waits"]) for name in "ab"]
    tell.heard("begun")
    assert mlq.job(jobs[1].id).state() == "queued"
    assert tell.count("begun") == 0
    for name in "ab":
        tell.say(f"end {name}")
    assert [job.result(60) for job in jobs] == ["a", "b"]
