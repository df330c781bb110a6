"""Limits and pauses: which jobs a claim gets, and what becomes of those that wait."""

import time

import pytest

from mlq.core.limit import Gate, Limit
from mlq.core.states import State
from mlq.errors import InputError
from mlq.ops import data as data_ops
from mlq.ops import gates as gate_ops
from mlq.ops import work as work_ops

EMBED = Gate("function", "embed")
GPU = Gate("queue", "gpu")
OPENAI = Gate("resource", "openai")


class Gates:
    """A namespace with gates."""

    def __init__(self, world):
        self.world = world
        self.keys, self.raw, self.run = world.keys, world.raw, world.run

    def limit(self, gate, running=None, rate=None):
        """Set a limit; whether that changed anything."""
        return self.run(gate_ops.limit(self.keys, gate, Limit.of(gate, running, rate)))

    def unlimit(self, gate):
        """Remove one."""
        return self.run(gate_ops.limit(self.keys, gate, None))

    def pause(self, gate, by="me"):
        """Pause; whether that changed anything."""
        return self.run(gate_ops.pause(self.keys, gate, by))

    def resume(self, gate):
        """End a pause."""
        return self.run(gate_ops.pause(self.keys, gate, ""))

    def state(self, gate):
        """What the gate lets begin."""
        return self.run(gate_ops.states(self.keys, *self.run(gate_ops.gates(self.keys)), [gate]))[0]

    def running(self, gate):
        """The attempts that hold places."""
        return {one.decode() for one in self.raw.smembers(f"{self.keys.root}running:{gate}")}

    def rests(self):
        """Whether an idle worker may sleep."""
        return self.run(work_ops.rests(self.keys, self.world.serving()))

    def minutes_pass(self, gate, seconds):
        """Let the starts of a gate be longer ago, and its time to look be sooner."""
        key = f"{self.keys.root}starts:{gate}"
        for one, at in self.raw.zrange(key, 0, -1, withscores=True):
            self.raw.zadd(key, {one: at - seconds})
        key = f"{self.keys.root}opening"
        for one, at in self.raw.zrange(key, 0, -1, withscores=True):
            self.raw.zadd(key, {one: at - seconds})


@pytest.fixture
def gates(world):
    """The test's namespace."""
    return Gates(world)


def ids(claimed):
    return [one.id for one in claimed]


def test_no_more_run_than_the_limit_says(gates, world):
    assert gates.limit(EMBED, running=2)
    posted = world.post(5, ["embed"])
    first = world.claim(10)
    assert ids(first) == posted[:2]
    assert world.claim(10) == []
    assert gates.rests()
    world.settle(first[0])
    assert not gates.rests()
    assert world.token()
    assert ids(world.claim(10)) == posted[2:3]
    assert gates.rests()


def test_other_lanes_go_on(gates, world):
    gates.limit(EMBED, running=1)
    posted = world.post(3, ["embed"])
    other = world.post(2, ["train"])
    assert ids(world.claim(10)) == [posted[0], *other]


def test_a_pause_lets_nothing_begin(gates, world):
    posted = world.post(2, queue="gpu")
    world.token(taken=True)
    assert gates.pause(GPU)
    assert not gates.pause(GPU, "you")
    assert world.claim(10) == []
    assert gates.rests()
    world.token(taken=True)
    posted += world.post(1, queue="gpu")
    assert not world.token()
    assert gates.state(GPU).paused.by == "me"
    assert gates.state(GPU).holds_back
    assert gates.resume(GPU)
    assert world.token()
    assert ids(world.claim(10)) == posted
    assert not gates.resume(GPU)


