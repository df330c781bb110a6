"""Workers that take the jobs of their queues by weights, or in a strict order."""

import threading
from collections import Counter

import pytest

from mlq import MLQ
from tests.programs import until

QUEUES = ("gpu", "cpu", "rest")


def fill(mlq, count, *queues, functions=("note",)):
    """Post so many jobs to each of these queues, one queue after the other."""
    return [job for queue in queues for job in post(mlq, queue, count, functions)]


def post(mlq, queue, count=1, functions=("note",)):
    ids = mlq.post_many([queue] * count, functions=functions, queue=queue)
    return [mlq.job(one) for one in ids]


def test_weights(mlq, noted, ordered):
    """Of each four jobs, three are of one queue and one of the other, though all of this one came first."""
    jobs = fill(mlq, 60, "cpu", "gpu")
    ordered("gpu:3,cpu:1")
    for job in jobs:
        job.result(30)
    first = Counter(noted[:60])
    assert abs(first["gpu"] - 45) <= 5, first  # what is claimed ahead may mix in another order
    assert Counter(noted) == {"gpu": 60, "cpu": 60}


def test_a_strict_order(mlq, noted, ordered):
    jobs = fill(mlq, 30, "rest", "cpu", "gpu")
    ordered("gpu,cpu,rest", strict=True)
    for job in jobs:
        job.result(30)
    assert noted == ["gpu"] * 30 + ["cpu"] * 30 + ["rest"] * 30


def test_strict_is_as_of_the_next_claim(mlq, ordered, gate):
    """A job that comes while one of a later queue runs is the next one."""
    order, begun = [], threading.Semaphore(0)

    @mlq.listener
    def hold(message):
        order.append(message)
        begun.release()
        if len(order) == 1:
            gate.wait(20)

    jobs = fill(mlq, 3, "cpu", functions=["hold"])
    ordered("gpu,cpu", strict=True)
    assert begun.acquire(timeout=20)
    jobs += post(mlq, "gpu", functions=["hold"])
    gate.set()
    for job in jobs:
        job.result(30)
    assert order == ["cpu", "gpu", "cpu", "cpu"]


def test_without_an_order_places_decide(mlq, noted, ordered):
    jobs = fill(mlq, 5, "rest", "cpu", "gpu")
    ordered("gpu,cpu,rest")
    for job in jobs:
        job.result(30)
    assert noted == ["rest"] * 5 + ["cpu"] * 5 + ["gpu"] * 5


@pytest.mark.parametrize(("words", "strict"), [("gpu:3,cpu:1,rest:2", False), ("gpu,cpu,rest", True)])
def test_an_idle_worker_is_woken_for_each_of_its_queues(mlq, noted, ordered, words, strict, monkeypatch):
    """At once, and not by the look of each 0.75 s."""
    from mlq.worker import reaping

    worker = ordered(words, slots=2, strict=strict)
    monkeypatch.setattr(reaping.Reaping, "_wake_if_missed", lambda self, *, rests: None)
    for queue in (*QUEUES, *reversed(QUEUES)):
        until(lambda: len(worker._shared.asleep_as) == 3)
        post(mlq, queue)[0].result(20)
    assert noted == [*QUEUES, *reversed(QUEUES)]


def test_a_missed_wake_up_is_noticed(mlq, noted, ordered):
    """A worker that froze took the wake-up for the last one of its queues."""
    worker = ordered("gpu:3,cpu:1")
    until(lambda: len(worker._shared.asleep_as) == 2)
    for served in worker._shared.names():
        mlq._redis.set(f"{{{mlq.namespace}}}:class:{served}:wake", "as if there were none", ex=60)
    jobs = fill(mlq, 1, "cpu", "gpu")
    for job in jobs:
        job.result(20)


