"""Affinity: a job of a model goes first to a worker that holds the model; another one takes it after a wait."""

import time

import pytest

from mlq.core.states import State
from mlq.ops import data as data_ops
from mlq.ops import presence as presence_ops
from mlq.ops import work as work_ops
from mlq.ops.work import WorkerClass

MODELS = tuple(f"m{i}@1" for i in range(50))
SERVED = WorkerClass.of(["default"], ["default"], ["iris@1", "spam@1", "plain", *MODELS])
WAIT = 1000.0  # seconds, so that the real ones of a test do not decide


@pytest.fixture
def claim(world, keys):
    """Claims as a worker that hosts models, and that counts as alive unless it is said to be dead."""
    world.serving(SERVED)

    def call(worker="w", count=1, wait=WAIT, number=None, sizes=b"", alive=True):
        if alive:
            world.run(presence_ops.alive(keys, worker, 60.0, {}))
        number = number or world.number()
        return world.run(work_ops.claim(keys, worker, number, SERVED.name, 60, count, sizes, wait))

    return call


def post(world, *functions, seconds_ago=0.0):
    """A job that has waited for so long; its id."""
    (job_id,) = world.post(functions=functions)
    waited(world, job_id, seconds_ago)
    return job_id


def waited(world, job_id, seconds):
    """Have it posted that long ago."""
    name = world.keys.post + job_id
    lane, posted, rest = world.raw.get(name).split(b"\n", 2)
    world.raw.set(name, b"\n".join((lane, b"%.6f" % (float(posted) - seconds), rest)))


def hold(world, worker, *models, gone=(), alive=60.0):
    """A worker tells what it holds, and that it lives."""
    world.run(presence_ops.alive(world.keys, worker, alive, {}))
    world.run(presence_ops.hold(world.keys, worker, models, gone))


def ids(claimed):
    return [int(one.id) for one in claimed]


def inbox(world, worker):
    return world.raw.lrange(world.keys.inbox + worker, 0, -1)


# --- who gets a job


def test_who_claims_the_first_job_gets_the_second_one(world, keys, claim, about):
    """It is about to load the model: nobody else shall."""
    post(world, "iris@1")
    assert ids(claim("one")) == [1]
    assert world.look()["holders:iris@1"] == {"one": about(100)}
    post(world, "iris@1")
    claimed = claim("two")
    assert ids(claimed) == []
    assert claimed.again == about(WAIT - time.time())
    assert ids(claim("one")) == [2]
    assert world.look()["holders:iris@1"] == {"one": about(100)}


def test_others_of_its_jobs_go_to_anybody(world, claim):
    """Those of listeners that are no models, of models that nobody holds, and that name no function."""
    hold(world, "one", "iris@1")
    for functions in (("iris@1",), ("plain",), ("spam@1",), ()):
        world.post(functions=functions or None)
    assert ids(claim("two", 10)) == [2, 3, 4]
    assert ids(claim("one", 10)) == [1]


def test_a_job_that_has_waited_is_for_anybody(world, claim):
    """Its worker may be busy for long; the model is then held by both."""
    hold(world, "one", "iris@1")
    post(world, "iris@1", seconds_ago=WAIT)
    claimed = claim("two")
    assert (ids(claimed), claimed.again) == ([1], None)
    post(world, "iris@1")
    assert ids(claim("two")) == [2]
    assert world.look()["holders:iris@1"].keys() == {"one", "two"}


def test_what_waits_behind_a_job_that_is_passed_over_waits_with_it(world, claim):
    """A lane is in order."""
    hold(world, "one", "iris@1")
    post(world, "iris@1")
    post(world, "iris@1", seconds_ago=WAIT)
    assert ids(claim("two", 5)) == []
    assert ids(claim("one", 5)) == [1, 2]


def test_a_dead_worker_holds_nothing(world, keys, claim):
    hold(world, "one", "iris@1")
    world.raw.zadd(keys.workers, {"one": time.time() - 1})
    post(world, "iris@1")
    assert ids(claim("two")) == [1]


def test_a_worker_that_does_not_wait_takes_what_comes(world, claim):
    """And says nothing of itself."""
    hold(world, "one", "iris@1")
    post(world, "iris@1")
    post(world, "spam@1")
    assert ids(claim("two", 5, wait=0.0)) == [1, 2]
    assert "holders:spam@1" not in world.look()
    assert world.look()["holders:iris@1"].keys() == {"one"}


