"""What a listener returns, raises and says, in every pool."""

import time

import pytest

from mlq import JobFailed

pytestmark = pytest.mark.slow


def test_results(shared):
    for name in ("echo", "echo_async"):
        assert shared.mlq.submit({"a": [1, 2]}, functions=[name]).result(60) == {"a": [1, 2]}
        assert shared.mlq.submit(bytes(range(256)), functions=[name]).result(60) == bytes(range(256))
        assert shared.mlq.submit(None, functions=[name]).result(60) is None
    two = shared.mlq.submit([1], functions=["pair"])
    assert two.result(60) == [1]
    assert shared.mlq.get_job(two.id)["short_result"] == "short"


@pytest.mark.parametrize("name", ["fails", "fails_async"])
def test_an_error_is_the_listeners_own(shared, name):
    job = shared.mlq.submit("this", functions=[name])
    with pytest.raises(ZeroDivisionError, match="about this"):
        job.result(60)
    kept = shared.mlq.get_job(job.id)
    assert (kept["state"], kept["reason"]) == ("failed", "error")
    assert kept["error_type"] == "builtins.ZeroDivisionError"
    assert f"in {name}\n" in kept["traceback"]
    assert 'raise ZeroDivisionError(f"about {value}")' in kept["traceback"]
    assert [letter.id for letter in shared.mlq.dead_letters()] == [job.id]


def test_a_listener_that_leaves_takes_nobody_along(shared):
    before = shared.mlq.submit(None, functions=["identity"]).result(60)[0]
    job = shared.mlq.submit(3, functions=["leaves"])
    with pytest.raises((JobFailed, SystemExit)):
        job.result(60)
    assert shared.mlq.get_job(job.id)["error_type"] == "builtins.SystemExit"
    assert shared.mlq.submit(None, functions=["identity"]).result(60)[0] == before


def test_what_cannot_be_kept_is_a_failure(shared):
    job = shared.mlq.submit(None, functions=["unserialisable"])
    with pytest.raises(JobFailed, match="Unserializable"):
        job.result(60)
    assert shared.mlq.get_job(job.id)["error_type"] == "mlq.errors.Unserializable"
    huge = shared.mlq.submit(65 * 1024 * 1024, functions=["sized"])
    with pytest.raises(JobFailed, match="67,108,864"):
        huge.result(60)
    assert shared.mlq.get_job(huge.id)["error_type"] == "mlq.errors.TooLarge"
    assert shared.mlq.submit(1, functions=["echo"]).result(60) == 1


def test_large_messages_and_results_cross(shared):
    large = 30_000_000
    assert len(shared.mlq.submit(large, functions=["sized"]).result(60)) == large
    assert shared.mlq.submit(b"x" * large, functions=["measures"]).result(60) == large


def test_logs_and_prints_are_kept(shared):
    job = shared.mlq.submit(2, functions=["talks"])
    job.result(60)
    assert job.logs() == "printed 0\nprinted 1\nto stderr\nWARNING app: logged\n"
    shared.worker.logs("WARNING app: logged")
    talking = shared.mlq.submit("async", functions=["talks_async"])
    talking.result(60)
    assert talking.logs() == "".join(f"async {i}\n" for i in range(5))


def test_what_is_kept_of_them_is_bounded(shared):
    job = shared.mlq.submit(20_000, functions=["talks"])
    job.result(60)
    logs = job.logs()
    assert logs.startswith("printed 0\nprinted 1\n")
    assert logs.endswith("[further output is not kept]\n")
    assert len(logs) < 66_000


def test_a_megabyte_that_is_printed(shared):
    job = shared.mlq.submit(1_000_000, functions=["prints_much"])
    assert job.result(60) == "printed"
    assert len(job.logs()) < 66_000


def test_a_special_queue_is_served(shared):
    assert shared.mlq.submit("mine", queue="special").result(60) == "mine"


def test_retries_with_backoff(shared):
    begun = time.time()
    job = shared.mlq.submit(3, functions=["succeeds_at"], retries=3, backoff=0.2)
    assert job.result(60) == 3
    kept = shared.mlq.get_job(job.id)
    assert (kept["retries"], kept["reason"], kept["error"]) == (2, None, None)
    first, second, third = kept["attempts"]
    assert [run["attempt"] for run in kept["attempts"]] == [1, 2, 3]
    assert [run["reason"] for run in kept["attempts"]] == ["error", "error", None]
    assert [run["error"] for run in (first, second)] == ["not in attempt 1", "not in attempt 2"]
    assert first["error_type"] == "builtins.ValueError"
    assert "in succeeds_at" in first["traceback"]
    assert {run["worker"] for run in kept["attempts"]} == {shared.mlq.workers()[0]["name"]}
    assert begun - 1 < first["started"] <= first["finished"] < second["started"] < third["started"]
    assert second["started"] - first["finished"] >= 0.1  # how much later depends on the machine
    assert third["started"] - second["finished"] >= 0.2


def test_retries_end(shared):
    job = shared.mlq.submit(9, functions=["succeeds_at"], retries=1, backoff=0.05)
    with pytest.raises(ValueError, match="not in attempt 2"):
        job.result(60)
    assert shared.mlq.get_job(job.id)["retries"] == 1


@pytest.mark.parametrize(("kind", "retries"), [("KeyError", 1), ("ValueError", 1), ("TypeError", 0)])
def test_only_declared_errors_are_retried(shared, kind, retries):
    job = shared.mlq.submit(kind, functions=["retried_on"])
    with pytest.raises((KeyError, ValueError, TypeError)):
        job.result(60)
    assert shared.mlq.get_job(job.id)["retries"] == retries
