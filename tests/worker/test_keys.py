"""Keys where workers, and many who post at once, are at work."""

import collections
import threading

import pytest

from mlq import MLQ, AsyncMLQ


@pytest.fixture
def posters(namespace, server_url):
    """Runs a function with a client of its own in each of eight threads at once; what they gave."""

    def run(act):
        found, ready = [], threading.Barrier(8)

        def one():
            with MLQ(namespace, url=server_url) as own:
                ready.wait(60)
                found.append(act(own))

        threads = [threading.Thread(target=one) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return found

    return run


def test_many_at_once(mlq, posters):
    """One of them posts it, and all wait for the same job."""
    mlq.listener(lambda message: message, name="same")
    mlq.create_listener(concurrency=2)
    for round_ in range(20):
        jobs = posters(
            lambda own, key=f"k{round_}": own.submit(threading.get_ident(), functions=["same"], key=key, unique=60)
        )
        assert len({job.id for job in jobs}) == 1
        assert [job.new for job in jobs].count(True) == 1
        assert len({mlq.wait(job.id, 60) for job in jobs}) == 1
    assert mlq.last_id() == 20


def test_never_two_of_a_key(mlq, posters):
    """However often they are posted and whoever runs them: as long as one runs, no other begins."""
    running, most, lock = collections.Counter(), collections.Counter(), threading.Lock()

    def work(key):
        with lock:
            running[key] += 1
            most[key] = max(most[key], running[key])
        threading.Event().wait(0.002)
        with lock:
            running[key] -= 1

    mlq.listener(work)
    mlq.create_listener(concurrency=6)

    def post(own):
        return [own.submit(f"k{i % 3}", functions=["work"], key=f"k{i % 3}") for i in range(60)]

    jobs = [job for found in posters(post) for job in found]
    for job in {job.id for job in jobs}:
        mlq.wait(job, 60)
    assert max(most.values()) == 1
    assert sum(job.new for job in jobs) == len({job.id for job in jobs})


def test_only_the_last_of_many_changes(mlq, posters):
    """Whoever waits gets its outcome, and each change is worked on by a job that began after it was posted."""
    seen, number, lock = [], iter(range(10_000)), threading.Lock()

    def reindex(version):
        seen.append(version)
        return version

    mlq.listener(reindex)
    mlq.create_listener(concurrency=1)

    def change(own):
        with lock:  # so that the order of the posts is known
            version = next(number)
            return version, own.submit(version, functions=["reindex"], key="user-7", delay=0.05, replace=True)

    changes = [found for _ in range(10) for found in posters(change)]
    for version, job in changes:
        assert mlq.job(job.id).result(60) >= version
    assert seen == sorted(seen)
    assert seen[-1] == 79
    assert mlq.last_id() == len(seen)


def test_a_listener_that_posts_with_a_key(mlq):
    """As any other; if it is its own key, the answer is itself."""

    def parent(message, context):
        return [context.post(1, functions=["child"], key="c"), context.post(2, functions=["child"], key="c"),
                context.post(3, functions=["parent"], key="p")]  # fmt: skip

    mlq.listener(parent)
    mlq.create_listener()
    job = mlq.submit(0, functions=["parent"], key="p")
    first, second, own = job.result(60)
    assert (first, own) == (second, job.id)


async def _twice(namespace, url):
    async with AsyncMLQ(namespace, url=url) as client:
        first = await client.submit(1, key="k", delay=60)
        second = await client.submit(2, key="k", delay=60, replace=True)
        third = await client.submit(3, key="k", idempotency_key="i")
        assert await client.post(3, key="k", idempotency_key="i") == first.id
        return [(job.id, job.new) for job in (first, second, third)]


def test_asyncio(namespace, server_url):
    import asyncio

    assert asyncio.run(_twice(namespace, server_url)) == [("1", True), ("1", False), ("1", False)]


def test_a_model(mlq):
    """Predictions have the same options."""
    from pydantic import BaseModel

    class Iris:
        name, version = "iris", "1"

        class Input(BaseModel):
            x: int

        class Output(BaseModel):
            y: int

        def predict(self, x):
            return self.Output(y=x.x + 1)

    mlq.add_model(Iris)
    mlq.create_listener()
    one = mlq.model("iris").submit({"x": 1}, key="k", unique=60)
    two = mlq.model("iris").submit({"x": 5}, key="k", unique=60)
    assert (one.new, two.new, two.result(60)) == (True, False, {"y": 2})
