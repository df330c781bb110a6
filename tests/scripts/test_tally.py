"""What is counted of attempts, and the numbers that monitoring gets."""

import time

import pytest

from mlq.ops import deliveries as delivery_ops
from mlq.ops import jobs as job_ops
from mlq.ops import presence as presence_ops
from mlq.ops import stats as stats_ops
from mlq.ops import work as work_ops
from mlq.ops.stats import BOUNDS, COUNTERS, OTHER, OUTCOMES, SAMPLE, TRIES, Histogram

MOST = 200  # queues


def row(**counts):
    """A row with some counts, by names such as `run_sum`."""
    return [counts.get(what.replace(":", "_").replace(" ", "_"), 0) for what in COUNTERS]


@pytest.fixture
def counted(world):
    """What is counted by now, by field."""
    return lambda: {
        field.decode(): int(value)
        for field, value in world.raw.hgetall(world.keys.metrics).items()
        if not field.endswith(b":") and field != b"queues"
    }


def deliver(world, number, *rows, worker="w"):
    world.run(stats_ops.tally(world.keys, worker, number, rows))


def test_a_delivery_counts_once_however_often_it_is_sent(world, counted):
    for number in (1, 1, 2, 1, 2):
        deliver(world, number, ("default", row(attempts_succeeded=2, run_3=2, run_sum=1.5)))
    deliver(world, 1, ("default", row(attempts_succeeded=1)), worker="other")
    assert counted() == {"default:attempts:succeeded": 5, "default:run:3": 4, "default:run:sum": 3_000_000}


def test_a_delivery_is_remembered_for_an_hour(world, keys):
    deliver(world, 1, ("default", row(attempts_error=1)))
    assert 3500 < world.raw.ttl(f"{keys.replay}w:tally") <= 3600


def test_queues_beyond_the_most_are_counted_as_one(world, counted):
    deliver(world, 1, *((f"q{i}", row(attempts_succeeded=1)) for i in range(MOST + 5)))
    deliver(world, 2, *((f"q{i}", row(attempts_error=1)) for i in (0, MOST + 1)))
    found = counted()
    assert len({field.split(":")[0] for field in found}) == MOST + 1
    assert found[f"{OTHER}:attempts:succeeded"] == 5
    assert found["q0:attempts:error"] == found[f"{OTHER}:attempts:error"] == 1


@pytest.mark.parametrize(("begun", "expected"), [(True, {"gpu:attempts:handed back": 1}), (False, {})])
def test_a_run_that_is_handed_back_is_counted_where_it_had_begun(world, keys, counted, begun, expected):
    one = world.running(queue="gpu", functions=["f"])
    for _ in range(2):  # the second one is refused
        world.run(work_ops.hand_back(keys, [(one, begun)]))
    assert counted() == expected


def test_a_lapsed_lease_is_counted_as_lost(world, counted):
    lapsed, whole = world.running(), world.running()
    world.lapse(lapsed)
    world.watched()
    assert [world.reap().taken for _ in range(2)] == [1, 0]
    assert counted() == {"default:attempts:lost": 1}
    assert world.settle(whole)


def test_a_lost_job_without_a_record_is_counted_without_a_queue(world, keys, counted):
    lapsed = world.running()
    world.raw.delete(keys.post + lapsed.id)
    world.lapse(lapsed)
    world.watched()
    world.reap()
    assert counted() == {f"{OTHER}:attempts:lost": 1}


def test_a_run_over_the_reapers_limit_is_counted_as_timeout(world, keys, counted):
    one = world.running()
    world.overdue(one, 100)
    world.run(work_ops.overrun(keys, 60, 5))
    assert counted() == {"default:attempts:timeout": 1}


def test_a_cancelled_run_is_counted_and_a_cancelled_wait_is_not(world, keys, counted):
    one = world.running()
    world.post()
    for job_id in (one.id, one.id, "2"):
        world.run(job_ops.cancel(keys, job_id))
    assert counted() == {"default:attempts:cancelled": 1}


def test_what_stands_in_the_place_of_the_tally_stops_no_recovery(world, keys):
    world.raw.set(keys.metrics, "not ours")
    lapsed = world.running()
    world.lapse(lapsed)
    world.watched()
    assert world.reap().taken == 1
    assert world.raw.get(keys.metrics) == b"not ours"


# --- stats


def test_an_empty_namespace_has_numbers(world, keys):
    none = (0, dict.fromkeys(TRIES, 0))
    deliveries = {"callback": none, "webhook": none}
    assert world.run(stats_ops.stats(keys)) == ({}, 0, 0, 0, 0, deliveries, 0, 0, 0, 0, 0)


