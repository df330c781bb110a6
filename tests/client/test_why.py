"""Why a job does not run, as both clients and their handles tell it, with a real worker."""

import asyncio
import threading

import pytest

from mlq import AsyncMLQ, UnknownJob, Why
from tests.programs import until


def test_a_job_that_waits_and_one_that_runs(mlq, gate):
    """From the post to the end."""
    begun = threading.Semaphore(0)

    @mlq.listener
    def hold(message):
        begun.release()
        gate.wait(20)

    first, second = mlq.submit(1, functions=["hold"]), mlq.submit(2, functions=["hold"])
    assert first.why() == mlq.why(first.id)
    assert str(first.why()) == first.why().text == f"No worker is running in namespace {mlq.namespace!r}."
    mlq.create_listener()
    assert begun.acquire(timeout=20)
    assert first.why().facts["worker"] == mlq._worker.name
    until(lambda: second.why().reason == "busy")  # once the worker has said so
    told = second.why()
    assert told.data() == {"reason": "busy", "text": told.text} | told.facts
    assert (told.facts["slots"], told.facts["ahead"]) == (1, 0)
    gate.set()
    second.result(20)
    assert second.why().reason == "succeeded"


def test_a_worker_that_stops(mlq, gate):
    """It says so at once, so that nobody believes that it will take the job."""
    begun = threading.Event()

    @mlq.listener
    def hold(message):
        begun.set()
        gate.wait(20)

    job = mlq.submit(1, functions=["hold"])
    mlq.create_listener()
    assert begun.wait(20)
    waiting = mlq.submit(2, functions=["hold"])
    stopping = threading.Thread(target=mlq.shutdown)
    stopping.start()
    until(lambda: waiting.why().reason == "stopping")
    assert waiting.why().facts["workers"] == [mlq._worker.name]
    assert job.why().reason == "running"
    gate.set()
    stopping.join(20)


def test_a_limit_per_worker(mlq, gate):
    begun = threading.Event()

    @mlq.listener(per_worker=1)
    def hold(message):
        begun.set()
        gate.wait(20)

    mlq.create_listener(concurrency=3)
    mlq.submit(1, functions=["hold"])
    assert begun.wait(20)
    job = mlq.submit(1, functions=["hold"])
    until(lambda: job.why().reason == "per_worker")
    gate.set()
    job.result(20)


def test_for_asyncio(mlq, server_url, namespace):
    """The same answer, also about what a blocked job waits for."""
    first = mlq.submit(1)
    second = mlq.submit(2, after=[first])

    async def ask() -> list[Why]:
        async with AsyncMLQ(namespace, url=server_url) as client:
            with pytest.raises(UnknownJob):
                await client.why("7")
            return [await client.why(first.id), await client.job(second.id).why()]

    told = asyncio.run(ask())
    assert told == [mlq.why(first.id), mlq.why(second.id)]
    assert told[1].facts["because"] == {"job": first.id} | told[0].data()


def test_a_pause_and_a_limit(mlq, gate):
    """As workers meet them; with both clients."""
    begun = threading.Semaphore(0)

    @mlq.listener
    def hold(message):
        begun.release()
        gate.wait(20)

    mlq.limit(function="hold", running=1)
    mlq.create_listener(concurrency=3)
    jobs = [mlq.submit(number, functions=["hold"]) for number in range(2)]
    assert begun.acquire(timeout=20)
    told = jobs[1].why()
    assert (told.reason, told.facts["gate"], told.facts["jobs"]) == ("limit", "function:hold", [jobs[0].id])
    mlq.pause(queue="default", by="ana")

    async def ask() -> Why:
        async with AsyncMLQ(mlq.namespace, url=mlq.url) as client:
            return await client.why(jobs[1].id)

    assert asyncio.run(ask()).reason == jobs[1].why().reason == "paused"
    mlq.resume(queue="default")
    gate.set()
    for job in jobs:
        job.result(20)
