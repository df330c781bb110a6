"""A server that has reached its `maxmemory`: every script refuses before its first write, and deleting still works."""

import time
from typing import NamedTuple

import pytest
import redis

from mlq import server
from mlq.core import codec
from mlq.core.job import Outcome, Record
from mlq.core.keys import Keys
from mlq.core.schedule import Firing, schedule_of
from mlq.core.states import State
from mlq.errors import OutOfMemory
from mlq.ops import data as data_ops
from mlq.ops import deliveries as delivery_ops
from mlq.ops import following as follow_ops
from mlq.ops import jobs as job_ops
from mlq.ops import lists as list_ops
from mlq.ops import presence as presence_ops
from mlq.ops import purging as purge_ops
from mlq.ops import schedules as schedule_ops
from mlq.ops import settling as settle_ops
from mlq.ops import stats as stats_ops
from mlq.ops import uploads as upload_ops
from mlq.ops import work as work_ops
from mlq.ops.deliveries import Delivery
from mlq.ops.purging import Purged
from mlq.ops.settling import Ending
from mlq.ops.work import WorkerClass

DAILY = schedule_of("daily", None, 86400, None, None, None, 1, None, None, {})


@pytest.fixture(scope="module")
def small_url():
    """A server that may be filled."""
    with server.scratch(appendfsync=None, port=0) as running:
        yield running.url


class Seeded(NamedTuple):
    """What the ops below act on: 1 is dead and its callback due, 5 waits (key k), 6 is cancelled, 7 is to run apart."""

    running: object
    due: Delivery
    lapsed: object
    overdue: object
    served: str
    daily: schedule_ops.Known


@pytest.fixture(params=["sync", "asyncio"])
def full(request, small_url, on_server, world_type):
    """A seeded world on a server without room; (world, seeded)."""
    with on_server(request.param, small_url) as run, redis.Redis.from_url(small_url) as raw:
        raw.config_set("maxmemory", 0)
        raw.flushall()
        world = world_type(Keys("full"), raw, run)
        seeded = seed(world)
        raw.config_set("maxmemory", 1)
        yield world, seeded
        raw.config_set("maxmemory", 0)


def seed(world):
    """One job in every state."""
    dead = world.failed(callback="http://localhost/", webhook="http://localhost/")
    (due,) = world.run(delivery_ops.take(world.keys, "callback", 1, 0.0, 3))
    assert dead.id == due.id == "1"
    running, lapsed, overdue = (world.running() for _ in range(3))
    world.post(2)
    world.run(job_ops.cancel(world.keys, "6"))
    stamp = world.raw.get(world.keys.post + "5").split(b"\n")[1].decode()
    world.raw.set(f"{world.keys.unique}\nk", f"5 {stamp} a")
    assert world.post(functions=["f"]) == ["7"]
    world.raw.delete(world.keys.lane + "default:f")
    world.raw.hset(world.keys.job + "7", mapping={"state": "scheduled", "attempts": 3, "shared": 3})
    world.raw.zadd(world.keys.scheduled, {"7": 1e11 + time.time()})
    world.lapse(lapsed)
    world.overdue(overdue, 1000)
    world.watched()
    world.run(schedule_ops.declare(world.keys, DAILY, 1.0, "code"))
    return Seeded(running, due, lapsed, overdue, world.serving(), world.run(schedule_ops.one(world.keys, "daily"))[1])


def settle(keys, one, **verdict):
    """An outcome of `one`."""
    outcome = Outcome(State.SUCCEEDED, {"result": codec.pack(4)}, "4")
    return settle_ops.settle(keys, [Ending(one, outcome, Record.parse(one.record).options, **verdict)], 2)


WRITERS = {
    "post": lambda k, s: job_ops.post(k, "me", 1, "default", [b"0\nx"]),
    "post once": lambda k, s: job_ops.post_once(k, "key", "default", b"0\nx"),
    "post with a key": lambda k, s: job_ops.post(k, "me", 1, "default", [b"0\nx"], keyed="a new"),
    "replace": lambda k, s: job_ops.post(k, "me", 1, "default", [b"0\nx"], keyed="r k"),
    "claim": lambda k, s: work_ops.claim(k, "w", 99, s.served, 60, 10),
    "claim apart": lambda k, s: work_ops.claim_apart(k, "w", 99, "7", 60),
    "turn to make room": lambda k, s: work_ops.apart(k, "w", 5),
    "register": lambda k, s: work_ops.register(k, WorkerClass.of(["slow"], ["slow"], ["f"]), 60),
    "settle": lambda k, s: settle(k, s.running),
    "retry": lambda k, s: settle(k, s.running, retry_in=1.0),
    "lost with its child": lambda k, s: settle(k, s.running, lost=True),
    "renew": lambda k, s: work_ops.renew(k, [s.running], 60),
    "hand back": lambda k, s: work_ops.hand_back(k, [(s.running, True)]),
    "progress": lambda k, s: work_ops.report(k, s.running, b"\x01", []),
    "entry": lambda k, s: work_ops.report(k, s.running, b"", [(1, "chunk", b"x")]),
    "reap": lambda k, s: work_ops.reap(k, 3.0, 2.0, 2),
    "overrun": lambda k, s: work_ops.overrun(k, 60.0, 3),
    "cancel": lambda k, s: job_ops.cancel(k, "5"),
    "purge": lambda k, s: purge_ops.purge(k, "default", 99, Purged()),
    "cancel running": lambda k, s: job_ops.cancel(k, s.running.id),
    "requeue": lambda k, s: job_ops.requeue(k, "1"),
    "requeue cancelled": lambda k, s: job_ops.requeue(k, "6"),
    "redeliver": lambda k, s: delivery_ops.redeliver(k, "1"),
    "wait": lambda k, s: job_ops.wait(k, "2", "alice", 10),
    "wait for ended": lambda k, s: job_ops.wait(k, "1", "alice", 10),
    "wait alone": lambda k, s: job_ops.wait(k, "2", "alice", 10, alone=True),
    "follow": lambda k, s: follow_ops.follow(k, "2", "alice", 10, ("running", b""), (0, 0)),
    "wait in a job": lambda k, s: job_ops.wait(k, "5", "alice", 10, s.running.id),
    "alive": lambda k, s: presence_ops.alive(k, "w", 10.0, {"host": "here"}),
    "upload": lambda k, s: upload_ops.put(k, "f", b"head", b"code"),
    "tally": lambda k, s: stats_ops.tally(k, "w", 1, [("default", [1] * len(stats_ops.COUNTERS))]),
    "take callbacks": lambda k, s: delivery_ops.take(k, "callback", 10, 10.0, 3),
    "declare a schedule": lambda k, s: schedule_ops.declare(k, DAILY, 1.0, "code"),
    "post by a schedule": lambda k, s: schedule_ops.fire(k, s.daily, DAILY, Firing([1.0], 2.0, 0), ("w", 1), ""),
    "miss a tick": lambda k, s: schedule_ops.fire(k, s.daily, DAILY, Firing([], 2.0, 1), ("w", 1), ""),
    "pause a schedule": lambda k, s: schedule_ops.pause(k, "daily"),
    "store": lambda k, s: data_ops.store(k, "key", b"x" * 1000, None),
}

