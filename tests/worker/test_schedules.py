"""Schedules and workers: each tick once, in time, whoever dies; deploys change nothing; trouble of the server."""

import subprocess
import sys
import threading
import time
from contextlib import ExitStack
from pathlib import Path

import pytest

from mlq import MLQ, State, server
from mlq.core import codec
from mlq.core.schedule import BY_PERSON, schedule_of
from mlq.ops import schedules as schedule_ops
from mlq.running.listeners import Listeners
from mlq.shell.sync import Shell
from mlq.shell.target import Target
from mlq.worker.schedules import Schedules
from mlq.worker.shared import Settings, Shared
from tests.programs import environment, until

pytestmark = pytest.mark.slow

PROGRAM = Path(__file__).with_name("ticking.py")


def ticks(mlq) -> list[float]:
    """The ticks that jobs were posted for, in the order of the jobs."""
    return [mlq.get_job(job.id)["tick"] for job in mlq.jobs()][::-1]


def is_late(mlq, name, seconds) -> None:
    """Let a schedule have been due so long ago."""
    keys = mlq._keys
    mlq._redis.zadd(keys.schedule_due, {name: time.time() - seconds})


def test_each_tick_once_whatever_the_number_of_workers(server_url, namespace):
    """And in time. They all declare it."""
    runs, queues = [], [MLQ(namespace, url=server_url) for _ in range(4)]

    def work(_msg, context):
        runs.append(context.tick)

    with ExitStack() as stack:
        for queue in queues:
            stack.callback(queue.close)
            stack.callback(queue.shutdown, 0)
            queue.schedule(every=1)(queue.listener(name="work")(work))
            queue.create_listener()
        until(lambda: len(runs) >= 4)
        queues[0].schedules.pause("work")
        posted = [queues[0].get_job(job.id) for job in queues[0].jobs()]
    found = sorted(job["tick"] for job in posted)
    first = found[0]
    assert found == pytest.approx([first + i for i in range(len(found))], abs=1e-4)
    assert {job["schedule"] for job in posted} == {"work"}
    assert all(0 <= job["posted"] - job["tick"] < 30 for job in posted)


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_worker_that_dies_as_it_fires(server_url, mlq, when):
    """Another one goes on: no tick is lost, and none is fired twice."""
    env = environment(server_url)
    command = [sys.executable, str(PROGRAM), server_url, mlq.namespace]
    with subprocess.Popen([*command, when], env=env) as dying:
        assert dying.wait(60) == -9
    with subprocess.Popen([*command, "never"], env=env) as living:
        try:
            until(lambda: len(ticks(mlq)) >= 4)
        finally:
            living.kill()
    found = ticks(mlq)
    assert found == pytest.approx([found[0] + i for i in range(len(found))], abs=1e-4)
    assert mlq.schedules.get("ticking").missed_ticks == 0


def test_two_hundred_workers_at_one_tick(server_url, namespace, mlq):
    """One of them posts the job; the others learn that it is done."""
    target, keys = Target(server_url, "arguments"), mlq._keys
    mlq.schedules.add("s", every=3600, functions=["nobody"])
    is_late(mlq, "s", 0.1)
    told, died = [], threading.Event()
    shared = [Shared(keys, Shell(target, most=1), Listeners(), Settings()) for _ in range(200)]
    duties = [Schedules(one, told.append, died.set) for one in shared]
    try:
        for duty in duties:
            duty.due()
        until(lambda: mlq.schedules.get("s").posted)
        until(lambda: not any(duty._due.is_set() for duty in duties))
    finally:
        for duty, one in zip(duties, shared, strict=True):
            duty.stop(60)
            one.shell.close()
    assert (len(ticks(mlq)), mlq.schedules.get("s").posted, died.is_set()) == (1, 1, False)
    assert all(seconds == pytest.approx(3600, abs=60) for seconds in told if seconds)