def test_a_rate(gates, world):
    gates.limit(EMBED, rate="3/m")
    posted = world.post(7, ["embed"])
    assert ids(world.claim(2)) == posted[:2]
    claimed = world.claim(10)
    assert ids(claimed) == posted[2:3]
    assert claimed.again == pytest.approx(60, abs=5)
    assert world.claim(10) == []
    assert gates.state(EMBED).opens_in == pytest.approx(60, abs=5)
    gates.minutes_pass(EMBED, 61)
    world.watched()
    world.reap()
    assert ids(world.claim(10)) == posted[3:6]


@pytest.mark.parametrize("end", ["settle", "fail", "retry", "die", "lapse", "cancel", "hand back", "expire", "overrun"])
def test_every_end_frees_the_place(gates, world, end):
    gates.limit(EMBED, running=1)
    (one,) = world.post(1, ["embed"], **({"expires": 0.0001} if end == "expire" else {}))
    (other,) = world.post(1, ["embed"])
    (claimed,) = world.claim(5)
    assert gates.running(EMBED) == {claimed.lease}
    if end == "settle":
        world.settle(claimed)
    elif end == "fail":
        world.settle(claimed, State.FAILED, None)
    elif end == "retry":
        world.settle(claimed, State.FAILED, None, retry_in=600.0)
    elif end == "die":
        world.die(claimed)
    elif end == "lapse":
        world.lapse(claimed)
        world.watched()
        world.reap()
    elif end == "cancel":
        from mlq.ops import jobs as job_ops

        world.run(job_ops.cancel(world.keys, claimed.id))
    elif end == "hand back":
        world.run(work_ops.hand_back(world.keys, [(claimed, False)]))
    elif end == "expire":
        assert world.run(work_ops.expire(world.keys, claimed))
    elif end == "overrun":
        world.overdue(claimed, 100)
        world.run(work_ops.overrun(world.keys, 10, 5))
    assert gates.running(EMBED) == set()
    assert b"gates" not in world.raw.hgetall(world.keys.job + one)
    goes_on = end in ("die", "lapse", "hand back", "overrun")
    assert ids(world.claim(5)) == [one if goes_on else other]


def test_removed(gates, world):
    gates.limit(EMBED, running=1)
    posted = world.post(3, ["embed"])
    world.claim(5)
    assert gates.unlimit(EMBED)
    assert not gates.unlimit(EMBED)
    assert ids(world.claim(5)) == posted[1:]
    assert not world.raw.exists(world.keys.gates, world.keys.limits)


def test_those_that_run_already_count(gates, world):
    posted = world.post(4, ["embed"])
    begun = world.claim(2)
    gates.limit(EMBED, running=1)
    assert world.claim(5) == []
    assert gates.state(EMBED).running == 2
    world.settle(begun[0])
    assert world.claim(5) == []
    world.settle(begun[1])
    assert ids(world.claim(5)) == posted[2:3]


def test_resources_are_of_functions(gates, world):
    world.run(gate_ops.declare_uses(world.keys, {":embed": [OPENAI], ":train": [OPENAI], "default": [OPENAI]}))
    gates.limit(OPENAI, running=2)
    posted = [*world.post(1, ["embed"]), *world.post(1, ["train"]), *world.post(1)]
    claimed = world.claim(5)
    assert ids(claimed) == posted[:2]
    world.settle(claimed[0])
    assert ids(world.claim(5)) == posted[2:]
    world.run(gate_ops.declare_uses(world.keys, {"default": []}))
    posted = world.post(1)
    assert ids(world.claim(5)) == posted


def test_a_claim_that_is_sent_again_takes_nothing_more(gates, world):
    gates.limit(EMBED, running=2, rate="2/h")
    world.post(3, ["embed"])
    name, number = world.serving(), world.number()
    op = work_ops.claim(world.keys, "worker", number, name, 60, 5)
    assert ids(world.run(op)) == ids(world.run(op)) == ["1", "2"]
    assert (gates.state(EMBED).running, gates.state(EMBED).started) == (2, 2)


