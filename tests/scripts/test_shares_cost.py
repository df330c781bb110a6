"""What shares cost the server, in commands."""

import itertools

from mlq.ops import jobs as job_ops
from mlq.ops import why as why_ops
from mlq.ops.work import WorkerClass
from tests.scripts.counting import raw, server_url
from tests.scripts.test_when_cost import POST, counted

__all__ = ["raw", "server_url"]


def test_plain_jobs_cost_no_command_more(world):
    """Where others have shares."""
    world.post(3, share="a")
    world.post(2)
    assert counted(world, lambda: world.post(3)) == POST


def test_a_post_with_a_share(world):
    """Behind others of its share, as many commands as another post."""
    world.post(1, share="a")
    expected = {name: count for name, count in POST.items() if name != "sadd"} | {"zscore": 1}
    assert counted(world, lambda: world.post(3, share="a")) == expected


def claims(world, count):
    """The commands of a claim, without those that register a class."""
    world.serving()
    return counted(world, lambda: world.claim(count))


def test_claims_among_a_thousand_shares(world):
    """As many commands as among two, for as many jobs of as many shares."""
    world.post(3, share="a")
    world.post(3, share="b")
    world.claim()
    few = claims(world, 2)
    for i in range(1000):
        world.post(3, share=f"s{i}")
    assert sum(claims(world, 2).values()) <= sum(few.values()) + 1


def test_a_share_with_very_many_jobs(world):
    """A claim reads as few of them as of others."""
    world.post(3, share="a")
    few = claims(world, 2)
    world.post(9000, share="a")
    world.post(9000, share="b")
    assert sum(claims(world, 2).values()) <= sum(few.values()) + 3


def test_a_place_in_line_among_very_many_shares(world):
    """As many looks at most as some milliseconds allow: whoever may post makes the lanes, and each has its shares."""
    names = [f"f{i}" for i in range(6)]
    kind = WorkerClass.of(["default"], ["default"], names)
    world.serving(kind)
    for functions in itertools.chain.from_iterable(itertools.combinations(names, size) for size in (2, 3)):
        for i in range(100):
            world.post(functions=functions, share=f"s{i}")
    last = world.post(functions=["f0"])[0]
    asked = counted(world, lambda: world.run(why_ops.facts(world.keys, last)))
    assert 1000 < asked["zcount"] <= 2000
    assert world.run(why_ops.facts(world.keys, last)).line == asked["zcount"]


def test_a_position_among_very_many_shares(world):
    """It looks at a hundred of them; clients ask for it with each look at a job."""
    for i in range(300):
        world.post(share=f"s{i}")
    last = world.post(2, share="a")[1]
    asked = counted(world, lambda: world.run(job_ops.place(world.keys, last)))
    assert sum(asked.values()) < 350
    assert 290 < world.run(job_ops.place(world.keys, last)).ahead <= 301
