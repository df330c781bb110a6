"""What delays, expiries and priorities cost the server: nothing where they are not used, and looks little elsewhere."""

import time

from tests.scripts.counting import commands, raw, server_url

__all__ = ["raw", "server_url"]

POST = {"evalsha": 1, "mget": 1, "time": 1, "set": 5, "zadd": 3, "sadd": 1}  # of three jobs, into a lane with others


def counted(world, act):
    return {name.removeprefix("cmdstat_"): count for name, count in commands(world, act).items()}


def test_posts_without_these_options(world):
    """Not a command more than before there were any."""
    world.serving()
    world.post()
    assert counted(world, lambda: world.post(3)) == POST


def test_posts_into_a_namespace_with_low_priorities(world):
    """One command, to see whether they come before others."""
    world.serving()
    world.post(priority=-1)
    world.post()
    assert counted(world, lambda: world.post(3)) == POST | {"zrank": 1}


def test_posts_with_a_delay(world):
    """A state and a time for each, instead of a place."""
    world.post(delay=600)
    assert counted(world, lambda: world.post(3, delay=600)) == {
        "evalsha": 1, "mget": 1, "time": 1, "set": 5, "zadd": 3, "hset": 3}  # fmt: skip


def test_claims_of_jobs_that_expire(world):
    """As of others: the worker finds out, who reads the record anyway."""
    world.serving()
    world.post(2, expires=600)
    with_expiry = counted(world, world.claim)
    world.post(2)
    world.claim()
    assert counted(world, world.claim) == with_expiry


def test_many_delayed_jobs_cost_a_look_nothing(world):
    """As one."""
    world.post(delay=600)
    world.watched()
    few = commands(world, world.reap)
    with world.raw.pipeline(transaction=False) as seeding:
        for start in range(0, 100_000, 10_000):
            ids = range(start + 10, start + 10_010)
            seeding.zadd(world.keys.scheduled, {str(i): time.time() + 600 + i for i in ids})
            seeding.zadd(world.keys.expiring, {str(i): time.time() + 900 + i for i in ids})
        seeding.execute()
    world.watched()
    assert commands(world, world.reap) == few
    world.raw.delete(world.keys.scheduled, world.keys.expiring)
