"""Pipelines whose workers and server die all the time: each ends once, with the right result."""

import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import redis

from mlq import MLQ, server
from mlq.core.job import Record
from mlq.core.keys import Keys
from tests.programs import MLQ as COMMAND
from tests.programs import environment

pytestmark = pytest.mark.slow

LISTENERS = str(Path(__file__).with_name("fan.py"))
ROOTS, PARTS = 50, 20
RESULT = [number * number for number in range(PARTS)]
BEAT = 0.5  # seconds between two kills
LIVES = 2.0  # seconds that each worker may live, or none would get as far as to run a job
SOON = 100.0


@contextmanager
def workers(url: str, namespace: str, pool: str, count: int, killing: float) -> Iterator[Callable[[], int]]:
    """So many workers of a pool, killed in turn for so many seconds, and replaced; gives how many were killed."""
    command = [
        sys.executable,
        COMMAND,
        "worker",
        LISTENERS,
        "--pool",
        pool,
        "--concurrency",
        "3",
        "--max-losses",
        "100",
    ]
    over, killed = threading.Event(), 0

    def start() -> tuple[float, "subprocess.Popen[bytes]"]:
        return time.monotonic(), subprocess.Popen(
            command, env=environment(url) | {"FAN": namespace}, stderr=subprocess.DEVNULL
        )

    alive = [start() for _ in range(count)]

    def kill() -> None:
        nonlocal killed
        until = time.monotonic() + killing
        while not over.wait(BEAT) and time.monotonic() < until:
            since, victim = alive[0]
            if time.monotonic() - since > LIVES:
                victim.kill()
                victim.wait()
                killed += 1
                alive[:] = [*alive[1:], start()]

    thread = threading.Thread(target=kill)
    thread.start()
    try:
        yield lambda: killed
    finally:
        over.set()
        thread.join()
        for _, process in alive:
            process.kill()
            process.wait()


def check(raw: Any, keys: Keys, ids: list[str]) -> None:
    """All steps ended well; those that ran are those of the splits that began, and no other join or part ever did."""
    steps = {}
    for name in raw.scan_iter(keys.post.replace("-", "\\-").replace("{", "\\{") + "*", count=1000):
        part = Record.parse(raw.get(name)).options.part
        if part is not None:
            steps[name.decode().removeprefix(keys.post)] = part
    assert len(steps) == ROOTS * (PARTS + 1)
    for what, count in (("gather", 1), ("square", PARTS)):
        ran = {one.decode() for one in raw.lrange(f"{keys.data}runs {what}", 0, -1)}
        assert ran <= steps.keys(), "a step ran whose split never began"
        assert all(sum(steps[one].root == root for one in ran) == count for root in ids)
    for one in steps:
        assert raw.hget(keys.job + one, "state") == b"succeeded"
    for root in ids:
        counts = [int(raw.hget(keys.job + root, name) or 0) for name in ("steps", "done", "bad")]
        assert counts == [PARTS + 1, PARTS + 1, 0]
        tail = raw.hget(keys.job + root, "tail").decode()
        assert raw.hget(keys.job + tail, "gave").decode() == root
    assert not raw.exists(keys.blocked, keys.chores, keys.dead, keys.leases, keys.scheduled)


@pytest.mark.timeout(240)
@pytest.mark.parametrize("pool", ["process", "thread"])
def test_fan_ins_survive_workers_that_are_killed(
    server_url: str, namespace: str, raw: Any, mlq: MLQ, pool: str
) -> None:
    """Every half second one of three is, while they split, run parts and join."""
    keys = Keys(namespace)
    ids = mlq.post_many([PARTS] * ROOTS, functions=["scatter"])
    with workers(server_url, namespace, pool, 3, killing=20.0) as killed:
        assert [mlq.wait(one, SOON) for one in ids] == [RESULT] * ROOTS
        assert killed() > 2
    check(raw, keys, ids)
    for one in ids:
        mlq.delete(one)
    left = list(raw.scan_iter(f"*{namespace[5:]}*:job:*", count=1000))
    assert left == []


@pytest.mark.timeout(240)
def test_fan_ins_survive_a_server_that_is_killed() -> None:
    """One that syncs each write: three times, while workers are killed, too."""
    with server.scratch(appendfsync="always") as scratch, redis.Redis.from_url(scratch.url) as raw:
        mlq = MLQ("fans", url=scratch.url)
        ids = mlq.post_many([PARTS] * ROOTS, functions=["scatter"])
        with workers(scratch.url, "fans", "thread", 3, killing=15.0):
            for count in (3, 10, 20):
                while sum(mlq.get_state(one) == "succeeded" for one in ids) < count:
                    time.sleep(0.05)
                scratch.kill()
                scratch.restart()
            assert [mlq.wait(one, SOON) for one in ids] == [RESULT] * ROOTS
        check(raw, Keys("fans"), ids)
        mlq.close()
