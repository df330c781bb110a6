"""What a worker counts before it delivers it."""

import pytest

from mlq.core.chunk import Predicted
from mlq.core.job import Claimed, Outcome, Record
from mlq.core.job_options import PLAIN
from mlq.core.keys import Keys
from mlq.core.states import State
from mlq.ops.stats import BOUNDS, OTHER
from mlq.running.outcomes import death, failure, success, timeout
from mlq.worker.attempt import Attempt
from mlq.worker.outbox import Ended
from mlq.worker.tally import Tally

KEYS = Keys("n")


def ended(outcome, lane="default", took=0.0):
    attempt = Attempt(Claimed("1", 1, "w.1", "w", 0.0, b""))
    attempt.record = Record(lane, 0.0, PLAIN, b"")
    attempt.took = took
    return Ended(attempt, outcome)


def delivered(tally):
    """What the next delivery says, and its number."""
    op = tally.delivery(KEYS, "w")
    if op is None:
        return None
    number, *flat = op.command[5:]
    return number, {f"{flat[i]}:{flat[i + 1]}": flat[i + 2] for i in range(0, len(flat), 3)}


def test_nothing_is_delivered_where_nothing_was_counted():
    assert Tally().delivery(KEYS, "w") is None


def test_a_delivery_is_the_same_until_it_arrived():
    tally = Tally()
    tally.settled([ended(success(1))], [True])
    first = delivered(tally)
    tally.settled([ended(success(1))] * 2, [True, True])
    assert delivered(tally) == first == (1, {"default:attempts:succeeded": 1})
    tally.delivered()
    assert delivered(tally) == (2, {"default:attempts:succeeded": 2})
    tally.delivered()
    assert delivered(tally) is None


@pytest.mark.parametrize(
    ("outcome", "counted"),
    [
        (success(1), "succeeded"),
        (failure(ValueError("x")), "error"),
        (timeout(3.0), "timeout"),
        (death("lost", "x"), "lost"),
        (death("oom", "x"), "oom"),
        (Outcome(State.FAILED, {"reason": "of a child's own making"}), "error"),
        (Outcome(State.FAILED, {"reason": b"\xff"}), "error"),
    ],
)
def test_an_outcome_is_counted_by_its_reason(outcome, counted):
    tally = Tally()
    tally.settled([ended(outcome)], [True])
    assert delivered(tally) == (1, {f"default:attempts:{counted}": 1})


def test_an_outcome_that_was_refused_is_not_counted():
    tally = Tally()
    tally.settled([ended(success(1)), ended(success(1), "gpu")], [False, True])
    assert delivered(tally) == (1, {"gpu:attempts:succeeded": 1})


def test_lanes_of_a_queue_are_counted_together():
    tally = Tally()
    tally.settled([ended(success(1), lane) for lane in ("gpu", "gpu:f", "gpu:f,g", "", "gpus")], [True] * 5)
    counts = {"gpu:attempts:succeeded": 3, f"{OTHER}:attempts:succeeded": 1, "gpus:attempts:succeeded": 1}
    assert delivered(tally) == (1, counts)


@pytest.mark.parametrize(
    ("seconds", "bucket"),
    [(-1.0, 0), (0.0, 0), (0.005, 0), (0.0051, 1), (60.0, BOUNDS.index(60.0)), (1e9, len(BOUNDS))],
)
def test_a_wait_falls_into_the_first_bucket_that_holds_it(seconds, bucket):
    tally = Tally()
    tally.waited("default", seconds)
    _, counts = delivered(tally)
    total = max(0, round(seconds * 1e6))
    assert counts == {f"default:wait:{bucket}": 1} | ({"default:wait:sum": total} if total else {})


def test_a_run_is_measured():
    tally = Tally()
    tally.settled([ended(success(1), took=0.25), ended(failure(OSError()), took=0.25)], [True, True])
    _, counts = delivered(tally)
    assert (counts["default:run:4"], counts["default:run:sum"]) == (2, 500_000)


def test_rows_of_chunks_are_counted():
    tally = Tally()
    rows = success(Predicted(b"a\n", b"b\n", 5, 2))
    tally.settled([ended(rows, "#rows:iris@1"), ended(rows, "#rows:iris@1"), ended(rows, "other")], [True, True, True])
    tally.settled([ended(success("no rows"), "#rows:iris@1"), ended(rows, "#rows:iris@1")], [True, False])
    found = delivered(tally)[1]
    assert (found["#rows:rows"], found["#rows:rows:failed"]) == (10, 4)
    assert "other:rows" not in found