def test_a_job_of_several_models_is_for_who_holds_all_of_them(world, claim):
    hold(world, "one", "iris@1")
    hold(world, "other", "spam@1")
    post(world, "iris@1", "spam@1")
    assert ids(claim("third")) == [1]
    assert world.look()["holders:spam@1"].keys() == {"third", "other"}
    post(world, "iris@1", "spam@1", "plain")
    assert ids(claim("one")) == ids(claim("other")) == []
    assert ids(claim("third")) == [2]


def test_a_batch_goes_where_its_model_is(world, claim):
    hold(world, "one", "iris@1")
    world.post(5, functions=["iris@1"])
    sizes = work_ops.batches({":iris@1": 3})
    assert ids(claim("two", 2, sizes=sizes)) == []
    assert [one.batch for one in claim("one", 2, sizes=sizes)] == [1, 1, 1, 2, 2]


def test_the_same_claim_again_gets_the_same(world, claim):
    """What was passed over is not given to it after all, though it has waited meanwhile."""
    hold(world, "one", "iris@1")
    post(world, "iris@1")
    post(world, "spam@1")
    assert ids(claim("two", 5, number=100)) == [2]
    waited(world, "1", WAIT)
    with world.unchanged():
        assert ids(claim("two", 5, number=100, alive=False)) == [2]


# --- since when a job waits


def test_a_retry_waits_since_it_is_due(world, claim):
    """Not since its post, which may be long ago."""
    hold(world, "one", "iris@1")
    post(world, "iris@1", seconds_ago=WAIT)
    (claimed,) = claim("one")
    assert world.settle(claimed, State.FAILED, None, retry_in=600.0)
    world.come_due()
    world.reap()
    assert ids(claim("two")) == []
    world.raw.set(world.keys.job + "1:ready", time.time() - WAIT)
    assert ids(claim("two")) == [1]


def test_a_job_that_came_after_another_waits_since_that_ended(pipes, world, claim):
    """It was posted long before."""
    hold(world, "one", "iris@1")
    first = pipes.post()
    after = pipes.post(f"fail {first}", lane="default:iris@1")
    waited(world, after, WAIT)
    assert pipes.states(after) == ["blocked"]
    pipes.end(first)
    assert ids(claim("two")) == []
    assert ids(claim("one")) == [int(after)]


@pytest.mark.parametrize("stamp", [b"99999999999.0", b"nan", b"-5", b"x"])
def test_a_time_that_can_not_be_is_no_reason_to_wait(world, keys, claim, stamp):
    """The clock was set back, or somebody else wrote there."""
    hold(world, "one", "iris@1")
    post(world, "iris@1")
    world.raw.set(keys.post + "1", b"\n".join((b"default:iris@1", stamp, b"0\nx")))
    world.raw.set(keys.job + "1:ready", stamp)
    assert ids(claim("two")) == [1]


# --- who is woken


def test_a_wake_up_is_handed_on_to_who_holds_the_model(world, keys, claim):
    """Not to the dead, not to this worker, and not twice."""
    hold(world, "one", "iris@1")
    hold(world, "dead", "iris@1", alive=0.0)
    post(world, "iris@1")
    assert world.token(SERVED, taken=True)
    for _ in range(2):
        assert ids(claim("two")) == []
    assert not world.token(SERVED)
    assert [inbox(world, name) for name in ("one", "two", "dead")] == [[b"wake"], [], []]
    assert 0 < world.raw.ttl(keys.inbox + "one") <= 60


def test_two_are_woken_and_two_more_if_these_are_busy(world, claim):
    for i in range(5):
        hold(world, f"w{i}", "iris@1")
    post(world, "iris@1")
    for woken in (2, 4, 5, 5):
        assert ids(claim("two")) == []
        assert [inbox(world, f"w{i}") for i in range(5)].count([b"wake"]) == woken


def test_what_a_claim_leaves_to_holders_wakes_these_alone(world, keys, claim):
    """Else every claim of a busy worker would wake others in vain."""
    hold(world, "one", "iris@1")
    hold(world, "other", "iris@1")
    for _ in range(3):
        post(world, "iris@1")
    assert world.token(SERVED, taken=True)
    assert ids(claim("one")) == [1]
    assert not world.token(SERVED)
    assert (inbox(world, "other"), inbox(world, "one")) == ([b"wake"], [])
    waited(world, "3", WAIT)
    assert ids(claim("one")) == [2]
    assert world.token(SERVED)


@pytest.mark.parametrize("functions", [("plain",), ("spam@1",), ()])
def test_what_a_claim_leaves_to_anybody_wakes_anybody(world, claim, functions):
    hold(world, "one", "iris@1")
    for _ in range(2):
        post(world, "iris@1")
    world.post(functions=functions or None)
    assert world.token(SERVED, taken=True)
    assert ids(claim("one", 2)) == [1, 2]
    assert world.token(SERVED)


