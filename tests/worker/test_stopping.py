"""How a worker process ends: signals, shutdown, and the end of its main program."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mlq import MLQ

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
BESIDE = """
import threading, time
from mlq import MLQ
from mlq.worker.exit import keep

class Beside:
    stopped, broken = threading.Event(), False
    def stop(self, grace):
        self.stopped.set()

def breaks(message, context):
    beside.broken = True
    beside.stopped.set()
    time.sleep(message)
    return "ended"

beside = Beside()
keep(beside, 20.0)
mlq = MLQ({namespace!r}, url={url!r})
mlq.create_listener(breaks)
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("leave", ["asyncio", "thread"])
def test_a_signal_lets_the_running_job_finish(
    start: Callable[..., Any], mlq: MLQ, tell: Any, number: signal.Signals, leave: str
) -> None:
    """The job ends well, the next one is left in its lane, and the process ends with code 0."""
    first, second = mlq.submit("wait"), mlq.submit("wait")
    worker = start(leave=leave)
    tell.heard("begun")
    worker.signal(number)
    tell.heard("stopping")
    tell.end(worker)
    assert first.result(timeout=5) == worker.pid
    assert worker.wait() == 0
    assert second.state() == "queued"
    assert mlq.get_job(second.id)["retries"] == 0
    assert mlq.workers() == []


def test_what_does_not_finish_in_time_is_handed_back(start: Callable[..., Any], mlq: MLQ, tell: Any) -> None:
    """After the grace period another worker has it at once, not when the lease ran out."""
    job = mlq.submit("wait")
    worker = start(grace=0.3)
    tell.heard("begun")
    second = start()
    worker.signal(signal.SIGTERM)
    begun = time.monotonic()
    assert int(tell.heard("begun")) == second.pid
    assert time.monotonic() - begun < 4  # the lease has 6 s
    assert worker.wait() == 0
    tell.end(second)
    assert job.result(timeout=5) == second.pid
    assert mlq.get_job(job.id)["retries"] == 1


def test_a_second_signal_ends_the_process_at_once(start: Callable[..., Any], mlq: MLQ, tell: Any) -> None:
    """With code 1; the lease brings the job back."""
    mlq.post("wait")
    worker = start(grace=60)
    tell.heard("begun")
    worker.signal(signal.SIGTERM)
    tell.heard("stopping")  # two signals that are pending at once would be one
    assert worker.running()
    worker.signal(signal.SIGTERM)
    assert worker.wait(3) == 1


@pytest.mark.parametrize("leave", ["asyncio", "thread", "sys.exit"])
def test_listeners_may_start_threads_after_the_main_program_ended(
    start: Callable[..., Any], mlq: MLQ, leave: str
) -> None:
    """Executors too, though the interpreter has nothing left to run; also where an exception ended that program."""
    worker = start(leave=leave)
    for _ in range(2):
        assert mlq.submit("threads").result(timeout=10) == [True, 3]
    worker.signal(signal.SIGTERM)
    assert worker.wait() == 0
    assert "Traceback" not in worker.errors()


def test_shutdown_stops_this_worker_alone_and_create_listener_starts_it_again(
    mlq: MLQ, namespace: str, server_url: str
) -> None:
    """The other worker of the namespace works on."""
    other = MLQ(namespace, url=server_url)
    mlq.create_listener(lambda message: "first")
    other.create_listener(lambda message: "other")
    mlq.shutdown()
    assert [mlq.submit(i).result(60) for i in range(3)] == ["other"] * 3
    other.shutdown()
    waiting = mlq.submit("waits")
    mlq.create_listener()  # the listeners are still there
    assert waiting.result(60) == "first"
    other.close()


def test_shutdown_hands_back_what_runs(mlq: MLQ, namespace: str, server_url: str) -> None:
    """In the same process: another worker runs it at once, and the first one's result is refused."""
    import threading

    begun, go_on = threading.Event(), threading.Event()

    def first(_: object) -> str:
        begun.set()
        go_on.wait(10)
        return "too late"

    mlq.create_listener(first)
    job = mlq.submit(1)
    assert begun.wait(5)
    mlq.shutdown(grace=0)
    other = MLQ(namespace, url=server_url)
    other.create_listener(lambda message: "second")
    assert job.result(60) == "second"
    go_on.set()
    other.shutdown()
    assert mlq.get_result(job.id) == "second"
    other.close()


def test_shutdown_and_create_reaper_without_a_worker(mlq: MLQ) -> None:
    """Both are harmless, and so is doing them twice."""
    mlq.shutdown()
    mlq.create_reaper()
    mlq.shutdown()
    mlq.shutdown()


def test_what_breaks_beside_a_worker_leaves_it_time_to_stop(server_url: str, namespace: str, mlq: MLQ) -> None:
    """Its job ends within the grace period, and the process ends with the code of something broken."""
    program = BESIDE.format(url=server_url, namespace=namespace)
    with subprocess.Popen([sys.executable, "-c", program], env=os.environ | {"PYTHONPATH": str(ROOT)}) as process:
        assert mlq.submit(0.5).result(60) == "ended"
        assert process.wait(20) == 70
    assert mlq.workers() == []


def test_a_stop_that_fails_is_an_end_all_the_same(mlq: MLQ, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that neither works nor ends would be the worst."""
    before = sys.stdout
    mlq.create_listener(lambda message: message)
    assert mlq.submit(1).result(60) == 1
    worker = mlq._worker
    monkeypatch.setattr(worker._pool, "close", lambda: 1 / 0)
    worker.stop(0)
    assert (worker.stopped.is_set(), worker.broken) == (True, True)
    assert sys.stdout is before  # else the next one would not hear what its jobs print