def test_ends_that_are_sent_again_free_nothing_else(gates, world):
    gates.limit(EMBED, running=1)
    world.post(3, ["embed"])
    (first,) = world.claim(5)
    assert world.settle(first)
    (second,) = world.claim(5)
    assert world.settle(first)
    assert gates.running(EMBED) == {second.lease}
    assert world.claim(5) == []


def test_a_limit_is_lowered_below_what_runs_and_raised(gates, world):
    gates.limit(EMBED, running=3)
    posted = world.post(6, ["embed"])
    begun = world.claim(10)
    gates.limit(EMBED, running=1)
    for one in begun[:2]:
        world.settle(one)
        assert world.claim(10) == []
    gates.limit(EMBED, running=4)
    assert world.token()
    assert ids(world.claim(10)) == posted[3:]


def test_places_whose_leases_are_gone_are_freed(gates, world):
    gates.limit(EMBED, running=2)
    posted = world.post(3, ["embed"])
    world.claim(2)
    world.raw.delete(world.keys.leases)
    assert world.claim(5) == []
    opening = f"{world.keys.root}opening"
    ((name, at),) = world.raw.zrange(opening, 0, -1, withscores=True)
    assert at == pytest.approx(1e11 + time.time() + 10, abs=5)
    world.raw.zadd(opening, {name: 1e11})
    world.watched()
    world.reap()
    assert ids(world.claim(5)) == posted[2:]


def test_a_thousand_that_run_are_counted_page_by_page(gates, world):
    """The gate is closed until that is done."""
    world.post(1000, ["embed"])
    for _ in range(10):
        world.claim(100)
    world.post(1, ["embed"])
    gates.limit(EMBED, running=2000)
    assert world.claim(5) == []
    world.watched()
    for _ in range(10):
        world.reap()
    assert len(gates.running(EMBED)) == 1000
    assert len(world.claim(5)) == 1


def test_priorities_hold(gates, world):
    gates.limit(EMBED, running=1)
    low, high = world.post(1, ["embed"], priority=-5), world.post(1, ["embed"], priority=5)
    (first,) = world.claim(5)
    assert ids([first]) == high
    soon = world.post(1, ["embed"], priority=9)
    world.settle(first)
    assert ids(world.claim(5)) == soon
    assert low


def test_jobs_that_run_apart_take_places(gates, world):
    """And wait where there are none."""
    gates.limit(EMBED, running=1)
    posted = world.post(2, ["embed"])
    (first,) = world.claim(1)
    for _ in range(2):
        world.die(first)
        claimed = world.claim(1)
        first = claimed[0] if claimed else first
    assert world.raw.zscore(world.keys.scheduled, posted[0]) > 1e11
    assert world.run(work_ops.apart(world.keys, "other", 5)).jobs == []
    assert world.run(work_ops.claim_apart(world.keys, "other", 1, posted[0], 60)) == []
    world.settle(first)
    assert [job_id for job_id, *_ in world.run(work_ops.apart(world.keys, "other", 5)).jobs] == posted[:1]
    (apart,) = world.run(work_ops.claim_apart(world.keys, "other", 2, posted[0], 60))
    assert gates.running(EMBED) == {apart.lease}
    world.settle(apart)
    assert gates.running(EMBED) == set()


GARBAGE = [
    ("limits", "set"), ("limits", "damaged"), ("paused", "set"), ("uses", "set"), ("running:function:embed", "string"),
    ("starts:function:embed", "string"), ("parked:function:embed", "string"), ("opening", "string"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "kind"), GARBAGE)
