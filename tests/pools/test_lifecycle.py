"""How workers of every pool start, register, choose jobs, and stop."""

import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from mlq import MLQ, server
from mlq.version import __version__
from tests.pools.conftest import COMMAND, LISTENERS, ROOT

pytestmark = pytest.mark.slow


def test_sigterm_lets_the_running_job_end(pool, begin, mlq, tell):
    worker = begin(pool, "--concurrency", "1")
    running, waiting = mlq.submit("this", functions=["waits"]), mlq.submit(2, functions=["echo"])
    tell.heard("begun")
    worker.signal(signal.SIGTERM)
    worker.logs(" stops; ")
    assert worker.running()
    tell.say("end this")
    assert running.result(60) == "this"
    assert worker.wait(10) == 0
    assert (waiting.state(), mlq.get_job(waiting.id)["retries"]) == ("queued", 0)
    assert mlq.workers() == []


HURRIED = """
import os, signal, sys, time
from mlq.cli import main
from mlq.worker.worker import Worker

start = Worker.start

def start_and_hear_a_signal(worker):
    start(worker)
    while not worker._shared.held():
        time.sleep(0.01)
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(60)

Worker.start = start_and_hear_a_signal
sys.argv[0] = "mlq"
main()
"""


def test_a_signal_while_it_starts_lets_the_running_job_end(pool, mlq, tell, server_url):
    """As at any other time, though the main thread has not come to rest yet."""
    job = mlq.submit("this", functions=["waits"])
    ours = {"MLQ_URL": server_url, "MLQ_TEST_NAMESPACE": mlq.namespace, "MLQ_TEST_SIDE": server_url}
    environment = os.environ | ours | {"PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", HURRIED, "worker", str(LISTENERS), "--pool", pool]
    with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True) as worker:
        while " stops; " not in worker.stderr.readline():
            pass
        tell.say("end this")
        if pool != "solo":  # its main thread runs the jobs, and had not come to that
            tell.heard("begun")
            assert job.result(60) == "this"
        assert worker.wait(20) == 0
    assert mlq.get_job(job.id)["retries"] == 0
    assert mlq.workers() == []


@pytest.mark.parametrize("in_process", ["thread", "asyncio", "solo"])
def test_without_children_sighup_is_sigterm(in_process, begin, mlq, tell):
    worker = begin(in_process)
    running = mlq.submit("this", functions=["waits"])
    tell.heard("begun")
    worker.signal(signal.SIGHUP)
    worker.logs(" stops; ")
    tell.say("end this")
    assert running.result(60) == "this"
    assert worker.wait(10) == 0


def test_what_outlasts_the_grace_period_is_handed_back(pool, begin, mlq, tell):
    first = begin(pool, "--grace", "0.3", "--concurrency", "1")
    job = mlq.submit("this", functions=["waits"])
    tell.heard("begun")
    second = begin(pool)
    assert mlq.submit(1, functions=["echo"]).result(60) == 1  # the first has no slot: the second is there
    first.signal(signal.SIGTERM)
    first.logs("hands jobs back: 1")
    tell.heard("begun")
    assert first.wait(10) == 0
    tell.say("end this")
    assert job.result(60) == "this"
    attempts = mlq.get_job(job.id)["attempts"]
    assert [run["reason"] for run in attempts] == ["handed back", None]
    assert len({run["worker"] for run in attempts}) == 2
    assert second.running()


def test_a_second_signal_ends_it_at_once(pool, begin, mlq, tell, eventually):
    worker = begin(pool, "--grace", "60")
    mlq.submit(60, functions=["sleeps"])
    tell.heard("begun")
    children = worker.children()
    worker.signal(signal.SIGTERM)
    worker.logs(" stops; ")
    worker.signal(signal.SIGTERM)
    assert worker.wait(5) == 1
    for child in children:
        eventually(lambda child=child: not Path(f"/proc/{child}").exists(), 2)


def test_a_worker_waits_for_its_server(pool, begin):
    with server.scratch(appendfsync=None, port=0) as scratch:
        scratch.stop()
        worker = begin(pool, url=scratch.url, space="early")
        worker.logs("can't reach", times=2)
        assert worker.running()
        scratch.restart()
        with MLQ("early", url=scratch.url) as mlq:
            assert mlq.submit(5, functions=["echo"]).result(60) == 5
        worker.signal(signal.SIGTERM)
        assert worker.wait() == 0


def test_a_worker_says_what_it_is(pool, begin, mlq, tell, server_url, eventually):
    slots = "1" if pool == "solo" else "2"
    worker = begin(pool, "--concurrency", slots, "--name", "mine", "--functions", "waits,special")
    job = mlq.submit("this", functions=["waits"])
    tell.heard("begun")

    def about():
        words = [*COMMAND, "workers", "--json", "--namespace", mlq.namespace, "--url", server_url]
        done = subprocess.run(words, capture_output=True, cwd=ROOT, check=True, timeout=20)
        return json.loads(done.stdout)

    eventually(lambda: mlq.workers() and mlq.workers()[0]["jobs"] == job.id and mlq.workers()[0]["slots"] == slots)
    (one,) = about()
    assert one["name"].startswith("mine-")
    assert (one["host"], one["pid"]) == (socket.gethostname(), str(worker.pid))
    assert (one["pool"], one["slots"], one["version"]) == (pool, slots, __version__)
    assert set(one["functions"].split(",")) == {"waits", "special"}
    assert set(one["queues"].split(",")) == {"default", "special"}
    assert (one["jobs"], one["running"]) == (job.id, "1")
    tell.say("end this")
    job.result(60)
    worker.signal(signal.SIGTERM)
    assert worker.wait() == 0
    assert about() == []


def test_queues_and_functions_choose_jobs(pool, begin, mlq):
    begin(pool, "--queues", "left, right", "--functions", "echo,pair")
    other = mlq.submit(1, functions=["echo"])
    missing = mlq.submit(1, functions=["echo_async"], queue="left")
    for queue in ("left", "right"):
        assert mlq.submit(queue, functions=["echo"], queue=queue).result(60) == queue
    assert mlq.submit("both", queue="left").result(60) == "both"
    assert (other.state(), missing.state()) == ("queued", "queued")


@pytest.mark.parametrize("several", ["process", "thread", "gevent", "asyncio"])
def test_as_many_at_a_time_as_was_said(several, begin, mlq, tell):
    begin(several, "--concurrency", "3")
    ids = [mlq.post(i, functions=["waits"]) for i in range(4)]
    for _ in range(3):
        tell.heard("begun")
    assert [mlq.get_state(job_id) for job_id in ids] == ["running"] * 3 + ["queued"]
    for i in range(4):
        tell.say(f"end {i}")
    assert [mlq.wait(job_id, 10) for job_id in ids] == [0, 1, 2, 3]
