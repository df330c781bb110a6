"""Leases: a long job runs once, and a worker that slept past its lease can record nothing."""

import signal
import time
from collections.abc import Callable
from typing import Any

import pytest

from mlq import MLQ

pytestmark = pytest.mark.slow

LEASE = 6.0


def test_a_job_longer_than_the_lease_runs_once(start: Callable[..., Any], mlq: MLQ, tell: Any) -> None:
    """Two idle workers watch it."""
    start()
    start()
    job = mlq.submit(["sleep", LEASE + 3])
    assert job.result(timeout=25) == LEASE + 3
    assert tell.runs() == [job.id]
    assert mlq.get_job(job.id)["retries"] == 0


def test_a_stopped_worker_that_wakes_up_late_can_write_nothing(start: Callable[..., Any], mlq: MLQ, tell: Any) -> None:
    """SIGSTOP past the lease, SIGCONT while another worker runs the job: its post and progress are refused."""
    job = mlq.submit("stale")
    sleeper = start()
    assert int(tell.heard("begun")) == sleeper.pid
    sleeper.signal(signal.SIGSTOP)
    rescuer = start()
    assert int(tell.heard("begun")) == rescuer.pid  # only after the lease ran out
    sleeper.signal(signal.SIGCONT)
    tell.end(sleeper)
    assert [tell.heard("writes"), tell.heard("writes")] == ["post refused", "progress refused"]
    assert job.state() == "running"
    assert job.progress() == 0
    tell.end(rescuer)
    assert [tell.heard("writes"), tell.heard("writes")] == ["post accepted", "progress accepted"]
    assert job.result(timeout=5) == "stale"
    assert mlq.get_job(job.id)["retries"] == 1
    assert tell.runs()[:2] == [job.id, job.id]


def test_a_late_result_is_refused(start: Callable[..., Any], mlq: MLQ, tell: Any) -> None:
    """The worker that lost the lease ends its listener after the other one: the first outcome stands."""
    job = mlq.submit("wait")
    sleeper = start()
    tell.heard("begun")
    sleeper.signal(signal.SIGSTOP)
    rescuer = start()
    tell.heard("begun")
    tell.end(rescuer)
    assert job.result(timeout=5) == rescuer.pid
    finished = mlq.get_job(job.id)
    rescuer.signal(signal.SIGTERM)
    assert rescuer.wait() == 0
    sleeper.signal(signal.SIGCONT)
    tell.end(sleeper)
    assert mlq.submit(["echo", 1]).result(timeout=10) == 1  # the sleeper has settled in vain, and goes on working
    assert mlq.get_job(job.id) == finished


def test_no_lease_is_lost_in_a_crowd_of_reporting_listeners(mlq: MLQ) -> None:
    """Sixteen listeners that report without a pause do not keep the worker from renewing its leases."""

    def report(_: object, context: Any) -> int:
        calls, end = 0, time.monotonic() + LEASE + 2
        while time.monotonic() < end:
            context.update_progress(calls)
            calls += 1
        return calls

    mlq.create_listener(report, concurrency=16)
    ids = mlq.post_many([None] * 16)
    calls = [mlq.wait(i, 30) for i in ids]
    assert {mlq.get_job(i)["retries"] for i in ids} == {0}
    assert min(calls) > 5, "some calls waited for seconds"
