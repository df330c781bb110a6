"""Servers that lose data: no handle is answered with another job's result, and no id that anybody saw comes again.

A program of its own stands for those who know nothing of what was lost.
"""

import asyncio
import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import pytest
import redis

from mlq import MLQ, AsyncMLQ, UnknownJob, server
from mlq.client import aio_waiting, waiting
from mlq.errors import JobLost
from mlq.server.scratch import Scratch
from tests.client.losses import Proxy, run, stranger

pytestmark = pytest.mark.slow

FAR = 1_000_000
NEVER = 1000  # seconds between questions: whoever hears in a test was told, and did not ask by chance
OTHER = """
import sys
from mlq import MLQ
with MLQ(sys.argv[2], url=sys.argv[1]) as mlq:
    for ask in ("result", "ready", "logs"):
        try:
            print(getattr(mlq.job(sys.argv[3]), ask)())
        except Exception as error:
            print(type(error).__name__)
"""


@pytest.fixture
def scratch() -> Iterator[Scratch]:
    """A server that keeps nothing on disk."""
    with server.scratch(appendfsync=None, port=0) as running:
        yield running


@pytest.fixture
def mlq(scratch: Scratch) -> Iterator[MLQ]:
    with contextlib.closing(MLQ("losses", url=scratch.url)) as made:
        yield made
        made.shutdown(grace=0)


def flush(scratch: Scratch) -> None:
    with redis.Redis.from_url(scratch.url) as raw:
        raw.flushall()


def waits(mlq: MLQ, job_id: str) -> bool:
    """Whether somebody waits for a job or follows it."""
    return bool(mlq._redis.exists(f"{{losses}}:waiters:{job_id}"))


def until(holds: Callable[[], Any]) -> None:
    give_up = time.monotonic() + 30
    while not holds():
        assert time.monotonic() < give_up
        time.sleep(0.01)


def drain(handle: Any) -> list[Any]:
    return list(handle.stream())


# --- handles


def test_handles_are_not_answered_with_a_strangers_job(mlq: MLQ, scratch: Scratch) -> None:
    """Handles made by a post, from an id that has been asked once, and from a reference in another process."""
    mine = mlq.submit("mine")
    bound = mlq.job(mine.id)
    bound.ready()
    reference = mine.reference
    assert bound.reference == reference
    flush(scratch)
    assert stranger(scratch.url, "losses") == [mine.id]  # nobody told it
    for handle in (mine, bound):
        for ask in (handle.result, handle.state, handle.progress, handle.logs, handle.cancel, partial(drain, handle)):
            with pytest.raises(JobLost):
                ask()
    for ask in (mlq.wait, mlq.get_result, mlq.get_job, mlq.delete, mlq.requeue, mlq.position):
        with pytest.raises(JobLost):
            ask(mine.id)  # this process knows which one it posted
    assert run(OTHER, scratch.url, "losses", reference) == ["JobLost"] * 3
    assert mlq.counts().waiting == 1
    assert int(mlq.post("later")) == mlq.last_id() > FAR


def test_handles_of_asyncio_are_not_either(mlq: MLQ, scratch: Scratch) -> None:
    async def main() -> None:
        async with AsyncMLQ("losses", url=scratch.url) as there:
            mine = await there.submit("mine")
            flush(scratch)
            assert stranger(scratch.url, "losses") == [mine.id]
            for ask in (mine.result, mine.state, mine.progress, mine.logs, mine.cancel):
                with pytest.raises(JobLost):
                    await ask()
            with pytest.raises(JobLost):
                await anext(aiter(mine.stream()))
            assert int(await there.post("later")) > FAR

    asyncio.run(main())


def test_the_end_of_a_strangers_job_is_not_taken_for_ones_own(mlq: MLQ, scratch: Scratch) -> None:
    """Two waiters of one asyncio client, for two jobs of the same id: they share an inbox."""

    async def main() -> None:
        async with AsyncMLQ("losses", url=scratch.url) as there:
            mine = await there.submit("mine")
            waiting = asyncio.create_task(mine.result())
            await asyncio.to_thread(until, lambda: waits(mlq, mine.id))
            flush(scratch)
            (job_id,) = await asyncio.to_thread(stranger, scratch.url, "losses")
            timestamp = await asyncio.to_thread(run, "import sys; from mlq import MLQ; print(format(MLQ(sys.argv[2], "
                                                "url=sys.argv[1]).get_job(sys.argv[3])['timestamp'], '.6f'))",
                                                scratch.url, "losses", job_id)  # fmt: skip
            other = asyncio.create_task(there.job(f"{job_id}@{timestamp[0]}").result())
            await asyncio.to_thread(until, lambda: waits(mlq, job_id))
            mlq.create_listener(lambda _msg: "secret")
            assert await other == "secret"
            with pytest.raises(JobLost):
                await waiting

    asyncio.run(main())


def test_a_reference_is_taken_wherever_an_id_is(mlq: MLQ) -> None:
    handle = mlq.submit("a")
    assert type(mlq.post("b")) is str
    assert type(handle.id) is str
    assert mlq.get_job(handle.reference)["id"] == handle.id == "1"
    assert mlq.job(handle.reference).state() == "queued"
    mlq.cancel(handle.reference)
    assert mlq.get_state(handle.id) == "cancelled"


# --- those who wait


