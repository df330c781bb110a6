"""Why no live worker can run a job, and when a post is warned of."""

import logging

import pytest

from mlq.client import unserved as unserved_module
from mlq.client.unserved import LANES, LaneChecks, ambiguous, can_serve, missing, unserved
from mlq.ops.jobs import Counts

WORKER = {"functions": "f,g", "queues": "default,slow"}


@pytest.mark.parametrize(
    ("worker", "lane", "can"),
    [
        (WORKER, "default", True),
        (WORKER, "slow:f,g", True),
        (WORKER, "slow:x", False),
        (WORKER, "other", False),
        (WORKER, "other:f", False),
        ({"functions": "f"}, "default:f", True),
        ({"functions": "f"}, "slow", False),
        ({"functions": "", "queues": "default"}, "default", False),
        ({}, "default", False),
        (WORKER | {"open": "slow"}, "slow", True),
        (WORKER | {"open": "slow"}, "default", False),
        (WORKER | {"open": "slow"}, "default:f", True),
        (WORKER | {"open": ""}, "slow", False),
    ],
)
def test_which_lanes_a_worker_serves(worker, lane, can):
    """By what it says of itself."""
    assert can_serve(worker, lane) == can
    assert unserved(Counts(0, 0, 0, {lane: 3, "empty": 0}), [worker]) == ({} if can else {lane: 3})


def worker(functions: str, queues: str = "default", **more: str) -> dict[str, str]:
    return {"functions": functions, "queues": queues, **more}


@pytest.mark.parametrize(
    ("lane", "workers", "text"),
    [
        ("default", [worker("train")], None),
        ("default:train", [worker("train")], None),
        ("default:train", [worker("embed"), worker("train")], None),
        ("default:train", [], "no worker is running in namespace 'app'"),
        ("default:trian", [worker("train")], "no live worker has a listener 'trian' (did you mean 'train'?)"),
        ("default:x", [worker("train")], "no live worker has a listener 'x'"),
        ("default:train,x,y", [worker("train")], "no live worker has a listener 'x' or 'y'"),
        ("default:a,b", [worker("a"), worker("b")], "no live worker has all of 'a', 'b'"),
        ("gpus:a", [worker("a", "gpu"), worker("b")], "no live worker serves the queue 'gpus' (did you mean 'gpu'?)"),
        ("gpu", [worker("a", "default,gpu", open="default")], "no live worker has a listener for the queue 'gpu'"),
        ("gpu:b", [worker("b", "default"), worker("a", "gpu")], "no live worker has a listener 'b'"),
    ],
)
def test_what_is_missing(lane, workers, text):
    assert missing(lane, workers, "app") == text


def test_a_job_that_names_no_function_where_listeners_differ():
    workers = [worker("a,b"), worker("b,a"), worker("c"), worker("d", "other")]
    assert ambiguous("default", workers[:2]) is None
    assert ambiguous("default:a", workers) is None
    found = ambiguous("default", workers)
    assert found is not None
    assert "('a', 'b'; 'c')" in found


@pytest.fixture
def now(monkeypatch):
    """A clock that a test sets."""
    clock = [1000.0]
    monkeypatch.setattr(unserved_module.time, "monotonic", lambda: clock[0])
    return clock


def logged(caplog):
    return [record.getMessage() for record in caplog.records]


def test_a_lane_that_is_served_is_checked_once_a_minute(now, caplog):
    checks = LaneChecks()
    assert checks.begins("default")
    checks.check("default", "1", [worker("a")], "app", "redis://h")
    assert not checks.begins("default")
    now[0] += 60
    assert checks.begins("default")
    assert (checks.warning("default"), logged(caplog)) == (None, [])


def test_a_lane_that_nobody_serves_is_checked_each_second_and_warned_of_each_minute(now, caplog):
    checks = LaneChecks()
    with caplog.at_level(logging.WARNING, "mlq.client"):
        for job_id in ("1", "2"):
            assert checks.begins("default:x")
            checks.check("default:x", job_id, [], "app", "redis://h")
            assert not checks.begins("default:x")
            now[0] += 1
        assert logged(caplog) == ["job 1: no worker is running in namespace 'app'; the server is redis://h"]
        now[0] += 60
        checks.check("default:x", "3", [], "app", "redis://h")
        assert len(logged(caplog)) == 2
    checks.check("default:x", "4", [worker("x")], "app", "redis://h")
    assert checks.warning("default:x") is None


def test_the_list_of_workers_is_used_for_a_second(now):
    checks, listed = LaneChecks(), [worker("a")]
    assert checks.recent_workers() is None
    assert checks.remember_workers(listed) is listed
    assert checks.recent_workers() is listed
    now[0] += 1
    assert checks.recent_workers() is None


def test_many_short_lived_lanes_take_little_memory(now):
    checks = LaneChecks()
    for i in range(3 * LANES):
        assert checks.begins(f"default:f{i}")
        checks.check(f"default:f{i}", str(i), [], "app", "redis://h")
    assert len(checks._due) <= LANES
    assert len(checks._found) <= LANES
