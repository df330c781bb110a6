"""What a large message or result took is given back by the worker's process and those that run listeners."""

import resource
import sys

import pytest

pytestmark = pytest.mark.slow

SIZE = 60_000_000  # bytes
SPARE = SIZE // 2  # bytes that a process may keep: less than one copy


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells how much a process holds")
def test_large_values_leave_nothing_behind(pool, begin, mlq, eventually):
    """Some seconds after the last one: buffers, connections, what waits for a time limit, arenas of glibc."""
    worker = begin(pool)
    mlq.submit(b"x", functions=["measures"]).result(60)

    def held():
        return {pid: _resident(pid) for pid in (worker.pid, *worker.children())}

    before = held()
    for _ in range(2):
        assert mlq.submit(b"x" * SIZE, functions=["measures"], timeout=600, ttl=1).result(60) == SIZE
        assert len(mlq.submit(SIZE, functions=["sized"], timeout=600, ttl=1).result(60)) == SIZE
        assert mlq.submit(SIZE // 4, functions=["sized_parts"], timeout=600, ttl=1).result(60) == SIZE // 4
    eventually(lambda: all(now < before[pid] + SPARE for pid, now in held().items()), 30)


def _resident(pid):
    with open(f"/proc/{pid}/statm") as file:
        return int(file.read().split()[1]) * resource.getpagesize()
