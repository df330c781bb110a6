"""Workers with an order of queues, where these have shares, limits and pauses."""

import threading

import pytest


def post(mlq, queue, messages, **options):
    ids = mlq.post_many(messages, functions=["note"], queue=queue, **options)
    return [mlq.job(one) for one in ids]


@pytest.mark.parametrize("strict", [False, True])
def test_shares_take_turns_within_a_queue(mlq, noted, ordered, strict):
    """The order is of queues; within one, it is that of the shares, as without an order."""
    jobs = post(mlq, "cpu", ["cpu"] * 6, share="a")
    for share in ("a", "b"):
        jobs += post(mlq, "gpu", [share] * 6, share=share)
    ordered("gpu,cpu" if strict else "gpu:3,cpu:1", strict=strict)
    for job in jobs:
        job.result(30)
    of_gpu = [one for one in noted if one != "cpu"]
    assert set(of_gpu[:2]) == {"a", "b"}
    assert sorted(noted) == ["a"] * 6 + ["b"] * 6 + ["cpu"] * 6
    if strict:
        assert noted[12:] == ["cpu"] * 6


@pytest.mark.parametrize("strict", [False, True])
@pytest.mark.parametrize("gate", [{"queue": "gpu"}, {"share": "a"}])
def test_what_is_paused_leaves_the_slots_to_the_others(mlq, noted, ordered, gate, strict):
    """And begins as soon as it goes on, though all workers sleep by then."""
    mlq.pause(**gate)
    late = post(mlq, "gpu", ["late"] * 4, share="a")
    jobs = post(mlq, "cpu", ["cpu"] * 4)
    ordered("gpu,cpu" if strict else "gpu:3,cpu:1", strict=strict)
    for job in jobs:
        job.result(30)
    assert noted == ["cpu"] * 4
    mlq.resume(**gate)
    for job in late:
        job.result(30)
    assert noted == ["cpu"] * 4 + ["late"] * 4


def test_a_limit_of_the_first_queue(mlq, ordered, gate):
    """The slots that it may not use are for the second one; each end lets one more of the first begin."""
    begun, queues, running = threading.Semaphore(0), [], []

    @mlq.listener
    def note(message):
        queues.append(message)
        running.append(message)
        most.append(running.count("gpu"))
        begun.release()
        gate.wait(20)
        running.remove(message)

    most = []
    mlq.limit(queue="gpu", running=1)
    jobs = post(mlq, "gpu", ["gpu"] * 3) + post(mlq, "cpu", ["cpu"] * 3)
    ordered("gpu,cpu", slots=3, strict=True)
    for _ in range(3):
        assert begun.acquire(timeout=20)
    assert sorted(queues) == ["cpu", "cpu", "gpu"]
    gate.set()
    for job in jobs:
        job.result(30)
    assert max(most) == 1


def test_a_rate_of_the_first_queue(mlq, noted, ordered):
    """The worker looks again when it opens, though the other queue's claim came after and knows nothing of it."""
    mlq.limit(queue="gpu", rate="1/s")
    jobs = post(mlq, "gpu", ["gpu"] * 2) + post(mlq, "cpu", ["cpu"] * 2)
    ordered("gpu,cpu", strict=True)
    for job in jobs:
        job.result(30)
    assert (noted[0], sorted(noted)) == ("gpu", ["cpu", "cpu", "gpu", "gpu"])
    first, second = (mlq.get_info(job.id)["processing_started"] for job in jobs[:2])
    assert second - first >= 1