def test_the_first_who_leaves_jobs_of_a_model_that_nobody_held_wakes_nobody(world, claim):
    """The others look again by themselves when the jobs have waited."""
    world.post(2, functions=["iris@1"])
    assert world.token(SERVED, taken=True)
    assert ids(claim("one")) == [1]
    assert not world.token(SERVED)
    assert claim("two").again is not None


# --- what it may cost


@pytest.mark.parametrize(("count", "behind"), [(1, 31), (1, 32), (3, 31), (40, 20)])
def test_lanes_that_are_passed_over_hide_no_others(world, claim, count, behind):
    """However few slots are free."""
    hold(world, "one", *MODELS)
    for name in MODELS[:behind]:
        post(world, name)
    world.post(4, functions=["plain"])
    expected = [behind + 1 + i for i in range(min(count, 4))]
    assert ids(claim("two", count)) == expected


def test_no_more_than_32_lanes_are_passed_over(world, claim):
    """A worker that is free while so many wait takes the next one as it comes."""
    hold(world, "one", *MODELS)
    for name in MODELS:
        post(world, name)
    assert ids(claim("two", 2)) == [33, 34]


# --- what is kept


def test_a_worker_tells_what_it_holds(world, keys, about):
    """And what no more; it lapses."""
    hold(world, "one", "iris@1", "spam@1")
    world.raw.zadd(keys.holders + "iris@1", {"lapsed": time.time() - 1})
    op = presence_ops.hold(keys, "one", ["iris@1"], ["spam@1", "never@1"])
    _, changed = world.changes(op)
    assert changed == {"holders:iris@1": {"one": about(100)}, "holders:spam@1": None}
    assert 0 < world.raw.ttl(keys.holders + "iris@1") <= 100


def test_clear_leaves_who_holds_what(world, keys, claim):
    """Workers tell only what changes; and once they have said that they live again, it counts."""
    hold(world, "one", "iris@1")
    cursor = ""
    while cursor != "0":
        cursor, names = world.run(data_ops.scan(keys, cursor or "0"))
        if names:
            world.run(data_ops.unlink(names))
    post(world, "iris@1")
    world.run(presence_ops.alive(keys, "one", 60.0, {}))
    assert ids(claim("two")) == []


@pytest.mark.parametrize("damaged", ["holders:iris@1", "workers", "inbox:one", "job:1:ready"])
def test_a_key_of_another_type_stops_nobody(world, keys, claim, damaged):
    """It says nothing; who writes there next puts it right."""
    hold(world, "one", "iris@1")
    post(world, "iris@1", seconds_ago=WAIT if damaged.startswith("job") else 0)
    world.raw.delete(keys.root + damaged)
    world.raw.hset(keys.root + damaged, "field", "x")
    claimed = claim("two", alive=False)
    assert ids(claimed) == ([] if damaged.startswith("inbox") else [1])
    if damaged.startswith("inbox"):
        assert inbox(world, "one") == [b"wake"]
    elif damaged.startswith("holders"):
        assert world.look()["holders:iris@1"].keys() == {"two"}
    world.raw.delete(keys.workers)


def test_who_holds_a_model_is_told_in_spite_of_a_key_of_another_type(world, keys):
    world.raw.set(keys.holders + "iris@1", "x")
    world.raw.set(keys.holders + "spam@1", "x")
    hold(world, "one", "iris@1", gone=["spam@1"])
    assert world.look()["holders:iris@1"].keys() == {"one"}
    world.raw.delete(keys.holders + "spam@1")


def test_odd_members_among_the_holders_are_nobody(world, keys, claim):
    """Whoever can write to the server may have put them there."""
    post(world, "iris@1")
    odd = dict.fromkeys((b"", b"\xff", b"a\nb", b"x" * 10_000), 9e15)
    world.raw.zadd(keys.holders + "iris@1", {**odd, "w": float("inf")})
    world.raw.expire(keys.holders + "iris@1", 60)
    assert ids(claim("two")) == [1]


def test_a_crowd_of_dead_holders_is_not_searched(world, keys, claim):
    """Ten are looked at: then the job goes to who asks."""
    hold(world, "one", "iris@1")
    world.raw.zadd(keys.holders + "iris@1", {f"dead{i}": time.time() + 1000 for i in range(10_000)})
    post(world, "iris@1")
    assert ids(claim("two")) == [1]