READERS = {
    "read": lambda k, s: job_ops.read(k, "1"),
    "glance": lambda k, s: job_ops.glance(k, "1"),
    "outcome": lambda k, s: job_ops.outcome(k, "1"),
    "info": lambda k, s: job_ops.info(k, "1"),
    "follow with news": lambda k, s: follow_ops.follow(k, "2", "alice", 10, ("", b""), (0, 0)),
    "logs": lambda k, s: follow_ops.follow(k, "2", "", 0, ("", b""), (0, 0)),
    "last id": lambda k, s: job_ops.last_id(k),
    "place": lambda k, s: job_ops.place(k, "5"),
    "counts": lambda k, s: job_ops.counts(k),
    "list": lambda k, s: list_ops.listing(k),
    "dead": lambda k, s: list_ops.dead(k, 0, -1),
    "workers": lambda k, s: presence_ops.workers(k),
    "uploads": lambda k, s: upload_ops.heads(k),
    "upload": lambda k, s: upload_ops.read(k, "f", 100),
    "stats": lambda k, s: stats_ops.stats(k),
    "schedules": lambda k, s: schedule_ops.page(k),
    "schedule": lambda k, s: schedule_ops.one(k, "daily"),
    "due schedules": lambda k, s: schedule_ops.due(k),
    "scan": lambda k, s: data_ops.scan(k, "0"),
    "fetch": lambda k, s: data_ops.fetch(k, "key"),
}


@pytest.mark.parametrize("name", WRITERS)
def test_writers_refuse_and_leave_all_as_it_was(full, name):
    """Redis does not roll back: what is refused is refused whole."""
    world, seeded = full
    with world.unchanged(), pytest.raises(OutOfMemory, match="maxmemory"):
        world.run(WRITERS[name](world.keys, seeded))


@pytest.mark.parametrize("name", READERS)
def test_readers_answer(full, name):
    """Looking needs no room."""
    world, seeded = full
    with world.unchanged():
        world.run(READERS[name](world.keys, seeded))


def test_a_sent_callback_is_recorded(full):
    """Or the receiver would get it again and again."""
    world, seeded = full
    world.run(delivery_ops.end(world.keys, seeded.due, 200, "sent", None))
    left = world.look()
    assert "deliveries:callback" not in left
    assert left["job:1"]["callback_outcome"] == "sent"


@pytest.mark.parametrize("job_id", ["1", "5", "6"])
def test_deleting_makes_room(full, job_id):
    """It is what helps, so it must work, whoever waits for the job."""
    world, _ = full
    world.raw.config_set("maxmemory", 0)
    world.raw.sadd(world.keys.waiters + job_id, "alice")
    world.raw.config_set("maxmemory", 1)
    world.run(job_ops.delete(world.keys, job_id))
    left = world.look()
    assert {f"job:{job_id}", f"post:{job_id}", f"delivery:callback:{job_id}", f"waiters:{job_id}"}.isdisjoint(left)
    assert left["inbox:alice"] == [job_id]


def test_removing_an_upload_makes_room(full):
    """And the workers are told all the same."""
    world, _ = full
    world.raw.config_set("maxmemory", 0)
    world.run(upload_ops.put(world.keys, "f", b"head", b"code"))
    world.raw.config_set("maxmemory", 1)
    before = world.run(upload_ops.version(world.keys))
    assert world.run(upload_ops.remove(world.keys, "f"))
    assert {"uploads", "upload:f"}.isdisjoint(world.look())
    assert world.run(upload_ops.version(world.keys)) > before


def test_clearing_makes_room(full):
    """The whole namespace can be removed."""
    world, _ = full
    _, names = world.run(data_ops.scan(world.keys, "0"))
    world.run(data_ops.unlink(names))
    assert world.look() == {"counter": "7"}