def test_garbage_stops_nobody(gates, world, name, kind):
    """A key of another type, or a value that is no limit: jobs run on, and a limit that is set then holds."""
    gates.limit(EMBED, running=1, rate="1/h")
    world.post(4, ["embed"])
    (first,) = world.claim(5)
    key = f"{world.keys.root}{name}"
    if kind == "damaged":
        world.raw.hset(key, mapping={"function:embed": b"\xc1", "nonsense": b"\x00", "function:": b"\x90"})
    else:
        world.raw.delete(key)
        _ = world.raw.sadd(key, "x") if kind == "set" else world.raw.set(key, "x")
    world.watched()
    world.reap()
    assert world.settle(first)
    world.claim(5)
    world.post(1, ["embed"])
    gates.unlimit(EMBED)
    gates.limit(EMBED, running=1)
    for one in world.claim(5):
        world.settle(one)
    assert gates.state(EMBED).limit == Limit(1)
    assert len(world.claim(5)) <= 1
    world.raw.delete(key)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({}, "name one queue"),
        ({"queue": "a", "function": "b"}, "not 2"),
        ({"queue": "a:b"}, "without comma, colon or |"),
        ({"queue": "#rows"}, "must not begin with #"),
        ({"function": "a,b"}, "without commas"),
        ({"function": len}, "must be a name, such as 'len'"),
        ({"resource": "a,b"}, "without comma"),
        ({"resource": "x" * 101}, "1 to 100"),
        ({"share": ""}, "1 to 100"),
    ],
)
def test_wrong_names(given, told):
    with pytest.raises(InputError, match=told):
        Gate.of(**given)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({}, "needs running, rate"),
        ({"running": 0}, "pause it instead"),
        ({"running": -1}, "at least 1"),
        ({"running": True}, "whole number"),
        ({"running": 1.5}, "whole number"),
        ({"rate": "0/s"}, "such as '10/s'"),
        ({"rate": "10/d"}, "such as '10/s'"),
        ({"rate": "10001/s"}, "up to 10,000 starts"),
        ({"rate": 5}, "such as '10/s'"),
        ({"length": 5}, "a limit of queues"),
    ],
)
def test_wrong_limits(given, told):
    with pytest.raises(InputError, match=told):
        Limit.of(EMBED, **given)


def test_too_many(gates, monkeypatch):
    monkeypatch.setattr(gate_ops, "MOST", 1)
    gates.limit(EMBED, running=1)
    with pytest.raises(InputError, match="remove some"):
        gates.limit(GPU, running=1)
    gates.pause(EMBED)
    with pytest.raises(InputError, match="remove some"):
        gates.pause(GPU)
    assert gates.limit(EMBED, running=2)
    gates.resume(EMBED)
    gates.unlimit(EMBED)


def test_clear_removes_limits_and_pauses_and_not_what_listeners_use(gates, world):
    """Workers that were registered notice by themselves."""
    world.run(gate_ops.declare_uses(world.keys, {":embed": [OPENAI]}))
    gates.limit(OPENAI, running=1)
    gates.pause(EMBED)
    world.post(3, ["embed"])
    name = world.serving()
    cursor = ""
    while cursor != "0":
        cursor, names = world.run(data_ops.scan(world.keys, cursor or "0"))
        if names:
            world.run(data_ops.unlink(names))
    assert not world.raw.exists(world.keys.gates, world.keys.limits, world.keys.paused)
    posted = world.post(3, ["embed"])
    assert world.run(work_ops.claim(world.keys, "worker", world.number(), name, 60, 5)) is None
    begun = world.claim(5)
    assert ids(begun) == posted
    gates.limit(OPENAI, running=1)
    assert gates.state(OPENAI).running == 3


def test_workers_are_told_once_when_a_rate_opens(gates, world):
    """However many jobs end meanwhile."""
    world.raw.zadd(world.keys.workers, {"w": time.time() + 60})
    world.raw.expire(world.keys.workers, 60)
    gates.limit(EMBED, rate="2/m")
    world.post(3, ["embed"])
    begun = world.claim(5)
    assert world.claim(5) == []
    gates.minutes_pass(EMBED, 58)
    world.raw.delete(f"{world.keys.root}opening")
    for one in begun:
        world.settle(one)
    (told,) = world.raw.lrange(world.keys.inbox + "w", 0, -1)
    assert told.startswith(b"due 1.")
