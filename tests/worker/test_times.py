"""Workers and times: jobs begin when they are due although nobody tells, and none begins that has expired."""

import struct
import threading
import time

import pytest

from mlq import MLQ, JobCancelled, State
from tests.programs import until

pytestmark = pytest.mark.slow


def run_out(raw, keys, job_id):
    """Let the time be over by which a job must have begun, of which nobody has taken note."""
    name = keys.post + job_id
    before, option, rest = raw.get(name).partition(b"\xa7expires\xcb")
    raw.set(name, before + option + struct.pack(">d", 1e-6) + rest[8:])


def test_a_job_begins_at_its_time(mlq):
    """Neither before, nor only when something else happens; the later one was posted first."""
    runs = []
    mlq.create_listener(runs.append)
    assert mlq.submit("plain").result(60) is None
    later, sooner = mlq.submit("later", delay=1.0), mlq.submit("sooner", at=time.time() + 0.3)
    assert (later.state(), mlq.get_job(later.id)["attempts"]) == (State.SCHEDULED, [])
    later.result(60)
    assert runs == ["plain", "sooner", "later"]
    for job, delay in ((later, 1.0), (sooner, 0.0)):
        told = mlq.get_job(job.id)
        assert told["started"] >= told["posted"] + delay
    assert sooner.ready()


def test_those_who_wait_learn_of_an_expiry(mlq, server_url):
    """By a worker that can't run the job, and soon: its own looks are further apart."""
    mlq.create_listener(lambda message: message)
    with MLQ(mlq.namespace, url=server_url) as client:
        job = client.submit(1, functions=["nobody"], expires=0.3)
        with pytest.raises(JobCancelled, match=f"job {job.id} expired before a worker began it"):
            job.result(60)
    assert mlq.dead_letters() == []
    assert next(iter(mlq.jobs())).reason == "expired"


@pytest.mark.parametrize("size", [1, 100_000])
@pytest.mark.parametrize("batch", [None, 4])
def test_what_expired_while_no_worker_was_there(mlq, raw, keys, size, batch):
    """The worker that claims it cancels it instead, and its slot is free for others; also if the record is large."""
    runs = []

    @mlq.listener(name="work", batch=batch)
    def work(messages, *_):
        runs.extend(messages if batch else [messages])
        return messages

    late = [work.submit(["late", "x" * size], expires=60) for _ in range(3)]
    good = [work.submit(["good", "x" * size], expires=600) for _ in range(3)]
    for job in late:
        run_out(raw, keys, job.id)
    mlq.create_listener()
    for job in good:
        job.result(60)
    for job in late:
        with pytest.raises(JobCancelled, match="expired"):
            job.result(60)
    assert [message[0] for message in runs] == ["good"] * 3
    assert work.submit(["more", ""]).result(60)
    assert {mlq.get_job(job.id)["reason"] for job in late} == {"expired"}
    assert [len(mlq.get_job(job.id)["attempts"]) for job in late] == [0, 0, 0]


def test_a_person_requeues_what_expired(mlq, raw, keys):
    """It runs, however late."""
    job = mlq.submit(1, expires=60)
    run_out(raw, keys, job.id)
    mlq.cancel(job.id)
    mlq.requeue(job.id)
    mlq.create_listener(lambda message: message + 1)
    assert job.result(60) == 2


def test_a_job_that_takes_longer_than_it_may_wait(mlq, gate):
    """It has begun in time, and goes on."""
    begun = threading.Event()

    def work(_message):
        begun.set()
        gate.wait(60)
        return "done"

    mlq.create_listener(work)
    job, behind = mlq.submit(1, expires=1), mlq.submit(2, expires=1)
    assert begun.wait(60)
    with pytest.raises(JobCancelled):
        behind.result(60)
    gate.set()
    assert job.result(60) == "done"


def test_the_worker_runs_in_the_order_of_priorities(mlq, gate):
    runs = []

    def work(message):
        runs.append(message)
        gate.wait(60)

    mlq.create_listener(work)
    first = mlq.submit("first")
    until(lambda: runs)
    jobs = [mlq.submit(priority, priority=priority) for priority in (0, 5, -5, 100, 5)]
    assert [mlq.position(job.id) for job in jobs] == [3, 1, 4, 0, 2]
    gate.set()
    for job in (first, *jobs):
        job.result(60)
    assert runs == ["first", 100, 5, 5, 0, -5]