def test_who_waits_hears_of_an_emptied_server_when_he_asks_again(
    mlq: MLQ, scratch: Scratch, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody can tell him: who waits was forgotten with the rest."""
    monkeypatch.setattr(waiting, "LISTEN", 1)
    handle = mlq.submit("mine")
    with ThreadPoolExecutor(2) as pool:
        told = [pool.submit(handle.result), pool.submit(drain, handle)]
        until(lambda: mlq._redis.scard(f"{{losses}}:waiters:{handle.id}") == 2)
        flush(scratch)
        for one in told:
            with pytest.raises(UnknownJob, match="the server lost it"):
                one.result(60)


def test_who_waits_hears_at_once_of_a_server_that_comes_back_empty(
    mlq: MLQ, scratch: Scratch, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(waiting, "LISTEN", NEVER)
    handle = mlq.submit("mine")
    with ThreadPoolExecutor(2) as pool:
        told = [pool.submit(handle.result), pool.submit(drain, handle)]
        until(lambda: mlq._redis.scard(f"{{losses}}:waiters:{handle.id}") == 2)
        scratch.kill()
        scratch.restart()
        for one in told:
            with pytest.raises(UnknownJob, match="the server lost it"):
                one.result(60)


def test_who_waits_in_asyncio_hears_it_at_once(mlq: MLQ, scratch: Scratch, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(aio_waiting, "LISTEN", NEVER)

    async def read(handle: Any) -> list[Any]:
        return [chunk async for chunk in handle.stream()]

    async def main() -> None:
        async with AsyncMLQ("losses", url=scratch.url) as there:
            handles = [await there.submit("mine") for _ in range(2)]
            told = [asyncio.create_task(handles[0].result()), asyncio.create_task(read(handles[1]))]
            for handle in handles:
                await asyncio.to_thread(until, lambda handle=handle: waits(mlq, handle.id))
            scratch.kill()
            await asyncio.to_thread(scratch.restart)
            for one in told:
                with pytest.raises(UnknownJob, match="the server lost it"):
                    await asyncio.wait_for(one, 60)

    asyncio.run(main())


# --- ids


def test_a_server_that_comes_back_empty_gives_no_id_twice(mlq: MLQ, scratch: Scratch) -> None:
    seen = mlq.post_many(range(5))
    scratch.kill()
    scratch.restart()
    assert int(mlq.post("again", idempotency_key="k")) > FAR
    assert int(mlq.post("again", idempotency_key="k")) == mlq.last_id()
    assert not {*seen} & {*stranger(scratch.url, "losses", 10)}


def test_a_worker_guards_the_ids_that_it_saw(mlq: MLQ, scratch: Scratch) -> None:
    """Also where its process posted none of them, and nobody who did lives."""
    seen = stranger(scratch.url, "losses", 5)
    done = threading.Semaphore(0)
    mlq.create_listener(lambda _msg: done.release())
    for _ in seen:
        assert done.acquire(timeout=30)
    flush(scratch)
    until(lambda: mlq.last_id() > FAR)
    assert not {*seen} & {*stranger(scratch.url, "losses", 10)}


def test_a_lost_counter_overwrites_nothing(mlq: MLQ, scratch: Scratch) -> None:
    """As an eviction may have it; whoever posts next may know of no id."""
    seen = mlq.post_many(["mine"] * 5)
    mlq._redis.delete("{losses}:counter")
    fresh = stranger(scratch.url, "losses", 10)
    assert int(fresh[0]) == FAR + 1
    assert [mlq.get_job(job_id)["msg"] for job_id in seen] == ["mine"] * 5
    assert [job.id for job in mlq.jobs()] == [*fresh[::-1], *seen[::-1]]


def test_a_restart_with_all_data_goes_on(scratch: Scratch) -> None:
    """Only the ids show it, since the server may as well have lost its last writes."""
    with server.scratch(appendfsync="always", port=0) as lasting, contextlib.closing(MLQ("l", url=lasting.url)) as mlq:
        handle = mlq.submit("mine")
        lasting.kill()
        lasting.restart()
        assert handle.state() == "queued"
        assert mlq.post("later") == str(FAR + 2)
        assert mlq.post("later") == str(FAR + 3)


@pytest.mark.parametrize("first", ["who saw the ids", "a stranger"])
def test_a_failover_that_loses_the_last_writes_gives_no_id_twice(scratch: Scratch, first: str) -> None:
    """Whoever posts first afterwards. What was not lost stays known; what was lost is answered as gone."""
    with server.scratch(appendfsync=None, port=0) as second, contextlib.closing(Proxy(scratch.url)) as proxy:
        primary, replica = redis.Redis.from_url(scratch.url), redis.Redis.from_url(second.url)
        mlq = MLQ("failover", url=proxy.url)
        with primary, replica, contextlib.closing(mlq):
            kept = mlq.submit("kept")
            replica.replicaof("127.0.0.1", int(scratch.url.rpartition(":")[2]))
            until(lambda: replica.get("{failover}:counter") == b"1")
            replica.replicaof("NO", "ONE")
            lost = [mlq.submit("lost") for _ in range(5)]
            proxy.switch(second.url)
            fresh = []
            if first == "a stranger":
                fresh += stranger(proxy.url, "failover", 10)
            fresh += mlq.post_many(["new"] * 10)
            fresh += stranger(proxy.url, "failover", 10)
            seen = [kept.id, *(handle.id for handle in lost), *fresh]
            assert len({*seen}) == len(seen)
            assert kept.state() == "queued"
            for handle in lost:
                with pytest.raises(UnknownJob, match="the server lost it"):
                    handle.state()
