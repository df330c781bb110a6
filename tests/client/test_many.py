"""Waiting for many jobs, and following one: `as_completed`, `wait_many`, `follow`, `await`."""

import asyncio
import logging
import threading
import time

import pytest

from mlq import AsyncMLQ, JobCancelled, State, UnknownJob, WaitTimeout
from mlq.client import stream as stream_module
from mlq.client.stream import Updates
from mlq.ops.following import Entry, Followed

LOGGED = "WARNING steps: step 0\nWARNING steps: step 1\n"


@pytest.fixture
def gates(mlq):
    """Events that jobs wait for, by their messages; a worker with three slots."""
    made = {name: threading.Event() for name in "abc"}

    def wait(name, context):
        made[name].wait(20)
        if name == "c":
            raise ValueError("c is bad")
        return name.upper()

    mlq.listener(wait)
    mlq.create_listener(concurrency=3)
    yield made
    for event in made.values():
        event.set()


def test_jobs_come_in_the_order_of_their_ends(mlq, gates):
    a, b, c = (mlq.submit(name) for name in "abc")
    waiting = mlq.as_completed([a, b.id, c.reference], timeout=20)
    for gate, job, state in (("b", b, State.SUCCEEDED), ("c", c, State.FAILED), ("a", a, State.SUCCEEDED)):
        gates[gate].set()
        found = next(waiting)
        assert (found.id, found.state()) == (job.id, state)
    assert next(waiting, None) is None


def test_jobs_that_have_ended_come_at_once(mlq, gates):
    gates["a"].set()
    jobs = [mlq.submit("a") for _ in range(250)]  # more than one call to the server reads
    assert mlq.wait_many(jobs, 20) == ["A"] * 250
    began = time.monotonic()
    assert {job.id for job in mlq.as_completed(jobs, 20)} == {job.id for job in jobs}
    assert time.monotonic() - began < 5  # without waiting for messages, which would be 10 s
    assert list(mlq.as_completed([])) == []
    assert mlq.wait_many([]) == []


def test_results_come_in_the_order_of_the_jobs(mlq, gates):
    jobs = [mlq.submit(name) for name in "abc"]
    mlq.cancel(last := mlq.post("a", functions=["nobody"]))
    for gate in gates.values():
        gate.set()
    with pytest.raises(ValueError, match="c is bad"):
        mlq.wait_many(jobs, 20)
    *good, bad, gone = mlq.wait_many([*jobs, last], 20, return_exceptions=True)
    assert good == ["A", "B"]
    assert (type(bad), type(gone)) == (ValueError, JobCancelled)


def test_time_is_for_all_of_them(mlq, gates):
    gates["a"].set()
    jobs = [mlq.submit(name) for name in "abb"]
    waiting = mlq.as_completed(jobs, timeout=0.5)
    assert next(waiting).id == jobs[0].id
    with pytest.raises(WaitTimeout, match=r"2 of 3 jobs did not end within 0.5 s"):
        next(waiting)


def test_an_unknown_job_among_many(mlq, gates):
    with pytest.raises(UnknownJob):
        mlq.wait_many([mlq.submit("a"), "999"], 20)


def test_many_on_an_event_loop(mlq, gates, server_url, namespace):
    async def check():
        async with AsyncMLQ(namespace, url=server_url) as client:
            a, b, c = [await client.submit(name) for name in "abc"]
            waiting = client.as_completed([a, b.id, c], timeout=20)
            for gate, job in (("b", b), ("c", c), ("a", a)):
                gates[gate].set()
                assert (await anext(waiting)).id == job.id
            assert await anext(waiting, None) is None
            assert (await client.wait_many([b, a], 20)) == ["B", "A"]
            (bad,) = await client.wait_many([c], 20, return_exceptions=True)
            assert str(bad) == "c is bad"
            assert await a == "A"
            gates["b"].clear()
            with pytest.raises(WaitTimeout, match=r"1 of 1 jobs did not end within 0.1 s"):
                await client.wait_many([await client.submit("b")], 0.1)

    asyncio.run(check())


