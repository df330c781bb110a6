"""Servers that are not there, go away and come back."""

import contextlib
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import redis

from mlq import MLQ, server
from mlq.errors import ServerError

pytestmark = pytest.mark.slow


def test_a_worker_starts_before_its_server(start: Callable[..., Any]) -> None:
    """It keeps trying, and works within 2 s of the server's start."""
    with server.scratch(appendfsync=None, port=0) as scratch:
        scratch.stop()
        worker = start(url=scratch.url, space="early")
        time.sleep(1.5)  # nothing can be heard of a worker that can't reach its server
        assert worker.running()
        scratch.restart()
        mlq = MLQ("early", url=scratch.url)
        assert mlq.submit(["echo", 5]).result(timeout=4) == 5
        mlq.close()


def test_a_short_outage_runs_nothing_twice(start: Callable[..., Any], tmp_path: Path) -> None:
    """3 s without a server: running jobs go on and end well, waiting ones start within 2 s of its return."""
    with server.scratch(appendfsync="always") as scratch:
        mlq = MLQ("outage", url=scratch.url)
        workers = [start(url=scratch.url, space="outage", concurrency=2, runs=str(tmp_path / "runs")) for _ in range(2)]
        ids = mlq.post_many([["sleep", 4]] * 4 + [["echo", 1]] * 4)
        for i in ids[:4]:
            while mlq.get_state(i) != "running":
                time.sleep(0.01)
        scratch.kill()
        time.sleep(3)
        scratch.restart()
        back = time.monotonic()
        assert mlq.submit(["echo", 2]).result(timeout=8) == 2
        assert [mlq.wait(i, 10) for i in ids] == [4] * 4 + [1] * 4
        assert time.monotonic() - back < 5
        runs = Counter((tmp_path / "runs").read_text().split())
        assert set(runs.values()) == {1}
        assert {mlq.get_job(i)["retries"] for i in ids} == {0}
        assert all(worker.running() for worker in workers)
        mlq.close()


def test_every_acknowledged_post_has_one_outcome_when_the_server_is_killed(
    start: Callable[..., Any], tmp_path: Path
) -> None:
    """SIGKILL of a server that syncs each write, three times, while clients post and workers run."""
    with server.scratch(appendfsync="always") as scratch:
        workers = [start(url=scratch.url, space="killed", concurrency=2, runs=str(tmp_path / "runs")) for _ in range(2)]
        acknowledged: list[tuple[str, int]] = []
        stop = threading.Event()

        def post(client: int) -> None:
            mlq, number = MLQ("killed", url=scratch.url), client
            while not stop.is_set():
                with contextlib.suppress(ServerError):
                    acknowledged.append((mlq.post(["echo", number]), number))
                number += 10
                time.sleep(0.002)
            mlq.close()

        clients = [threading.Thread(target=post, args=(i,)) for i in range(3)]
        for client in clients:
            client.start()
        for _ in range(3):
            seen = len(acknowledged)
            while len(acknowledged) < seen + 150:
                time.sleep(0.01)
            scratch.kill()
            scratch.restart()
        stop.set()
        for client in clients:
            client.join()
        mlq = MLQ("killed", url=scratch.url)
        assert len(acknowledged) > 400
        assert len({job_id for job_id, _ in acknowledged}) == len(acknowledged), "two posts got one id"
        for job_id, number in acknowledged:
            assert mlq.wait(job_id, 15) == number
        assert mlq.job_count() == 0
        assert mlq.dead_letters() == []
        for worker in workers:
            worker.signal(signal.SIGTERM)
            assert worker.wait() == 0
        mlq.close()


def test_a_password_that_is_set_while_a_job_reports_costs_nothing_but_time(caplog: pytest.LogCaptureFixture) -> None:
    """As while credentials are exchanged: the worker complains, and goes on when it is let in again."""
    with server.scratch(appendfsync=None) as scratch, contextlib.closing(MLQ("auth", url=scratch.url)) as mlq:
        go = threading.Event()

        def reports(_message: Any, context: Any) -> str:
            while not go.wait(0.02):
                context.update_progress(time.time())
            return "done"

        mlq.create_listener(reports)
        job = mlq.submit(1)
        while job.state() != "running":
            time.sleep(0.01)
        with redis.Redis.from_url(scratch.url) as admin:
            admin.acl_setuser("default", enabled=True, reset_passwords=True, passwords="+secret")
            admin.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
            while "can't record what" not in caplog.text:
                time.sleep(0.01)
            admin.acl_setuser("default", enabled=True, nopass=True)
        go.set()
        assert job.result(60) == "done"
        assert not mlq._worker.broken
        mlq.shutdown()
