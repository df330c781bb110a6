"""The bars that recovery must clear, for workers of every pool, as the command line starts them."""

import signal
import time
from contextlib import closing
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import redis

from benchmarks.chaos.evidence import KEYS
from benchmarks.chaos.features import POOLS
from benchmarks.chaos.mix import value
from benchmarks.chaos.proxy import Proxy

pytestmark = pytest.mark.slow

of_each_pool = pytest.mark.parametrize("pool", POOLS)


@of_each_pool
def test_a_killed_workers_job_starts_again_within_10_s_and_nobody_waits_meanwhile(scene, wait_until, pool):
    """Jobs that are posted in these seconds take no longer than ever."""
    victim = scene.start(pool)
    job = scene.submit(5.0)
    wait_until(lambda: scene.runs(job), 10)
    scene.start(pool, concurrency=2)
    victim.kill()
    killed, longest = time.monotonic(), 0.0
    assert scene.runs(job)[0].end is None
    while len(scene.runs(job)) < 2:
        posted = time.monotonic()
        assert posted - killed < 10
        assert scene.submit().result(timeout=10) == value(1, 1)
        longest = max(longest, time.monotonic() - posted)
    assert scene.runs(job)[1].begin - killed < 10
    assert scene.mlq.get_job(job.id)["retries"] == 1
    assert longest < 1, "a waiting job was held up"


@of_each_pool
def test_what_a_frozen_worker_says_when_it_wakes_up_is_refused(scene, wait_until, pool):
    """Its job was run by another one meanwhile; that outcome stays, to the last field, and the sleeper works on."""
    sleeper = scene.start(pool)
    job = scene.submit(0.5)
    wait_until(lambda: scene.runs(job), 10)
    sleeper.send_signal(signal.SIGSTOP)
    rescuer = scene.start(pool)
    assert job.result(timeout=20) == value(1, 2)
    finished = scene.mlq.get_job(job.id)
    first, second = scene.runs(job)
    assert (first.worker, second.worker) == (sleeper.pid, rescuer.pid)
    rescuer.terminate()
    assert rescuer.wait(10) == 0
    sleeper.send_signal(signal.SIGCONT)
    wait_until(lambda: scene.runs(job)[0].end or not Path(f"/proc/{first.process}").exists(), 10)
    for _ in range(3):
        assert scene.submit().result(timeout=10) == value(1, 1)
    assert scene.mlq.get_job(job.id) == finished
    assert sleeper.poll() is None


@of_each_pool
def test_three_seconds_without_a_server_cost_nothing_but_time(scene, wait_until, pool):
    """Every result is there, nothing ran twice, no worker is gone, and work goes on within seconds."""
    workers = [scene.start(pool, concurrency=3) for _ in range(2)]
    ending_meanwhile = [scene.submit(1.5) for _ in range(2)]
    ending_later = [scene.submit(4.5) for _ in range(2)]
    jobs = [*ending_meanwhile, *ending_later]
    wait_until(lambda: all(scene.runs(job) for job in jobs), 10)
    scene.server.kill()
    time.sleep(3)
    scene.server.restart()
    jobs.append(scene.submit())
    assert jobs[-1].result(timeout=8) == value(1, 1)  # a claim that sleeps on would take its 10 s
    assert [job.result(timeout=10) for job in jobs] == [value(1, 1)] * 5
    assert [len(scene.runs(job)) for job in jobs] == [1] * 5
    assert [scene.mlq.get_job(job.id)["retries"] for job in jobs] == [0] * 5
    assert [worker.poll() for worker in workers] == [None, None]


@of_each_pool
def test_workers_that_start_leave_a_job_alone_that_is_just_being_claimed(scene, wait_until, pool):
    """The line of the claimer is slow, but it can renew its lease; the job runs once, where it was claimed."""
    with closing(Proxy(urlsplit(scene.server.url).port)) as proxy:
        claimer = scene.start(pool, url=f"redis://127.0.0.1:{proxy.port}")
        proxy.order("delay", 60, 0.4)
        job = scene.submit(0.1)
        wait_until(lambda: job.state() == "running", 20)
        others = [scene.start(pool) for _ in range(2)]
        proxy.heal()
        assert job.result(timeout=10) == value(1, 1)
        assert [(run.worker, run.attempt) for run in scene.runs(job)] == [(claimer.pid, 1)]
        assert scene.mlq.get_job(job.id)["retries"] == 0
        assert [worker.poll() for worker in others] == [None, None]


@of_each_pool
def test_workers_that_start_amid_a_stream_of_jobs_disturb_none(scene, pool):
    """Each of 400 jobs runs once."""
    scene.start(pool, concurrency=2)
    jobs = [scene.submit(0.02, number) for number in range(400)]
    for _ in range(3):
        scene.start(pool, concurrency=2)
    assert [job.result(timeout=30) for job in jobs] == [value(number, 1) for number in range(400)]
    assert {scene.mlq.get_job(job.id)["retries"] for job in jobs} == {0}
    assert {len(scene.runs(job)) for job in jobs[::20]} == {1}


def _spoil(client, name, kind):
    client.delete(name)
    if kind == "list":
        client.rpush(name, "x")
    else:
        client.hset(name, "x", "y")


@pytest.mark.parametrize("kind", ["list", "hash"])
def test_a_record_of_another_type_becomes_a_dead_letter_and_the_next_job_runs(scene, wait_until, kind):
    """`post:<id>` holds what no client of ours writes. (Garbage bytes and members: tests/worker/test_poison.py.)"""
    spoilt, following = scene.submit(), scene.submit()
    with redis.Redis.from_url(scene.server.url) as client:
        _spoil(client, KEYS.post + spoilt.id, kind)
        scene.start("thread")
        assert following.result(timeout=5) == value(1, 1)
        wait_until(lambda: client.zscore(KEYS.dead, spoilt.id) is not None, 5)


def test_a_state_of_another_type_does_not_stop_the_next_job(scene):
    """`job:<id>` is no hash."""
    spoilt, following = scene.submit(), scene.submit()
    with redis.Redis.from_url(scene.server.url) as client:
        _spoil(client, KEYS.job + spoilt.id, "list")
        scene.start("thread")
        assert following.result(timeout=5) == value(1, 1)


def test_a_spoilt_record_under_a_lapsed_lease_does_not_stop_recovery(scene, wait_until):
    """Of the other job that the killed worker held."""
    victim = scene.start("thread", concurrency=2)
    spoilt, other = scene.submit(30.0), scene.submit(0.5)
    wait_until(lambda: scene.runs(spoilt) and scene.runs(other), 10)
    victim.kill()
    with redis.Redis.from_url(scene.server.url) as client:
        _spoil(client, KEYS.post + spoilt.id, "list")
    scene.start("thread")
    assert other.result(timeout=12) == value(1, 2)
