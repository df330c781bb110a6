"""`block_until_result`: a listener that waits for another job."""

import threading
import time
from typing import Any

import pytest

from mlq import MLQ, Forward, JobCancelled, JobFailed, WaitTimeout


def test_one_worker_with_one_slot_never_deadlocks(mlq: MLQ) -> None:
    """Five jobs deep."""

    def nested(depth: int, context: Any) -> int:
        return 0 if depth == 0 else 1 + context.block_until_result(context.post(depth - 1), timeout=20)

    mlq.create_listener(nested)
    assert mlq.submit(5).result(60) == 5


def test_who_waited_goes_on_while_others_queue(mlq: MLQ) -> None:
    """Twenty parents in one slot, each with a child behind all of them."""

    def parent_or_child(message: Any, context: Any) -> Any:
        return "child" if message == "child" else context.block_until_result(context.post("child"), 20)

    mlq.create_listener(parent_or_child)
    ids = mlq.post_many(["parent"] * 20)
    assert [mlq.wait(i, 25) for i in ids] == ["child"] * 20
    assert {mlq.get_job(i)["retries"] for i in ids} == {0}


def test_waiting_in_a_circle_is_an_error(mlq: MLQ) -> None:
    """For oneself, and for a job that waits for this one."""

    def wait_for(message: Any, context: Any) -> Any:
        if message == "self":
            return context.block_until_result(context.full_message["id"])
        if isinstance(message, str):
            return context.block_until_result(message)
        return context.block_until_result(context.post(context.full_message["id"]))

    mlq.create_listener(wait_for)
    for message in ("self", 1):
        with pytest.raises(Exception, match="waits for") as caught:
            mlq.submit(message).result(60)
        assert type(caught.value).__name__ in ("WaitCircle", "JobFailed")


def test_a_step_that_waits_for_its_root_is_an_error(mlq: MLQ) -> None:
    """Which it could wait for until its timeout."""

    def first(message: Any, context: Any) -> Any:
        return Forward(context.full_message["id"], to="second")

    def second(root: str, context: Any) -> Any:
        return context.block_until_result(root)

    mlq.create_listener(first)
    mlq.create_listener(second)
    job = mlq.submit("x", functions=["first"])
    with pytest.raises(JobFailed, match=f"WaitCircle: .* can't wait for job {job.id}"):
        job.result(60)


def test_a_finished_job_answers_at_once(mlq: MLQ) -> None:
    """Though the worker has no free slot; who had to be told would wait for 10 s."""

    def wait_for(message: Any, context: Any) -> Any:
        if not isinstance(message, str):
            return message
        return context.block_until_result(message)

    mlq.create_listener(wait_for)
    first = mlq.submit(5)
    first.result(60)
    assert mlq.submit(first.id).result(60) == 5


def test_how_the_other_job_ended_is_raised(mlq: MLQ) -> None:
    """Its failure, its cancellation, or that nobody knows it; a timeout too."""

    def wait_for(message: Any, context: Any) -> Any:
        if message == "fail":
            raise ZeroDivisionError("of the other")
        seen = []
        for job_id in message:
            try:
                context.block_until_result(job_id, timeout=0.2)
            except Exception as error:  # noqa: BLE001 - whatever it is, it is told
                seen.append(type(error).__name__)
        return seen

    cancelled, never = mlq.submit("x", functions=["nobody"]), mlq.submit("x", functions=["nobody"])
    cancelled.cancel()
    mlq.create_listener(wait_for)
    failing = mlq.submit("fail")
    result = mlq.submit([failing.id, cancelled.id, never.id, "999999"]).result(60)
    assert result == ["ZeroDivisionError", "JobCancelled", "WaitTimeout", "UnknownJob"]
    with pytest.raises(JobCancelled):
        cancelled.result(60)
    with pytest.raises(WaitTimeout):
        never.result(0.05)
    with pytest.raises(TimeoutError):
        never.result(0)


def test_a_free_slot_works_while_another_listener_waits(mlq: MLQ) -> None:
    """It hears of new work at once, also after all slots were taken for a while."""
    waiting = threading.Event()
    never = mlq.post(1, functions=["nobody"])

    def waits(message: Any, context: Any) -> None:
        waiting.set()
        context.block_until_result(never, timeout=30)

    def works(seconds: float) -> float:
        time.sleep(seconds)
        return seconds

    mlq.create_listener(waits, concurrency=2)
    mlq.create_listener(works)
    blocked = mlq.post(1, functions=["waits"])
    assert waiting.wait(5)
    for job_id in mlq.post_many([0.3, 0.3], functions=["works"]):  # one more than there are slots left
        mlq.wait(job_id, 5)
    time.sleep(0.1)
    assert mlq.submit(0.0, functions=["works"]).result(60) == 0.0
    mlq.cancel(never)
    with pytest.raises(JobFailed, match=r"JobCancelled: job \d+ was cancelled"):
        mlq.wait(blocked, 5)