@pytest.fixture
def told(mlq):
    """A worker whose listener reports, streams and prints, step by step, as the test says."""
    go = threading.Semaphore(0)

    def steps(count, context):
        for i in range(count):
            go.acquire(timeout=20)
            context.update_progress({"step": i})
            context.emit(i)
            logging.getLogger("steps").warning("step %d", i)
        return "done"

    mlq.listener(steps)
    mlq.create_listener()
    return go


def test_follow_a_job(mlq, told):
    job = mlq.submit(2)
    states, chunks, logs, progress = [], [], "", []
    for update in job.follow():
        states.append(update.state)
        chunks += update.chunks
        logs += update.logs
        progress.append(update.progress)
        told.release()
    assert (chunks, logs, job.logs()) == ([0, 1], LOGGED, LOGGED)
    assert states[-1] is State.SUCCEEDED
    assert progress[-1] == {"step": 1}  # kept at the end
    assert State.RUNNING in states


def test_follow_says_how_it_stands_every_so_often(mlq, told):
    updates = mlq.submit(1).follow(every=0.05)
    quiet = [next(updates) for _ in range(5)]
    assert {update.state for update in quiet} <= {State.QUEUED, State.RUNNING}
    told.release()
    assert list(updates)[-1].state is State.SUCCEEDED


def test_follow_does_not_raise_for_a_job_that_fails(mlq, gates):
    gates["c"].set()
    assert list(mlq.submit("c").follow())[-1].state is State.FAILED
    with pytest.raises(UnknownJob):
        list(mlq.job("999").follow())


def test_follow_on_an_event_loop(told, server_url, namespace):
    async def check():
        async with AsyncMLQ(namespace, url=server_url) as client:
            told.release(2)
            return [update async for update in (await client.submit(2)).follow()]

    updates = asyncio.run(check())
    assert [chunk for update in updates for chunk in update.chunks] == [0, 1]
    assert (updates[-1].state, updates[-1].progress) == (State.SUCCEEDED, {"step": 1})


def test_followed_logs_come_in_whole_lines():
    """Each print makes two entries: its text, and the newline."""
    updates = Updates(None)
    logs = []
    for number, data in enumerate((b"a", b"\nb\nc", b"d"), 1):
        news = Followed(State.RUNNING, 1, b"", [Entry(1, number, "log", data, len(data))], None)
        logs += [update.logs for update in updates.of(news)]
    (last,) = updates.of(Followed(State.SUCCEEDED, 1, b"", [], {"state": b"succeeded"}))
    assert [*logs, last.logs] == ["", "a\nb\n", "cd"]  # the first tells that it runs


def test_a_part_of_a_line_is_no_news(monkeypatch: pytest.MonkeyPatch) -> None:
    """`print` with several arguments writes in pieces. But after `every` seconds there is an update, whatever comes."""
    clock = [0.0]
    monkeypatch.setattr(stream_module.time, "monotonic", lambda: clock[0])
    updates = Updates(5.0)

    def of(*said: bytes, progress: bytes = b"\x01", ended: dict[str, bytes] | None = None) -> list[tuple[object, str]]:
        entries = [Entry(1, 1, "log", data, len(data)) for data in said]
        news = Followed(State.RUNNING, 1, progress, entries, ended)
        return [(update.progress, update.logs) for update in updates.of(news)]

    assert of() == [(1, "")]
    assert of(b"epoch ", b"1") == []
    assert of(progress=b"\x02") == [(2, "")]
    assert of(b" ", b"done\n", progress=b"\x02") == [(2, "epoch 1 done\n")]
    assert of(b"epoch 2", progress=b"\x02") == []
    assert of(progress=b"\x02") == [(2, "")]  # `follow` yields no news only when `every` seconds have passed
    clock[0] = 5.0
    assert of(b"...", progress=b"\x02") == [(2, "")]
    assert of(b"!", progress=b"\x02", ended={}) == [(2, "epoch 2...!")]