def test_numbers_of_jobs_by_queue(world, keys):
    """Lanes of a queue are summed; what is scheduled or dead is counted for the namespace."""
    world.failed(queue="gpu")
    world.scheduled(queue="gpu")
    for queue, functions in (("gpu", ["f"]), ("gpu", ["f"]), ("default", None)):
        world.running(queue=queue, functions=functions)
    world.post(2, queue="gpu")
    world.post(3, queue="gpu", functions=["f", "g"])
    stats = world.run(stats_ops.stats(keys))
    assert (stats.waiting, stats.running, stats.scheduled, stats.dead, stats.wanted) == (5, 3, 1, 1, 8)
    assert {name: (q.waiting, q.running, q.wanted) for name, q in stats.queues.items()} == {
        "default": (0, 1, 1), "gpu": (5, 2, 7),
    }  # fmt: skip


def test_the_age_is_that_of_the_oldest_job_that_waits(world, keys):
    world.post(2)
    world.post(1, functions=["f"])
    world.post(1, queue="empty")
    world.claim(10)
    (first,) = world.post(1, functions=["f"])
    world.post(1)
    record = world.raw.get(keys.post + first).split(b"\n", 2)
    world.raw.set(keys.post + first, b"\n".join([record[0], b"%f" % (time.time() - 500), record[2]]))
    queues = world.run(stats_ops.stats(keys)).queues
    assert queues["default"].oldest == pytest.approx(500, abs=20)
    assert queues["empty"].oldest is None


@pytest.mark.parametrize("record", [None, b"", b"default", b"default\nsoon\n0\n", b"\xff\xfe"])
def test_a_waiting_job_with_a_damaged_record_has_no_age(world, keys, record):
    (job_id,) = world.post()
    world.raw.delete(keys.post + job_id)
    if record is not None:
        world.raw.set(keys.post + job_id, record)
    found = world.run(stats_ops.stats(keys)).queues["default"]
    assert (found.waiting, found.oldest) == (1, None)


def test_above_the_most_that_are_looked_at_shares_count(world, keys):
    world.post(3 * SAMPLE // 2, queue="a")
    world.post(SAMPLE // 2, queue="b")
    while world.claim(100):
        pass
    stats = world.run(stats_ops.stats(keys))
    assert stats.running == sum(queue.running for queue in stats.queues.values()) == 2 * SAMPLE


def test_deliveries_are_counted_by_what_became_of_each_try(world, keys):
    """One failed and is tried again, then it was sent; another one was given up; a third one waits."""
    for _ in range(3):
        world.failed(callback="http://localhost/")
    first, second = world.run(delivery_ops.take(keys, "callback", 2, 0.0, 3))
    world.run(delivery_ops.end(keys, first, 500, "answered 500", 0.0))
    world.run(delivery_ops.end(keys, second, 500, "answered 500", None))
    (again,) = world.run(delivery_ops.take(keys, "callback", 1, 10.0, 3))
    for _ in range(2):  # the second one comes too late
        world.run(delivery_ops.end(keys, again, 200, "sent", None))
    assert world.run(stats_ops.stats(keys)).deliveries == {
        "callback": (1, {"sent": 1, "failed": 1, "given up": 1}), "webhook": (0, dict.fromkeys(TRIES, 0)),
    }  # fmt: skip


def test_numbers_of_workers_are_those_that_live(world, keys):
    world.run(presence_ops.alive(keys, "one", 10.0, {"slots": 4, "busy": 3, "queues": "default,gpu", "memory": 7}))
    world.run(presence_ops.alive(keys, "two", 10.0, {"slots": 2, "busy": 0, "queues": "gpu"}))
    world.run(presence_ops.alive(keys, "old", 10.0, {"host": "an earlier version"}))
    world.raw.zadd(keys.workers, {"gone": time.time() - 1})
    stats = world.run(stats_ops.stats(keys))
    assert (stats.workers, stats.slots, stats.busy, stats.memory) == (3, 6, 3, 7)
    assert {name: (q.workers, q.slots) for name, q in stats.queues.items()} == {"default": (1, 4), "gpu": (2, 6)}


def test_loads_and_evictions_come_back(world, keys):
    deliver(world, 1, ("iris", row(loads=2, load_sum=2.5, evictions=1, rows=9, rows_failed=4)))
    found = world.run(stats_ops.stats(keys)).queues["iris"]
    assert (found.loads, found.load_seconds, found.evictions) == (2, 2.5, 1)
    assert (found.rows, found.rows_failed) == (9, 4)


def test_what_was_counted_comes_back(world, keys):
    last = len(BOUNDS)
    longest = {f"run_{last}": 2}
    deliver(world, 1, ("gpu", row(attempts_succeeded=2, attempts_oom=1, run_0=1, wait_sum=2.5, **longest)))
    found = world.run(stats_ops.stats(keys)).queues["gpu"]
    assert found.attempts == dict.fromkeys(OUTCOMES, 0) | {"succeeded": 2, "oom": 1}
    assert found.run == Histogram((1, *[0] * (last - 1), 2), 0.0)
    assert found.run.total == 3
    assert found.wait == Histogram((0,) * (last + 1), 2.5)