@pytest.mark.parametrize(("missed", "jobs", "count"), [("once", 1, 3), ("skip", 0, 4), ("all", 4, 0)])
def test_ticks_when_no_worker_was_there(mlq, missed, jobs, count):
    mlq.schedules.add("s", every=1000, missed=missed, overlap="queue")
    is_late(mlq, "s", 3500)
    mlq.create_listener(lambda message: message)
    until(lambda: (mlq.schedules.get("s").next or 0) > time.time())
    now = mlq.schedules.get("s")
    assert (now.posted, now.missed_ticks, len(ticks(mlq))) == (jobs, count, jobs)
    assert now.next - time.time() == pytest.approx(500, abs=60)


def deployed(mlq, server_url, every):
    """What is known of the schedule once a worker with that interval has started and declared it."""
    before = {one.declared for one in mlq.schedules.all()}
    with MLQ(mlq.namespace, url=server_url) as queue:
        queue.schedule(every=every)(queue.listener(name="work")(lambda message: message))
        queue.create_listener()
        until(lambda: {one.declared for one in mlq.schedules.all()} - before)
        queue.shutdown(0)
    return mlq.schedules.get("work")


def test_a_deploy_changes_nothing(mlq, server_url):
    """The same declaration by a new worker: due when it was. Another one takes over, and a pause stays."""
    first, second = (deployed(mlq, server_url, 500) for _ in range(2))
    assert (second.next, second.declared > first.declared, second.owner) == (first.next, True, "code")
    mlq.schedules.pause("work")
    third = deployed(mlq, server_url, 600)
    assert (third.every, third.next) == (600, None)
    mlq.schedules.resume("work")
    assert mlq.schedules.get("work").next - time.time() == pytest.approx(600, abs=60)


def test_a_schedule_that_is_added_while_workers_run(mlq):
    """By a person: workers learn of it in time. By the program: the worker declares it."""
    mlq.create_listener(lambda message: message, concurrency=1)
    mlq.schedules.add("by person", every=1)
    until(lambda: mlq.schedules.get("by person").posted)
    mlq.schedule(every=1, name="by code")(mlq.listener(name="work")(lambda message: message))
    until(lambda: "by code" in [one.name for one in mlq.schedules.all()])
    until(lambda: mlq.schedules.get("by code").posted)
    assert {one.owner for one in mlq.schedules.all()} == {"code", "run time"}


def test_removed_while_its_job_runs(mlq, gate):
    """The job goes on to its end."""
    begun = threading.Event()

    def work(_message):
        begun.set()
        gate.wait(60)
        return "done"

    mlq.create_listener(work)
    mlq.schedules.add("s", every=3600)
    job = mlq.schedules.run("s")
    assert begun.wait(60)
    mlq.schedules.remove("s")
    gate.set()
    assert job.result(60) == "done"
    assert mlq.schedules.all() == []


def test_no_second_job_while_the_first_one_runs(mlq, gate):
    """And one as soon as it has ended."""
    begun = []

    def work(_message, context):
        begun.append(context.tick)
        gate.wait(60)

    mlq.create_listener(work)
    mlq.schedules.add("s", every=1)
    until(lambda: mlq.schedules.get("s").skipped_ticks >= 2)
    assert (len(begun), mlq.schedules.get("s").posted) == (1, 1)
    gate.set()
    until(lambda: len(begun) >= 2)


def test_the_clock_is_set_back(mlq):
    """Its next tick is found again."""
    mlq.schedules.add("s", every=500)
    mlq._redis.zadd(mlq._keys.schedule_due, {"s": time.time() + 1e6})
    mlq._redis.hset(mlq._keys.reaping, mapping={"at": time.time() + 1e6, "hold": 0})
    mlq.create_listener(lambda message: message)
    until(lambda: 0 < (mlq.schedules.get("s").next or 0) - time.time() <= 500)
    assert ticks(mlq) == []


