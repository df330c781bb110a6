"""What a large message or result took is given back by the processes that run listeners."""

import sys

import pytest

pytestmark = pytest.mark.slow

SIZE = 40_000_000  # bytes
SPARE = SIZE  # bytes that a process may keep: less than one copy


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells how much a process holds")
def test_large_values_leave_nothing_behind(pool, begin, mlq, eventually):
    """Ten seconds after the last one: buffers, connections, what waits for a time limit."""
    worker = begin(pool, "--concurrency", "1")
    mlq.submit(b"x", functions=["measures"]).result(20)

    def held():
        return {pid: _resident(pid) for pid in worker.children() or [worker.pid]}

    before = held()
    for _ in range(3):
        assert mlq.submit(b"x" * SIZE, functions=["measures"], timeout=600, ttl=1).result(40) == SIZE
        assert len(mlq.submit(SIZE, functions=["sized"], timeout=600, ttl=1).result(40)) == SIZE
    eventually(lambda: all(now < before[pid] + SPARE for pid, now in held().items()), 30)


def _resident(pid):
    with open(f"/proc/{pid}/statm") as file:
        return int(file.read().split()[1]) * 4096
