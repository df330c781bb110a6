"""Posts to queues of limited length, by programs, services and on the command line."""

import asyncio
import threading

import pytest

from mlq import MLQ, AsyncMLQ, QueueFull
from mlq.client import arguments


def test_a_full_queue(mlq):
    """The error has the numbers; what was taken makes place."""
    assert mlq.limit(queue="gpu", length=3)
    assert len(mlq.post_many([1, 2, 3], queue="gpu")) == 3
    with pytest.raises(
        QueueFull, match=r"queue 'gpu' is full: 3 jobs wait in it, and the limit is 3; nothing was"
    ) as full:
        mlq.submit(4, queue="gpu", functions=["f"])
    assert (full.value.length, full.value.limit) == (3, 3)
    mlq.post(4)
    mlq.cancel("1")
    give_up = threading.Event()
    while not give_up.is_set():
        try:
            mlq.post(4, queue="gpu")
            break
        except QueueFull:
            give_up.wait(0.05)  # it is counted again half a second after it was


def test_more_jobs_than_there_is_room_for(mlq):
    """It is not called full, since fewer jobs would go in."""
    mlq.limit(queue="gpu", length=3)
    mlq.post(1, queue="gpu")
    with pytest.raises(QueueFull, match="has no room for so many jobs: 1 job waits in it, and the limit is 3; nothing"):
        mlq.post_many([1, 2, 3], queue="gpu")
    assert len(mlq.post_many([1, 2], queue="gpu")) == 2


def test_asyncio(namespace, server_url):
    async def run():
        async with AsyncMLQ(namespace, url=server_url) as client:
            await client.limit(queue="default", length=2)
            assert len(await client.post_many([1, 2])) == 2
            with pytest.raises(QueueFull) as full:
                await client.post(3)
            assert (full.value.length, full.value.limit) == (2, 2)

    asyncio.run(run())


def test_a_post_of_several_calls(mlq, monkeypatch):
    """Is whole, or not at all."""
    monkeypatch.setattr(arguments, "CHUNK_JOBS", 10)
    mlq.limit(queue="default", length=95)
    with pytest.raises(QueueFull):
        mlq.post_many(range(96))
    assert mlq.last_id() == 0
    assert len(mlq.post_many(range(95))) == 95
    with pytest.raises(QueueFull):
        mlq.post(1)


def test_an_idempotency_key(mlq):
    """A post that was refused has not used it."""
    mlq.limit(queue="default", length=1)
    mlq.post(1)
    with pytest.raises(QueueFull):
        mlq.post(2, idempotency_key="k")
    mlq.remove_limit(queue="default")
    assert mlq.post(2, idempotency_key="k") == mlq.post(2, idempotency_key="k")


def test_never_more_than_the_limit(namespace, server_url):
    """However many post at once, and however the places become free."""
    with MLQ(namespace, url=server_url) as mlq:
        mlq.limit(queue="default", length=20)
        posted, refused, longest = [], [], []

        def post():
            with MLQ(namespace, url=server_url) as own:
                for _ in range(30):
                    try:
                        posted.append(own.post(1, functions=["f"]))
                    except QueueFull:
                        refused.append(1)
                    longest.append(own.counts().waiting)

        threads = [threading.Thread(target=post) for _ in range(8)]
        for one in threads:
            one.start()
        for one in threads:
            one.join()
        assert len(posted) == 20
        assert (max(longest), len(refused)) == (20, 220)


def test_a_listener_that_posts(mlq):
    """It gets the error as any other: its job fails, or is retried, as it says."""
    mlq.limit(queue="full", length=1)
    mlq.post(1, queue="full")

    def poster(message, context):
        return context.post(message, queue="full")

    mlq.create_listener(poster)
    with pytest.raises(Exception, match="queue 'full' is full"):
        mlq.submit(1, functions=["poster"]).result(60)
