"""Random sequences of posts with keys, and of all that becomes of their jobs, against a small model.

The model follows what jobs do; that there is never a second job of a key, and that none is lost, is checked by it.
"""

import os
from dataclasses import dataclass

import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import invariant, precondition, rule, run_state_machine_as_test

from mlq.core import codec
from mlq.core.job import Record
from mlq.core.job_options import JobOptions
from mlq.core.states import Event, State, after
from mlq.ops import jobs as job_ops
from mlq.ops import posting as post_ops
from mlq.ops import work as work_ops
from mlq.ops.work import WorkerClass
from tests.scripts.namespaced import NamespaceMachine

pytestmark = pytest.mark.slow

EXAMPLES = int(os.environ.get("MLQ_EXAMPLES", "100"))
KEYS, PICK = ("k", "l"), st.integers(0, 10_000)
ACTIVE = (State.QUEUED, State.SCHEDULED, State.RUNNING)
SERVED = WorkerClass.of(["default"], [], [])


@dataclass
class Job:
    """What the model knows of a job."""

    id: str
    key: str
    unique: object
    message: object
    state: State
    token: str | None = None
    is_over: bool = False  # the time for which it holds its key

    def waits(self) -> bool:
        return self.state in (State.QUEUED, State.SCHEDULED)

    def holds(self) -> bool:
        """Whether it holds its key, if no other has taken that."""
        if self.unique == 600:
            return not self.is_over
        return self.waits() if self.unique == "waiting" else self.state in ACTIVE


