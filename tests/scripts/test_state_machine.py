"""Random sequences of ops against a small model, with the whole state compared after every step.

Time passes by moving all that Redis keeps of it into the past. It moves in thousands of seconds, and limits lie between
the thousands, so that the real seconds of the test never decide. `MLQ_EXAMPLES` says how many sequences are tried.
"""

import contextlib
import math
import os
from collections import Counter
from dataclasses import dataclass, field

import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import invariant, precondition, rule, run_state_machine_as_test

from mlq.core import codec
from mlq.core.job import Outcome, Record, announced
from mlq.core.job_options import JobOptions, pack_body
from mlq.core.states import FINISHED, Event, State, after
from mlq.errors import LeaseLost, UnknownJob, WrongState
from mlq.ops import following as follow_ops
from mlq.ops import jobs as job_ops
from mlq.ops import settling as settle_ops
from mlq.ops import work as work_ops
from mlq.ops.settling import Ending
from mlq.ops.work import WorkerClass
from mlq.running.outcomes import death
from tests.scripts.namespaced import NamespaceMachine

pytestmark = pytest.mark.slow

EXAMPLES = int(os.environ.get("MLQ_EXAMPLES", "100"))
STEPS = 40
LANES = ("default", "default:f")
CLASSES = {  # what workers serve
    WorkerClass.of(["default"], ["default"], ["f"]): LANES,
    WorkerClass.of(["default"], [], []): LANES[:1],
    WorkerClass.of([], ["default"], ["f", "g"]): LANES[1:],
}
LEASE, PAUSE, GRACE, LIMIT = 5500.0, 2500.0, 1500.0, 3500.0
LOSSES, RETRIES = 2, 2
PAUSES = (500.0, 2500.0)  # before retries, and of jobs that are not to begin at once
EXPIRIES = (3500.0, 6500.0)
APART, HOUR = 1e11, 3600.0  # where those wait that are to run apart, and how long
FREE, SHARED = 2, 20  # losses with others after which a job runs apart, and after which each is its own
PICK = st.integers(0, 10_000)


@dataclass
class Job:
    """What the model knows of a job."""

    id: int
    lane: str
    calls_back: bool
    state: State = State.QUEUED
    began: bool = False  # there is a current attempt, or one that was the last
    attempts: int = 0
    losses: int = 0
    shared: int = 0  # losses with others
    worker: str = ""
    overruns: int = 0
    errors: int = 0  # that were followed by a retry
    token: str | None = None  # of the attempt that holds it, or that settled it
    settled: str | None = None  # token of the last attempt that ended, but not the job
    due: float = 0.0  # its time, or that of its retry
    priority: int = 0
    last: float | None = None  # when it expires unless it has begun
    lasts: bool = False  # a person has requeued it
    runs: set[int] = field(default_factory=set)  # past attempts that are remembered
    said: list[tuple[int, int]] = field(default_factory=list)  # entries of its stream
    deadline: float = 0.0
    started: float = 0.0
    callback: bool = False  # waits in the outbox
    outcomes: list[State] = field(default_factory=list)  # of one run between requeues

    def happen(self, event: Event) -> None:
        """Move as the table says; a finished job that moves on its own would be an outcome too many."""
        new = after(self.state, event)
        assert new is not None, f"the model allows {event} in {self.state}"
        self.state = new
        if new in FINISHED:
            self.outcomes.append(new)
            self.callback = self.calls_back
            assert len(self.outcomes) == 1
        elif new in (State.QUEUED, State.SCHEDULED):
            self.outcomes.clear()
            self.token, self.callback = None, False
        if new is State.CANCELLED:
            self.token = None

    @property
    def turn(self) -> tuple[int, int]:
        """Its place in its lane, which does not change."""
        return -self.priority, self.id

    def remember(self) -> None:
        """A run ends, and the job goes on."""
        self.runs = {run for run in self.runs | {self.attempts} if run > self.attempts - 20}


