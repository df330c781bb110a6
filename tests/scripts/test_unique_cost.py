"""What keys cost the server: nothing where they are not used, and the same however many there are."""

import pytest

from mlq.core.job_options import JobOptions
from mlq.ops import jobs as job_ops
from tests.scripts.counting import raw, server_url
from tests.scripts.test_when_cost import POST, counted

__all__ = ["raw", "server_url"]


def post(world, **given):
    options = JobOptions.of(given)
    op = job_ops.post(
        world.keys, "poster", world.number(), "default", [options.body(1)], when=options.when, keyed=options.keyed
    )
    world.run(op)


def test_posts_without_a_key(world):
    """Not a command more, in a namespace with keys."""
    world.serving()
    post(world, key="k")
    assert counted(world, lambda: world.post(3)) == POST


def test_ends_without_a_key(world):
    world.settle(world.running())  # else the script would be sent once more
    world.post(2)
    plain = counted(world, lambda: world.settle(world.claim()[0]))
    post(world, key="k", queue="slow")
    assert counted(world, lambda: world.settle(world.claim()[0])) == plain


@pytest.mark.parametrize("entries", [1, 10_000])
def test_posts_with_a_key(world, entries):
    """Two commands more for a new one; none is written for one that is held, but for the note of the call."""
    with world.raw.pipeline(transaction=False) as seeding:
        for i in range(entries):
            seeding.set(f"{world.keys.unique}\n{i}", "1 1.0 a")
        seeding.execute()
    world.serving()
    post(world, key="first")
    plain = counted(world, world.post)
    new = counted(world, lambda: post(world, key="k"))
    assert {name: n - plain.get(name, 0) for name, n in new.items() if n != plain.get(name, 0)} == {"get": 1, "set": 1}
    assert counted(world, lambda: post(world, key="k")) == {
        "evalsha": 1, "mget": 1, "time": 1, "get": 1, "getrange": 1, "hmget": 1, "set": 1}  # fmt: skip


def test_the_end_of_a_job_with_a_key(world):
    """Three more."""
    world.settle(world.running())  # else the script would be sent once more
    claimed = world.running()
    plain = counted(world, lambda: world.settle(claimed))
    post(world, key="k")
    claimed = world.claim()[0]
    keyed = counted(world, lambda: world.settle(claimed))
    assert {name: n - plain.get(name, 0) for name, n in keyed.items() if n != plain.get(name, 0)} == {
        "get": 1, "getrange": 1, "del": 1}  # fmt: skip