class Machine(NamespaceMachine):
    """One namespace and its model."""

    def __init__(self, world_type, url):
        super().__init__(url)
        self.world = world_type(self.keys, self.raw, self.shell.run)
        self.forget()

    def forget(self):
        self.jobs: dict[str, Job] = {}
        self.took: dict[str, Job] = {}  # by key: the job that took it last
        self.last, self.attempts = 0, []

    def some(self, pick, *states):
        found = [job for job in self.jobs.values() if job.state in states]
        return found[pick % len(found)] if found else None

    def event(self, job, event):
        job.state = after(job.state, event)
        if job.state not in ACTIVE and self.took.get(job.key) is job and job.unique != 600:
            del self.took[job.key]

    # --- posts

    @rule(key=st.sampled_from(KEYS), unique=st.sampled_from([None, "waiting", 600]), replace=st.booleans(),
          delay=st.sampled_from([None, 600.0]), twice=st.booleans(), idempotent=st.booleans())  # fmt: skip
    def post(self, key, unique, replace, delay, twice, idempotent):
        number = next(self.numbers)
        given = {"key": key, "delay": delay} | ({"replace": True} if replace else {"unique": unique})
        options = JobOptions.of(given)
        how = {"when": options.when, "keyed": options.keyed}
        if idempotent:
            op = post_ops.post_once(self.keys, f"i{number}", "default", options.body(number), **how)
        else:
            op = job_ops.post(self.keys, "poster", number, "default", [options.body(number)], **how)
        posted = self.run(op)
        if twice:
            assert self.run(op) == posted
        there, began = self.took.get(key), State.SCHEDULED if delay else State.QUEUED
        if there is not None and replace and there.waits():
            assert (str(posted.first), posted.new) == (there.id, False)
            there.message, there.unique, there.state, there.is_over = number, None, began, False
        elif there is not None and not replace and there.holds():
            assert (str(posted.first), posted.new) == (there.id, False)
        else:
            assert (posted.first, posted.new) == (self.last + 1, True)
            self.last += 1
            job = Job(str(posted.first), key, None if replace else unique, number, began)
            self.jobs[job.id] = self.took[key] = job

    # --- what becomes of jobs

    @rule(count=st.integers(1, 3))
    def claim(self, count):
        while not self.run(work_ops.register(self.keys, SERVED, 60)):
            pass
        claimed = self.run(work_ops.claim(self.keys, "w", next(self.numbers), SERVED.name, 60, count))
        waiting = sorted(int(job.id) for job in self.jobs.values() if job.state is State.QUEUED)
        assert [int(one.id) for one in claimed] == waiting[:count]
        for one in claimed:
            job = self.jobs[one.id]
            self.event(job, Event.CLAIM)
            job.token = one.token
            assert codec.unpack(Record.parse(one.record).message) == job.message
        self.attempts += claimed

    @precondition(lambda self: self.attempts)
    @rule(pick=PICK, event=st.sampled_from([Event.SUCCEED, Event.FAIL, Event.RETRY]))
    def settle(self, pick, event):
        one = self.attempts[pick % len(self.attempts)]
        job = self.jobs.get(one.id)
        holds = job is not None and job.state is State.RUNNING and job.token == one.token
        state = State.SUCCEEDED if event is Event.SUCCEED else State.FAILED
        self.world.settle(one, state, None, **({"retry_in": 600.0} if event is Event.RETRY else {}))
        if holds:
            self.event(job, event)

    @rule(pick=PICK)
    def lose(self, pick):
        job = self.some(pick, State.RUNNING)
        if job is not None:
            self.world.watched()
            self.raw.zadd(self.keys.leases, {f"{job.id}:{job.token}": 1}, xx=True)
            self.world.reap(losses=1000)
            job.state = State(self.raw.hget(self.keys.job + job.id, "state").decode())
            assert job.waits()

    @rule()
    def come_due(self):
        self.world.come_due()
        self.world.reap()
        for job in self.jobs.values():
            job.state = State.QUEUED if job.state is State.SCHEDULED else job.state

    @rule(pick=PICK)
    def cancel(self, pick):
        job = self.some(pick, *ACTIVE)
        if job is not None:
            self.run(job_ops.cancel(self.keys, job.id))
            self.event(job, Event.CANCEL)

    @rule(pick=PICK)
    def expire(self, pick):
        job = self.some(pick, State.QUEUED, State.SCHEDULED)
        if job is not None and not int(self.raw.hget(self.keys.job + job.id, "attempts") or 0):
            self.raw.zadd(self.keys.expiring, {job.id: 1})
            self.world.reap()
            self.event(job, Event.EXPIRE)

    @rule(pick=PICK)
    def requeue(self, pick):
        job = self.some(pick, State.FAILED, State.CANCELLED)
        if job is not None:
            self.run(job_ops.requeue(self.keys, job.id))
            job.state = State.QUEUED
            if job.unique != 600:
                self.took.setdefault(job.key, job)

    @rule(pick=PICK)
    def delete(self, pick):
        job = self.some(pick, *(state for state in State if state not in (State.RUNNING, State.GONE)))
        if job is not None:
            self.run(job_ops.delete(self.keys, job.id))
            del self.jobs[job.id]
            if self.took.get(job.key) is job:
                del self.took[job.key]

    @rule(key=st.sampled_from(KEYS))
    def time_is_over(self, key):
        """For which a job holds its key."""
        name = f"{self.keys.unique}\n{key}"
        if self.raw.ttl(name) > 0:
            self.raw.delete(name)
            self.took.pop(key, None)

    @rule(key=st.sampled_from(KEYS))
    def lose_entry(self, key):
        """Somebody removes the entry: the key is free."""
        self.raw.delete(f"{self.keys.unique}\n{key}")
        self.took.pop(key, None)

    @rule()
    def lose_all(self):
        """The server loses its data."""
        names = list(self.raw.scan_iter(f"{{{self.keys.namespace}}}*".replace("-", "\\-"), count=10_000))
        if names:
            self.raw.delete(*names)
        self.forget()

    # --- what always holds

    @invariant()
    def jobs_are_as_the_model_says(self):
        for job in self.jobs.values():
            state, _ = self.run(job_ops.glance(self.keys, job.id))
            assert state is job.state
            record = Record.parse(self.raw.get(self.keys.post + job.id))
            assert (codec.unpack(record.message), record.options.key) == (job.message, job.key)

    @invariant()
    def no_entry_is_left_over(self):
        """That does not expire: only those of jobs that have not ended."""
        names = self.raw.keys(f"{self.keys.unique}*".replace("-", "\\-"))
        found = {name.decode().rpartition("\n")[2] for name in names if self.raw.ttl(name) == -1}
        assert found <= self.took.keys()


@pytest.mark.timeout(600)
def test_random_sequences(world_type, server_url):
    """No sequence of ops posts a second job of a key, loses a message, or leaves an entry behind."""
    run_state_machine_as_test(
        lambda: Machine(world_type, server_url),
        settings=settings(
            max_examples=EXAMPLES, stateful_step_count=40, deadline=None, database=None,
            suppress_health_check=list(HealthCheck),
        ),
    )  # fmt: skip
