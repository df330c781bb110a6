"""Counts the commands that a server carries out: one that no worker of other tests uses."""

import pytest
import redis

from mlq import server
from mlq.ops.scripts import script


@pytest.fixture(scope="module")
def server_url(isolated_environment, chosen_server_program):
    """A server that no worker of other tests uses: commands are counted here."""
    with server.scratch(appendfsync=None, port=0) as running:
        yield running.url


@pytest.fixture(scope="module")
def raw(server_url):
    with redis.Redis.from_url(server_url) as client:
        yield client


def commands(world, act):
    """What the server carried out meanwhile, those of scripts too, by command."""
    for name in ("post", "claim", "register", "reap"):
        world.raw.script_load(script(name).source)  # else it would count where this is the first test to use it
    before = world.raw.info("commandstats")
    act()
    after = world.raw.info("commandstats")
    calls = {name: stat["calls"] - before.get(name, {"calls": 0})["calls"] for name, stat in after.items()}
    return {name: count for name, count in calls.items() if count and name != "cmdstat_info"}
