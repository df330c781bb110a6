"""`per_worker`: one worker runs no more jobs of a listener at a time; others use its other slots."""

import threading
from collections import Counter

import pytest

from mlq import MLQ, InputError
from mlq.pools.thread import ThreadPool
from mlq.running.listeners import Listener
from tests.programs import until


class Meter:
    """Counts how many run at a time, and lets them end when it is told to."""

    def __init__(self):
        self._lock, self._now, self.most, self.calls = threading.Lock(), 0, 0, 0
        self.begun, self.go = threading.Semaphore(0), threading.Event()

    def __enter__(self):
        with self._lock:
            self._now += 1
            self.calls += 1
            self.most = max(self.most, self._now)
        self.begun.release()

    def __exit__(self, *_):
        with self._lock:
            self._now -= 1


def rooms(worker):
    shared = worker._shared
    return shared.limits.rooms(shared.held())


@pytest.fixture
def work(mlq, server_url):
    """Starts workers of the given slots on the listeners of `mlq`, or of another queue object."""
    made = []

    def start(slots, queue=mlq):
        made.append(queue.make_worker(ThreadPool(slots)))
        made[-1].start()
        return made[-1]

    yield start
    for worker in made:
        worker.stop(0)


def test_other_listeners_use_the_other_slots(mlq, work):
    gpu, other = Meter(), Meter()

    @mlq.listener(per_worker=1)
    def limited(number):
        with gpu:
            gpu.go.wait(20)
        return number

    @mlq.listener
    def plain(number):
        with other:
            other.go.wait(20)
        return number

    jobs = [limited.submit(number) for number in range(20)]
    others = [plain.submit(number) for number in range(3)]
    worker = work(4)
    assert gpu.begun.acquire(timeout=20)
    assert all(other.begun.acquire(timeout=5) for _ in range(3))  # beside it
    assert rooms(worker) == {"limited": 0}
    other.go.set()
    assert [job.result(60) for job in others] == [0, 1, 2]
    assert [plain.submit(number).result(60) for number in range(10)] == list(range(10))  # while it is at its limit
    gpu.go.set()
    assert [job.result(60) for job in jobs] == list(range(20))
    assert (gpu.most, gpu.calls) == (1, 20)
    until(lambda: rooms(worker) == {"limited": 1})


def test_a_batch_counts_once(mlq, work):
    meter = Meter()

    @mlq.listener(batch=8, per_worker=1)
    def limited(numbers):
        with meter:
            meter.go.wait(0.01)
        return numbers

    jobs = [limited.submit(number) for number in range(50)]
    work(4)
    assert [job.result(60) for job in jobs] == list(range(50))
    assert (meter.most, meter.calls) == (1, 7)


def test_two_workers_run_one_each(mlq, work, namespace, server_url):
    meter = Meter()

    def limited(number):
        with meter:
            meter.go.wait(20)
        return number

    with MLQ(namespace, url=server_url) as second:
        for queue in (mlq, second):
            queue.listener(per_worker=1)(limited)
            work(4, queue)
        jobs = [mlq.submit(number, functions=["limited"]) for number in range(10)]
        assert all(meter.begun.acquire(timeout=5) for _ in range(2))
        meter.go.set()
        assert [job.result(60) for job in jobs] == list(range(10))
        assert meter.most == 2


def test_a_worker_at_its_limit_takes_no_wake_up(mlq, work, namespace, server_url, monkeypatch):
    """The other one is woken by each post, however long it would sleep otherwise."""
    meter, inside = Meter(), threading.Event()

    def limited(message):
        with meter:
            if message == "wait":
                inside.set()
                meter.go.wait(20)
        return message

    monkeypatch.setattr("mlq.worker.reaping.Reaping._wake_if_missed", lambda _self, **_: None)
    with MLQ(namespace, url=server_url) as second:
        for queue in (mlq, second):
            queue.listener(per_worker=1)(limited)
            queue.listener(name="plain")(lambda message: message)
        busy = work(4)
        blocker = mlq.submit("wait", functions=["limited"])
        assert inside.wait(20)
        until(lambda: busy._shared.asleep_as == busy._shared.names(), 5)
        assert rooms(busy) == {"limited": 0}
        idle = work(4, second)
        for number in range(30):
            assert mlq.submit(number, functions=["limited"]).result(60) == number
        assert idle._shared.claimed == 30
        assert [mlq.submit(number, functions=["plain"]).result(60) for number in range(30)] == list(range(30))
        meter.go.set()
        blocker.result(60)


