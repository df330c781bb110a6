"""Finalisers and signal handlers run amid whatever a listener says: it goes on, and all that it said arrives."""

import pytest

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("name", ["emits_amid_finalisers", "yields_amid_finalisers"])
def test_finalisers_that_speak(shared, name):
    """They log, print, emit and report amid an `emit` of the same thread, or on a thread of the worker's own."""
    count = 1000
    job = shared.mlq.submit(count, functions=[name])
    assert job.result(60) == (count if name == "emits_amid_finalisers" else list(range(count)))
    assert [chunk for chunk in job.stream() if chunk != "unclosed"] == list(range(count))
    assert "unclosed" in job.logs()
    assert shared.mlq.submit(7, functions=["echo"]).result(60) == 7


@pytest.mark.parametrize("kind", ["process", "thread", "asyncio", "solo"])
def test_finalisers_that_call_the_server(kind, workers):
    """Amid a call of the same thread, for which there is one place. Not under gevent: they may run amid its code."""
    shared = workers(kind)
    assert shared.mlq.submit(50, functions=["posts_amid_finalisers"]).result(60) == 50
    assert shared.mlq.submit(7, functions=["echo"]).result(60) == 7


@pytest.mark.parametrize("kind", ["process", "solo"])
def test_a_signal_handler_that_raises(kind, workers):
    """In the pools whose listeners run in the main thread. No chunk is torn, and the process goes on."""
    shared = workers(kind)
    job = shared.mlq.submit(100, functions=["emits_until_interrupted"])
    tried, pid = job.result(60)
    numbers = []
    for number, data in job.stream():
        assert data == bytes([number % 256]) * (number * 7919 % 50_000)
        numbers.append(number)
    assert numbers == sorted(set(numbers))
    assert len(numbers) >= tried - 100, "only those that were interrupted may be missing"
    assert shared.mlq.submit(100, functions=["emits_until_interrupted"]).result(60)[1] == pid