def test_the_server_is_full_at_a_tick():
    """The job is posted when there is room again; the tick was not missed."""
    with server.scratch(appendfsync=None, port=0) as small, MLQ("full", url=small.url) as queue, ExitStack() as stack:
        runs = []
        stack.callback(queue.shutdown, 0)
        queue.create_listener(runs.append)
        queue.schedules.add("s", every=500, msg="m")
        pipe = queue._redis.pipeline()
        pipe.zadd(queue._keys.schedule_due, {"s": time.time()})
        pipe.execute_command("CONFIG", "SET", "maxmemory", 1)
        pipe.execute()
        until(lambda: queue._worker._renewer._trouble._since)
        assert (queue.schedules.get("s").posted, runs) == (0, [])
        queue._redis.config_set("maxmemory", 0)
        until(lambda: runs == ["m"])
        assert (queue.schedules.get("s").posted, queue.schedules.get("s").missed_ticks) == (1, 0)


def test_a_damaged_schedule_stops_no_other(mlq):
    """It is looked at again in an hour."""
    for name in ("damaged", "fine"):
        mlq.schedules.add(name, every=500)
        is_late(mlq, name, 1)
    mlq._redis.hset(mlq._keys.schedules, "damaged", b"\xc1")
    mlq.create_listener(lambda message: message)
    until(lambda: mlq.schedules.get("fine").posted)
    until(lambda: mlq._redis.zscore(mlq._keys.schedule_due, "damaged") > time.time() + 3000)
    assert [one.name for one in mlq.schedules.all()] == ["fine"]
    mlq.schedules.remove("damaged")


def test_a_declaration_that_is_refused_stops_no_worker(mlq, monkeypatch):
    """It is told in the log; the other schedules are declared."""
    full = schedule_of("full", None, 5, None, None, None, None, None, None, {})
    original = schedule_ops.declare

    def declare(keys, schedule, due, owner):
        if schedule.name == "full":
            monkeypatch.setattr(schedule_ops, "MOST", 0)
        op = original(keys, schedule, due, owner)
        monkeypatch.setattr(schedule_ops, "MOST", 10)
        return op

    monkeypatch.setattr(schedule_ops, "declare", declare)
    mlq.listeners.schedule(full)
    mlq.listeners.schedule(full._replace(name="fine"))
    mlq.create_listener(lambda message: message)
    until(lambda: [one.name for one in mlq.schedules.all()] == ["fine"])
    assert mlq.submit(1).result(60) == 1


def test_the_jobs_are_as_all_others(mlq):
    """With priority, retries and all; who looks at one sees its schedule."""
    mlq.schedules.add("s", every=3600, functions=["work"], priority=5, retries=2, ttl=60, msg={"a": 1})
    job = mlq.schedules.run("s")
    mlq.create_listener(lambda message: message)
    told = mlq.get_job(job.id)
    assert (told["priority"], told["schedule"], told["functions"], told["state"]) == (5, "s", ["work"], State.QUEUED)
    assert told["tick"] == pytest.approx(told["posted"], abs=5)
    assert mlq.get_job(mlq.post(1))["tick"] is None


def test_declared_by_a_person_alone(mlq):
    """The worker has no schedules of its own, and fires those of others."""
    made = schedule_of("s", None, 1, None, None, None, None, None, None, {})
    mlq._shell.run(schedule_ops.declare(mlq._keys, made, time.time() - 5, BY_PERSON))
    mlq.create_listener(lambda message: message)
    until(lambda: mlq.schedules.get("s").posted)


def test_a_zone_that_this_worker_does_not_know(mlq):
    """It leaves the schedule to others, as it is."""
    for name in ("elsewhere", "fine"):
        mlq.schedules.add(name, every=500)
        is_late(mlq, name, 1)
    due = mlq._redis.zscore(mlq._keys.schedule_due, "elsewhere")
    mlq._redis.hset(mlq._keys.schedules, "elsewhere", codec.pack(["* * * * *", "Mars/Base", 0.0, "once", "skip"]))
    mlq.create_listener(lambda message: message)
    until(lambda: mlq.schedules.get("fine").posted)
    assert mlq._redis.zscore(mlq._keys.schedule_due, "elsewhere") == due


def test_clear_removes_schedules(mlq):
    mlq.schedules.add("s", every=500)
    mlq.clear()
    assert (mlq.schedules.all(), mlq._redis.exists(mlq._keys.schedule_due)) == ([], 0)