def test_queues_without_functions_and_jobs_of_several_listeners(mlq, work):
    """A job counts for each limited listener of its lane."""
    meters = {"one": Meter(), "two": Meter()}

    def made(name):
        def run(message):
            with meters[name]:
                meters[name].go.wait(0.002)
            return message

        return run

    mlq.listener(name="one", queue="q", per_worker=1)(made("one"))
    mlq.listener(name="two", per_worker=2)(made("two"))
    jobs = []
    for number in range(20):
        jobs.append(mlq.submit(number, queue="q"))
        jobs.append(mlq.submit(number, functions=["one", "two"]))
        jobs.append(mlq.submit(number, functions=["two"]))
        jobs.append(mlq.submit(number))
    work(8)
    for job in jobs:
        job.result(60)
    assert meters["one"].most == 1
    assert meters["two"].most == 2
    assert (meters["one"].calls, meters["two"].calls) == (40, 60)


def test_large_messages(mlq, work):
    """Their lanes are known only when they have been fetched."""
    meter = Meter()

    @mlq.listener(per_worker=1)
    def limited(message):
        with meter:
            meter.go.wait(0.002)
        return len(message)

    @mlq.listener
    def plain(message):
        return len(message)

    jobs = [one.submit(b"x" * 200_000) for _ in range(15) for one in (limited, plain)]
    worker = work(4)
    assert [job.result(60) for job in jobs] == [200_000] * 30
    assert meter.most == 1
    until(lambda: rooms(worker) == {"limited": 1})


def test_many_short_jobs(mlq, work):
    meter = Meter()

    @mlq.listener(per_worker=2)
    def limited(number):
        with meter:
            return number

    @mlq.listener
    def plain(number):
        return number

    jobs = [(limited if number % 2 else plain).submit(number) for number in range(1000)]
    worker = work(8)
    assert [job.result(60) for job in jobs] == list(range(1000))
    assert meter.most <= 2
    until(lambda: rooms(worker) == {"limited": 2})


def test_another_limit(mlq, work):
    meter = Meter()

    def limited(number):
        with meter:
            meter.go.wait(20)
        return number

    mlq.listener(per_worker=1)(limited)
    worker = work(4)
    jobs = [mlq.submit(number, functions=["limited"]) for number in range(12)]
    assert meter.begun.acquire(timeout=20)
    mlq.listener(per_worker=3)(limited)
    assert all(meter.begun.acquire(timeout=5) for _ in range(2))
    assert rooms(worker) == {"limited": 0}
    mlq.listener()(limited)
    assert meter.begun.acquire(timeout=5)
    meter.go.set()
    assert [job.result(60) for job in jobs] == list(range(12))
    assert meter.most == 4


def test_a_cancelled_job_makes_room(mlq, work):
    meter = Meter()

    @mlq.listener(per_worker=1)
    def limited(number):
        with meter:
            meter.go.wait(20)
        return number

    worker = work(4)
    first, second = limited.submit(1), limited.submit(2)
    assert meter.begun.acquire(timeout=20)
    first.cancel()
    assert meter.begun.acquire(timeout=5)
    meter.go.set()
    assert second.result(60) == 2
    until(lambda: rooms(worker) == {"limited": 1})


def test_a_job_that_waits_for_another_one_counts(mlq, work):
    inner = Meter()

    @mlq.listener
    def plain(number):
        with inner:
            inner.go.wait(20)
        return number

    meter = Meter()

    @mlq.listener(per_worker=1)
    def limited(number):
        with meter:
            return plain.submit(number).result(60)

    worker = work(4)
    jobs = [limited.submit(number) for number in range(3)]
    assert inner.begun.acquire(timeout=5)
    assert rooms(worker) == {"limited": 0}
    inner.go.set()
    assert [job.result(60) for job in jobs] == [0, 1, 2]
    assert meter.most == 1
    until(lambda: rooms(worker) == {"limited": 1})


def test_a_failure_and_a_retry(mlq, work):
    tries = Counter()

    @mlq.listener(per_worker=1, retries=1, backoff=0)
    def limited(number):
        tries[number] += 1
        if tries[number] == 1:
            raise ValueError(number)
        return number

    jobs = [limited.submit(number) for number in range(5)]
    worker = work(3)
    assert [job.result(60) for job in jobs] == list(range(5))
    until(lambda: rooms(worker) == {"limited": 1})


@pytest.mark.parametrize("value", [0, -1, 1.5, True, "2"])
def test_what_is_no_limit(mlq, value):
    with pytest.raises(InputError, match="per_worker must be a whole number of at least 1"):
        mlq.listener(per_worker=value)
    with pytest.raises(InputError, match="per_worker must be"):
        mlq.create_listener(lambda message: message, per_worker=value)
    with pytest.raises(InputError, match="per_worker must be"):
        Listener.of(lambda message: message, "f", per_worker=value)