class Machine(NamespaceMachine):
    """One namespace and its model."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.jobs: dict[int, Job] = {}
        self.attempts = []  # every attempt ever made; most are stale
        self.last_claim = None
        self.now = 0.0
        self.looked: float | None = None
        self.hold = 0.0
        self.registered: set[WorkerClass] = set()
        self.last_id = 0  # the last id given out
        self.told_to_stop: set[str] = set()  # what workers were told
        self.waited: set[int] = set()  # jobs that somebody waits for

    # --- helpers

    def attempt(self, pick):
        return self.attempts[pick % len(self.attempts)]

    def holds(self, one) -> bool:
        """Whether the model says that this attempt's lease stands."""
        job = self.jobs.get(int(one.id))
        return job is not None and job.state is State.RUNNING and job.token == one.token

    def in_state(self, *states):
        return [job for job in self.jobs.values() if job.state in states]

    def changed(self, job_id: int, event: Event, op) -> None:
        """A person's change: accepted exactly where the table has it."""
        job = self.jobs.get(job_id)
        allowed = job is not None and after(job.state, event) is not None
        try:
            self.run(op(self.keys, str(job_id)))
        except UnknownJob:
            assert job is None
        except WrongState:
            assert job is not None
            assert not allowed
        else:
            if (event, job.state) == (Event.CANCEL, State.CANCELLED):
                return  # twice is once
            assert allowed
            if event is Event.REQUEUE and job.began:
                job.remember()
            if event is Event.CANCEL and job.state is State.RUNNING:
                self.told_to_stop.add(f"lost {job.id}:{job.token}")
            job.happen(event)
            job.began = job.began and event is Event.CANCEL

    # --- posting and claiming

    @rule(lane=st.sampled_from(LANES), count=st.integers(1, 3), calls_back=st.booleans(), twice=st.booleans())
    def post(self, lane, count, calls_back, twice):
        body = pack_body(codec.pack("m"), {"callback": "http://localhost/"} if calls_back else {})
        op = job_ops.post(self.keys, "poster", next(self.numbers), lane, [body] * count)
        posted = self.run(op)
        if twice:
            assert self.run(op) == posted
        first = posted.first
        assert first == self.last_id + 1
        for job_id in range(first, first + count):
            self.jobs[job_id] = Job(job_id, lane, calls_back)
        self.last_id = first + count - 1

    @rule(lane=st.sampled_from(LANES), delay=st.sampled_from([None, *PAUSES]),
          expires=st.sampled_from([None, *EXPIRIES]), priority=st.sampled_from([None, 7, -7]))  # fmt: skip
    def post_with_times(self, lane, delay, expires, priority):
        given = {"delay": delay, "expires": expires, "priority": priority}
        options = JobOptions.of({name: value for name, value in given.items() if value is not None})
        op = job_ops.post(self.keys, "poster", next(self.numbers), lane, [options.body("m")], when=options.when)
        job_id = self.run(op).first
        job = self.jobs[job_id] = Job(job_id, lane, calls_back=False, priority=priority or 0)
        job.state = State.SCHEDULED if delay else State.QUEUED
        job.due, job.last = self.now + (delay or 0.0), self.now + expires if expires else None
        self.last_id = job_id

    @rule(served=st.sampled_from(list(CLASSES)), count=st.integers(1, 4), worker=st.sampled_from("ab"))
    def claim(self, served, count, worker):
        op = work_ops.claim(self.keys, worker, next(self.numbers), served.name, LEASE, count)
        claimed = self.run(op)
        if served not in self.registered:
            assert claimed is None
            assert self.run(work_ops.register(self.keys, served, 60))
            self.registered.add(served)
            return
        waiting = sorted(job.turn for job in self.in_state(State.QUEUED) if job.lane in CLASSES[served])
        assert [int(one.id) for one in claimed] == [job_id for _, job_id in waiting[:count]]
        for one in claimed:
            job = self.jobs[int(one.id)]
            job.happen(Event.CLAIM)
            job.attempts += 1
            assert (one.attempt, one.errors) == (job.attempts, job.errors)
            job.began = True
            job.token, job.deadline, job.started = one.token, self.now + LEASE, self.now
            job.worker = worker
        self.attempts += claimed
        if claimed:
            self.last_claim = op

    @precondition(lambda self: self.attempts)
    @rule(pick=PICK)
    def expire(self, pick):
        """A worker finds that it has claimed a job that had expired; a stale one may ask, too."""
        one = self.attempt(pick)
        job = self.jobs.get(int(one.id))
        if job is None or job.last is None or job.last > self.now or one.attempt > 1:
            return
        holds, goes_on = self.holds(one), job.lasts or job.attempts > 1
        assert self.run(work_ops.expire(self.keys, one)) == (not (holds and goes_on))
        if holds and not goes_on:
            job.happen(Event.EXPIRE)
            job.attempts, job.began = 0, False

    @rule(served=st.sampled_from(list(CLASSES)))
    def lapse(self, served):
        """No worker of a class says any more what it serves; the next one of another does, and tidies up."""
        self.raw.zadd(self.keys.classes, {served.name: 1}, xx=True)
        other = WorkerClass.of(["elsewhere"], [], [])
        assert self.run(work_ops.register(self.keys, other, 60))
        self.registered = {*self.registered, other} - {served}

    @precondition(lambda self: self.jobs)
    @rule(pick=PICK, worker=st.sampled_from("ab"))
    def claim_apart(self, pick, worker):
        job = list(self.jobs.values())[pick % len(self.jobs)]
        op = work_ops.claim_apart(self.keys, worker, next(self.numbers), str(job.id), LEASE)
        claimed = self.run(op)
        waits = job.state is State.SCHEDULED and job.due >= APART / 2
        assert bool(claimed) == waits
        if waits:
            (one,) = claimed
            job.happen(Event.CLAIM_APART)
            job.attempts += 1
            assert (one.attempt, one.errors) == (job.attempts, job.errors)
            job.began = True
            job.token, job.deadline, job.started, job.worker = one.token, self.now + LEASE, self.now, worker
            self.attempts += claimed
            assert self.run(op)[0].lease == one.lease

    @precondition(lambda self: self.last_claim)
    @rule()
    def claim_again(self):
        """The same call, sent again later: only what is still held under its token, and not a job more."""
        for one in self.run(self.last_claim):
            job = self.jobs[int(one.id)]
            assert job.token == one.token
            assert job.state is not State.QUEUED

    # --- what workers do with attempts, current ones and stale ones

    @precondition(lambda self: self.attempts)
    @rule(picks=st.lists(PICK, min_size=1, max_size=4))
    def renew(self, picks):
        chosen = list({one.lease: one for one in map(self.attempt, picks)}.values())
        assert self.run(work_ops.renew(self.keys, chosen, LEASE)) == {
            one.lease for one in chosen if not self.holds(one)
        }
        for one in filter(self.holds, chosen):
            self.jobs[int(one.id)].deadline = self.now + LEASE

    @precondition(lambda self: self.attempts)
    @rule(pick=PICK, event=st.sampled_from([Event.SUCCEED, Event.FAIL, Event.RETRY, Event.LOSE_LEASE]),
          pause=st.sampled_from(PAUSES), twice=st.booleans(), beside=st.sampled_from([0, 2]))  # fmt: skip
    def settle(self, pick, event, pause, twice, beside):
        one = self.attempt(pick)
        job, holds = self.jobs.get(int(one.id)), self.holds(one)
        outcome = Outcome(State.SUCCEEDED if event is Event.SUCCEED else State.FAILED, {"result": b"\x01"}, "1")
        ending = Ending(one, outcome, Record.parse(one.record).options, pause if event is Event.RETRY else None)
        if event is Event.LOSE_LEASE:
            ending = ending._replace(outcome=death("oom", "out of memory"), lost=True, beside=beside)
        op = settle_ops.settle(self.keys, [ending], LOSSES)
        again = job is not None and ((job.token == one.token and job.state in FINISHED) or job.settled == one.token)
        assert self.run(op) == [holds or again]
        if holds:
            if event is Event.RETRY:
                job.errors += 1
                job.due = self.now + pause
                job.settled = one.token
                job.remember()
                job.began = False
            if event is Event.LOSE_LEASE:
                job.settled = one.token
                self.lose(job, beside)
            else:
                job.happen(event)
            if twice:
                assert self.run(op) == [True]

    def lose(self, job, beside) -> None:
        """An attempt is gone with its worker, or with its child, and with so many others."""
        own = beside == 0 or job.shared == SHARED
        job.losses += own
        job.shared += not own
        if job.losses <= LOSSES:
            job.remember()
            job.began = False
            again = (own and job.losses > 1) or job.shared > FREE
            job.due = self.now + APART if again else job.due
            job.happen(Event.LOSE_LEASE_AGAIN if again else Event.LOSE_LEASE)
        else:
            job.happen(Event.LOSE_LEASE_TOO_OFTEN)
        job.token = None

    @precondition(lambda self: self.attempts)
    @rule(pick=PICK, begun=st.booleans())
    def hand_back(self, pick, begun):
        one = self.attempt(pick)
        holds = self.holds(one)
        assert self.run(work_ops.hand_back(self.keys, [(one, begun)])) == [holds]
        if holds:
            job = self.jobs[int(one.id)]
            job.happen(Event.HAND_BACK)
            job.began = False
            if begun:
                job.remember()
            else:
                job.runs.discard(job.attempts - 20)
                job.attempts -= 1

    @precondition(lambda self: self.attempts)
    @rule(pick=PICK, numbers=st.lists(st.integers(1, 9), max_size=3, unique=True).map(sorted), twice=st.booleans())
    def tell(self, pick, numbers, twice):
        one = self.attempt(pick)
        holds = self.holds(one)
        op = work_ops.report(self.keys, one, b"\x05", [(number, "chunk", b"\x01") for number in numbers])
        assert self.run(op) == holds
        if holds:
            job = self.jobs[int(one.id)]
            for number in numbers:
                if (one.attempt, number) > max(job.said, default=(0, 0)):
                    job.said.append((one.attempt, number))
            if twice:
                assert self.run(op)

    @rule(pick=PICK, after=st.tuples(st.integers(0, 3), st.integers(0, 9)))
    def follow(self, pick, after):
        job_id = pick % (self.last_id + 2)
        job = self.jobs.get(job_id)
        op = follow_ops.follow(self.keys, str(job_id), "", 0, ("", b""), after)
        with contextlib.nullcontext() if job else pytest.raises(UnknownJob):
            news = self.run(op)
            assert (news.state, news.attempt) == (job.state, job.attempts)
            assert [(said.attempt, said.number) for said in news.entries] == [each for each in job.said if each > after]
            assert (news.ended is not None) == (job.state in FINISHED)

    @rule(pick=PICK)
    def wait(self, pick):
        job_id = pick % (self.last_id + 2)
        job = self.jobs.get(job_id)
        with contextlib.nullcontext() if job else pytest.raises(UnknownJob):
            fields = self.run(job_ops.wait(self.keys, str(job_id), "waiter", 10))
            assert (fields is not None) == (job.state in FINISHED)
            if fields is None:
                self.waited.add(job_id)

    @rule()
    def hear(self):
        """Every job that was waited for and ended was announced, with its outcome, or as gone."""
        items = [announced(item) for item in self.raw.lrange(self.keys.inbox + "waiter", 0, -1)]
        self.raw.delete(self.keys.inbox + "waiter")
        heard = {int(job_id) for job_id, _ in items}
        over = {i for i in self.waited if i not in self.jobs or self.jobs[i].state in FINISHED}
        assert over <= heard
        for _, fields in items:
            assert fields is None or fields["state"].decode() in FINISHED
        self.waited -= heard

    @rule()
    def workers_hear(self):
        """A worker is told of every attempt that was taken from it by a person or for its time."""
        items = {item for name in "ab" for item in self.raw.lrange(self.keys.inbox + name, 0, -1)}
        self.raw.delete(self.keys.inbox + "a", self.keys.inbox + "b")
        assert {item.decode() for item in items} == self.told_to_stop
        self.told_to_stop.clear()

    @precondition(lambda self: self.attempts)
    @rule(pick=PICK)
    def post_from_a_listener(self, pick):
        one = self.attempt(pick)
        op = job_ops.post(self.keys, "listener", next(self.numbers), "default", [b"0\n\x01"], one.lease)
        if not self.holds(one):
            with pytest.raises(LeaseLost):
                self.run(op)
            return
        job_id = self.run(op).first
        self.jobs[job_id] = Job(job_id, "default", calls_back=False)
        self.last_id = job_id

    # --- time

    @rule(thousands=st.integers(1, 7))
    def time_passes(self, thousands):
        seconds = thousands * 1000.0
        self.now += seconds
        for lease in self.raw.zrange(self.keys.leases, 0, -1):
            self.raw.zincrby(self.keys.leases, -seconds, lease)
        for job in self.in_state(State.RUNNING):
            name = self.keys.job + str(job.id)
            self.raw.hset(name, "started", float(self.raw.hget(name, "started")) - seconds)
        for worker in "ab":
            self.raw.delete(self.keys.lost + worker)
        for times in (self.keys.scheduled, self.keys.expiring):
            for job_id in self.raw.zrange(times, 0, -1):
                self.raw.zincrby(times, -seconds, job_id)
        for name in ("at", "hold"):
            if kept := self.raw.hget(self.keys.reaping, name):
                self.raw.hset(self.keys.reaping, name, float(kept) - seconds)

    @rule()
    def reap(self):
        reaped = self.run(work_ops.reap(self.keys, PAUSE, GRACE, LOSSES))
        if self.looked is None or self.now - self.looked > PAUSE:
            self.hold = self.now + GRACE
        self.looked = self.now
        for job in self.in_state(State.SCHEDULED):
            if job.due < self.now or APART / 2 < job.due < self.now + APART - HOUR:
                job.happen(Event.COME_DUE)
        for job in self.in_state(State.QUEUED, State.SCHEDULED, State.RUNNING):
            if job.last is not None and job.last < self.now and not job.lasts:
                if job.state is State.RUNNING:
                    job.last = self.now + 60 if job.attempts == 1 else None  # it may come back without having begun
                elif not job.attempts:
                    job.happen(Event.EXPIRE)
        waiting = [job.due - self.now for job in self.in_state(State.SCHEDULED)]
        assert reaped.retry_in == (pytest.approx(min(waiting), abs=60) if waiting else None)
        lapsed = [job for job in self.in_state(State.RUNNING) if job.deadline < self.now and self.now > self.hold]
        assert reaped.taken == len(lapsed)
        assert reaped.apart == sum(wait > APART / 2 for wait in waiting)
        held = Counter(job.worker for job in self.in_state(State.RUNNING))
        for job in lapsed:
            self.lose(job, held[job.worker] - 1)

    @rule()
    def overrun(self):
        cursor, ended = self.run(work_ops.overrun(self.keys, LIMIT, RETRIES))
        over = [job for job in self.in_state(State.RUNNING) if self.now - job.started > LIMIT]
        assert (cursor, sorted(map(int, ended))) == ("0", sorted(job.id for job in over))
        for job in over:
            self.told_to_stop.add(f"lost {job.id}:{job.token}")
            job.overruns += 1
            if job.overruns <= RETRIES:
                job.remember()
                job.began = False
                job.happen(Event.OVERRUN)
            else:
                job.happen(Event.OVERRUN_TOO_OFTEN)
            job.token = None

    # --- what people do

    @rule(pick=PICK)
    def cancel(self, pick):
        self.changed(pick % (self.last_id + 2), Event.CANCEL, job_ops.cancel)

    @rule(pick=PICK)
    def requeue(self, pick):
        job_id = pick % (self.last_id + 2)
        failed = job_id in self.jobs and self.jobs[job_id].state in (State.FAILED, State.CANCELLED)
        self.changed(job_id, Event.REQUEUE, job_ops.requeue)
        if failed:
            self.jobs[job_id].lasts = True
            self.jobs[job_id].losses = self.jobs[job_id].shared = self.jobs[job_id].overruns = self.jobs[
                job_id
            ].errors = 0

    @rule(pick=PICK)
    def delete(self, pick):
        job_id = pick % (self.last_id + 2)
        self.changed(job_id, Event.DELETE, job_ops.delete)
        if job_id in self.jobs and self.jobs[job_id].state is State.GONE:
            del self.jobs[job_id]

    # --- what always holds

    @invariant()
    def redis_and_model_agree(self):
        with self.raw.pipeline(transaction=True) as seen:
            for lane in LANES:
                seen.zrange(self.keys.lane + lane, 0, -1)
            seen.zrange(self.keys.leases, 0, -1)
            seen.zrange(self.keys.dead, 0, -1)
            seen.zrange(self.keys.deliveries + "callback", 0, -1)
            seen.zrange(self.keys.scheduled, 0, -1)
            for job_id in range(1, self.last_id + 1):
                seen.exists(self.keys.post + str(job_id))
                seen.hgetall(self.keys.job + str(job_id))
            *lanes, leases, dead, callbacks, scheduled = (found := seen.execute())[: len(LANES) + 4]
        self.check_places(lanes, leases, dead, callbacks, scheduled)
        self.check_jobs(found[len(LANES) + 4 :])
        self.check_index({lane: self.place(ids[0]) for lane, ids in zip(LANES, lanes, strict=True) if ids})

    def place(self, job_id):
        return int(job_id) - self.jobs[int(job_id)].priority * 2**43

    def check_index(self, heads):
        """Each class that is registered knows the first jobs of its lanes, and nothing is kept of the others."""
        assert {name.decode() for name in self.raw.smembers(self.keys.lanes)} == heads.keys()
        assert {name.decode() for name in self.raw.zrange(self.keys.classes, 0, -1)} == {
            served.name for served in self.registered
        }
        for served, lanes in CLASSES.items():
            stem = self.keys.class_ + served.name
            if served in self.registered:
                ready = self.raw.zrange(f"{stem}:ready", 0, -1, withscores=True)
                known = {lane: heads[lane] for lane in lanes if lane in heads}
                assert {name.decode(): place for name, place in ready} == known | {"": math.inf}
                assert self.run(work_ops.rests(self.keys, served.name)) == (not known)
            else:
                assert not self.raw.exists(*(f"{stem}:{what}" for what in ("ready", "serves", "wake", "cursor")))

    def check_places(self, lanes, leases, dead, callbacks, scheduled):
        """Each job is in exactly one place, lanes are in their order, and the counts agree."""
        for lane, ids in zip(LANES, lanes, strict=True):
            waiting = sorted(job.turn for job in self.in_state(State.QUEUED) if job.lane == lane)
            assert list(map(int, ids)) == [job_id for _, job_id in waiting]
        held = {f"{job.id}:{job.token}" for job in self.in_state(State.RUNNING)}
        assert {lease.decode() for lease in leases} == held
        assert set(map(int, dead)) == {job.id for job in self.in_state(State.FAILED)}
        assert set(map(int, scheduled)) == {job.id for job in self.in_state(State.SCHEDULED)}
        assert set(map(int, callbacks)) == {job.id for job in self.jobs.values() if job.callback}
        counts = self.run(job_ops.counts(self.keys))
        assert (counts.running, counts.dead, counts.waiting) == (len(leases), len(dead), sum(map(len, lanes)))

    def check_jobs(self, found):
        """The fields of each job are the model's, and of a deleted job there are none."""
        for job_id in range(1, self.last_id + 1):
            posted, fields = found[2 * job_id - 2], found[2 * job_id - 1]
            state, token, attempts = fields.get(b"state"), fields.get(b"token"), fields.get(b"attempts")
            job = self.jobs.get(job_id)
            if job is None:
                assert (posted, fields) == (0, {})
                continue
            assert (posted, (state or b"queued").decode()) == (1, job.state)
            assert int(attempts or 0) == job.attempts
            assert (token.decode() if token else None) == job.token
            assert {int(name[5:]) for name in fields if name.startswith(b"past:")} == job.runs
            counts = [int(fields.get(name, 0)) for name in (b"errors", b"losses", b"shared")]
            assert counts == [job.errors, job.losses, job.shared]
            assert (b"started" in fields) == job.began


@pytest.mark.timeout(600)
def test_random_sequences(server_url):
    """No sequence of ops loses a job, runs it twice at a time, or records two outcomes."""
    run_state_machine_as_test(
        lambda: Machine(server_url),
        settings=settings(
            max_examples=EXAMPLES,
            stateful_step_count=STEPS,
            deadline=None,
            database=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
