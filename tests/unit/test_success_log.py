"""What a worker logs of jobs that succeed: long ones by themselves, short ones as a sum."""

import logging

import pytest

from mlq.core.job import Claimed, Outcome
from mlq.core.policy import Policy
from mlq.core.states import State
from mlq.running.listeners import Listener
from mlq.worker import success_log
from mlq.worker.attempt import Attempt
from mlq.worker.outbox import Ended
from mlq.worker.success_log import SuccessLog


def ended(job_id: int, name: str, took: float) -> Ended:
    attempt = Attempt(Claimed(str(job_id), 1, "w.1", "w", 0.0, b""))
    attempt.listeners = (Listener(name, None, False, False, "default", Policy()),)
    attempt.took = took
    return Ended(attempt, Outcome(State.SUCCEEDED, {}))


@pytest.fixture
def told(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.INFO, "mlq.worker")
    return caplog


def test_long_jobs_at_once_and_short_ones_as_a_sum(told: pytest.LogCaptureFixture) -> None:
    successes = SuccessLog()
    successes.add([ended(1, "train", 1.25), ended(2, "echo", 0.001), ended(3, "echo", 0.001), ended(4, "f", 0.1)])
    assert told.messages == ["job 1 (train) succeeded in 1.2 s"]
    successes.flush()
    assert len(told.messages) == 1  # too soon
    successes.flush(now=True)
    assert told.messages[1:] == ["3 jobs succeeded: 2 echo, 1 f"]
    successes.flush(now=True)
    assert len(told.messages) == 2


def test_one_short_job_is_named(told: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(success_log, "EVERY", 0.0)
    successes = SuccessLog()
    successes.add([ended(7, "train", 0.5)])
    successes.flush()
    assert told.messages == ["job 7 (train) succeeded in 0.500 s"]


def test_a_few_functions_are_named(told: pytest.LogCaptureFixture) -> None:
    successes = SuccessLog()
    successes.add([ended(i, f"f{i}", 0.1) for i in range(7)])
    successes.flush(now=True)
    assert told.messages == ["7 jobs succeeded: 1 f0, 1 f1, 1 f2, 1 f3, 1 f4, and 2 other functions"]


def test_nothing_is_counted_where_nobody_reads_it(told: pytest.LogCaptureFixture) -> None:
    told.set_level(logging.WARNING, "mlq.worker")
    successes = SuccessLog()
    successes.add([ended(1, "train", 5.0), ended(2, "echo", 0.1)])
    told.set_level(logging.INFO, "mlq.worker")
    successes.flush(now=True)
    assert told.messages == []
