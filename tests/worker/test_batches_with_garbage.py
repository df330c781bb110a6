"""Garbage where jobs of a batch should be: it concerns those jobs alone."""

import threading

import pytest

from mlq import JobFailed
from mlq.pools.thread import ThreadPool
from mlq.worker import fetches, supervisor
from tests.programs import until


@pytest.mark.parametrize("count", [1, 3])
def test_a_batch_of_which_no_record_can_be_read(mlq, raw, keys, count):
    broken = [mlq.submit(number, functions=["double"]) for number in range(count)]
    for job in broken:
        lane, posted, _ = raw.get(keys.post + job.id).split(b"\n", 2)
        raw.set(keys.post + job.id, b"\n".join((lane, posted, b"no number", b"\xc1")))

    @mlq.listener(batch=8)
    def double(numbers):
        return [2 * number for number in numbers]

    mlq.create_listener()
    for job in broken:
        with pytest.raises(JobFailed, match="not a job's record"):
            job.result(60)
    assert [double.submit(number).result(60) for number in (1, 2)] == [2, 4]


def test_a_batch_whose_records_are_gone_takes_no_slot(mlq, raw, keys):
    """It had a number, so a slot was taken for it that nobody gave back."""
    gone, left = ([mlq.submit(number, functions=["echo"]) for number in range(2)] for _ in range(2))
    raw.delete(*(keys.post + job.id for job in gone))
    inside, go = threading.Semaphore(0), threading.Event()

    @mlq.listener(batch=2)
    def echo(messages):
        if "wait" in messages:
            inside.release()
            go.wait(20)
        return messages

    worker = mlq.make_worker(ThreadPool(2))
    worker.start()
    try:
        assert [job.result(60) for job in left] == [0, 1]
        waiting = [echo.submit("wait") for _ in range(4)]  # two batches, side by side
        assert [inside.acquire(timeout=20) for _ in range(2)] == [True, True]
        go.set()
        assert [job.result(60) for job in waiting] == ["wait"] * 4
    finally:
        worker.stop(0)


def test_a_batch_whose_listener_takes_single_messages_now_is_handed_back(mlq, monkeypatch):
    """A list of the right length would have been a wrong result without an error."""
    read, again = supervisor.Supervisor._read, []

    def redeclared(self, attempt):
        if not again:
            again.append(attempt)
            # In a thread of its own, since it also waits until the claim under way is over.
            threading.Thread(target=lambda: mlq.listener(lambda message: [message], name="f")).start()
            until(lambda: not mlq.listeners.all()[0].batch)
        return read(self, attempt)

    monkeypatch.setattr(supervisor.Supervisor, "_read", redeclared)
    jobs = [mlq.submit(number, functions=["f"]) for number in range(2)]
    mlq.listener(lambda messages: messages, name="f", batch=8)
    mlq.create_listener()
    assert [job.result(60) for job in jobs] == [[0], [1]]


def test_large_messages_of_a_batch_are_fetched_a_few_at_a_time(mlq, monkeypatch):
    jobs = mlq.post_many([b"x" * 70_000] * 60, functions=["lengths"])
    seen = []
    fetch = fetches.Fetches._fetch

    def counted(self, *args):
        seen.append(sum(thread.name == "mlq-fetch" for thread in threading.enumerate()))
        fetch(self, *args)

    monkeypatch.setattr(fetches.Fetches, "_fetch", counted)

    @mlq.listener(batch=60)
    def lengths(messages):
        return [len(message) for message in messages]

    mlq.create_listener()
    assert mlq.wait_many(jobs, 30) == [70_000] * 60
    assert max(seen) <= fetches.AT_A_TIME