def test_two_workers_share(mlq, ordered, gate):
    """One sleeps and is woken for what the other one leaves, in each queue."""
    begun = threading.Semaphore(0)

    @mlq.listener
    def hold(message):
        begun.release()
        gate.wait(20)

    workers = [ordered("gpu,cpu", strict=True), ordered("gpu:1,cpu:3"), ordered("cpu,gpu")]
    until(lambda: all(one._shared.asleep_as for one in workers))
    jobs = fill(mlq, 1, "cpu", "gpu", functions=["hold"]) + fill(mlq, 1, "cpu", functions=["hold"])
    for _ in jobs:
        assert begun.acquire(timeout=20)
    gate.set()
    for job in jobs:
        job.result(20)


def test_several_slots(mlq, ordered, gate):
    """Those that become free together are filled by the weights, too."""
    order, begun = [], threading.Semaphore(0)

    @mlq.listener
    def hold(message):
        order.append(message)
        begun.release()
        gate.wait(20)

    jobs = fill(mlq, 20, "cpu", "gpu", functions=["hold"])
    ordered("gpu:3,cpu:1", slots=8)
    for _ in range(8):
        assert begun.acquire(timeout=20)
    assert Counter(order) == {"gpu": 6, "cpu": 2}
    gate.set()
    for job in jobs:
        job.result(30)


def test_with_a_limit_per_worker(mlq, ordered, gate):
    """The queue whose listener is at its limit leaves the slots to the other one, and gets its turn again."""
    begun, order = threading.Semaphore(0), []

    @mlq.listener(per_worker=1)
    def limited(message):
        order.append("limited")
        begun.release()
        gate.wait(20)

    @mlq.listener
    def free(message):
        order.append("free")
        begun.release()
        gate.wait(20)

    jobs = fill(mlq, 3, "gpu", functions=["limited"]) + fill(mlq, 3, "cpu", functions=["free"])
    ordered("gpu,cpu", slots=3, strict=True)
    for _ in range(3):
        assert begun.acquire(timeout=20)
    assert Counter(order) == {"limited": 1, "free": 2}
    gate.set()
    for job in jobs:
        job.result(30)


def test_jobs_without_functions_and_chunks_of_files(mlq, ordered, tmp_path):
    """Each queue has its own listeners; MLQ's own queues are served with any of them."""
    noted = []

    @mlq.listener(queue="gpu")
    def on_gpu(message):
        noted.append(("gpu", message))

    @mlq.listener
    def usual(message):
        noted.append(("usual", message))
        return message

    ordered("gpu:2,cpu:1")
    mlq.submit(1, queue="gpu").result(20)
    mlq.submit(2, queue="cpu").result(20)
    assert noted == [("gpu", 1), ("usual", 2)]
    lane = "#rows:usual"
    assert all(lane in one.serves for one in mlq_served(mlq, ordered))


def mlq_served(mlq, ordered):
    return ordered("gpu:1,cpu:1")._shared._classes()


def test_an_idle_worker_asks_little_more(mlq, noted, ordered, raw):
    """One ZCARD for each further queue, at each look."""

    def commands(worker):
        until(lambda: worker._shared.asleep_as)
        info = "commandstats"
        before = raw.info(info).get("cmdstat_zcard", {"calls": 0})["calls"]
        looked = threading.Semaphore(0)
        original = worker._renewer._ask
        worker._renewer._ask = lambda questions: (original(questions), looked.release())
        for _ in range(4):
            assert looked.acquire(timeout=20)
        return (raw.info(info)["cmdstat_zcard"]["calls"] - before) / 4

    plain = ordered("gpu,cpu,rest")
    few = commands(plain)
    plain.stop(0)
    assert commands(ordered("gpu:3,cpu:2,rest:1")) <= few + 2.5


def test_other_clients_are_told(mlq, noted, ordered, server_url, namespace):
    ordered("gpu:3,cpu:1")
    with MLQ(namespace, url=server_url) as client:
        (about,) = until(client.workers)
    assert (about["queues"], about["order"]) == ("gpu,cpu", "gpu:3, cpu:1")
