"""Limits, rates and pauses with real workers, several of them."""

import signal
import time

import pytest

from mlq import State

pytestmark = pytest.mark.slow


def two(begin, pool, concurrency="4"):
    return [begin(pool, "--concurrency", concurrency) for _ in range(2)]


@pytest.mark.parametrize("pool", ["process", "thread"])
def test_a_limit_holds_across_workers(begin, mlq, tell, pool):
    mlq.limit(resource="openai", running=3)
    jobs = [mlq.submit(number, functions=["calls_openai" if number % 2 else "echo"]) for number in range(600)]
    two(begin, pool)
    assert [job.result(60) for job in jobs] == list(range(600))
    assert tell.number("too many") == 0
    (state,) = mlq.limits()
    assert (state.running, state.holds_back) == (0, False)


def test_batches_count_each_job(begin, mlq, tell):
    mlq.limit(resource="disk", running=3)
    jobs = [mlq.submit(number, functions=["calls_openai_together"]) for number in range(100)]
    two(begin, "thread")
    assert [job.result(60) for job in jobs] == list(range(100))


def test_a_killed_worker_frees_its_places(begin, mlq, tell):
    mlq.limit(resource="openai", running=2)
    first = begin("thread", "--concurrency", "4")
    jobs = [mlq.submit(number, functions=["calls_openai_until_told"]) for number in range(3)]
    for _ in range(2):
        tell.heard("begun")
    begin("thread", "--concurrency", "4")
    assert mlq.submit("beside", functions=["echo"]).result(60) == "beside"
    assert mlq.limits()[0].running == 2
    first.signal(signal.SIGKILL)
    for _ in range(2):
        tell.heard("begun", 60)
    assert mlq.limits()[0].running == 2
    for _ in jobs:
        tell.say("go on")
    assert [job.result(60) for job in jobs] == [0, 1, 2]


def test_a_rate_lets_jobs_begin_when_its_time_has_come(begin, mlq):
    """Six at five a second: the last one needs a second more."""
    mlq.limit(function="echo", rate="5/s")
    two(begin, "thread")
    jobs = [mlq.submit(number, functions=["echo"]) for number in range(6)]
    assert [job.result(60) for job in jobs] == list(range(6))
    begun = sorted(mlq.get_job(job.id)["started"] for job in jobs)
    assert begun[5] - begun[0] >= 1


def test_a_pause(begin, mlq, tell):
    """Jobs that run go on; a worker that stops meanwhile hands its jobs back, and they wait."""
    worker = begin("thread", "--concurrency", "2", "--grace", "0")
    job = mlq.submit(1, functions=["calls_openai_until_told"])
    tell.heard("begun")
    assert mlq.pause(function="calls_openai_until_told", by="ann")
    other = mlq.submit(2, functions=["calls_openai_until_told"])
    assert mlq.submit("beside", functions=["echo"]).result(60) == "beside"
    worker.signal(signal.SIGTERM)
    worker.wait()
    begin("thread", "--concurrency", "2")
    assert mlq.submit("beside", functions=["echo"]).result(60) == "beside"
    assert [mlq.get_state(one.id) for one in (job, other)] == [State.QUEUED] * 2
    assert mlq.limits()[0].paused.by == "ann"
    assert mlq.resume(function="calls_openai_until_told")
    for _ in range(2):
        tell.heard("begun")
        tell.say("go on")
    assert [one.result(60) for one in (job, other)] == [1, 2]


def test_workers_of_what_is_paused_rest(begin, mlq, raw):
    """All queues are paused and jobs wait: the workers sleep, as without jobs."""
    two(begin, "thread")
    mlq.pause(queue="default")
    for number in range(20):
        mlq.post(number, functions=["echo"])
    assert mlq.submit("x", functions=["echo"], queue="default")
    before = raw.info("commandstats")["cmdstat_evalsha"]["calls"]
    time.sleep(2)  # what is counted takes time
    assert raw.info("commandstats")["cmdstat_evalsha"]["calls"] - before < 60


def test_jobs_without_functions_count_for_their_listeners(mlq, tell):
    """And a limit that is set while they run counts them."""
    from threading import Event

    told = Event()

    @mlq.listener(queue="plain")
    def waits(value):
        assert told.wait(30)
        return value

    mlq.create_listener(concurrency=4)
    jobs = [mlq.submit(number, queue="plain") for number in range(2)]
    while mlq.counts().running < 2:
        time.sleep(0.01)
    mlq.limit(function="waits", running=1)
    last = mlq.submit(2, queue="plain")
    assert mlq.limits()[0].running == 2
    told.set()
    assert [job.result(60) for job in (*jobs, last)] == [0, 1, 2]
