"""Random sequences of what can happen to pipelines, with laws that hold after every step, and at the end.

The model knows which job was posted for which. With small chores, scripts leave almost everything to later ones, in
between which anything may happen; then the laws hold once all chores are done. `MLQ_EXAMPLES` says how many sequences
are tried.
"""

import contextlib
import os
from collections import Counter
from dataclasses import dataclass, field

import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import invariant, precondition, rule, run_state_machine_as_test

from mlq.core.job import Outcome, Record
from mlq.core.job_options import pack_body
from mlq.core.states import State
from mlq.errors import JobError, MLQError, WaitCircle
from mlq.ops import jobs as job_ops
from mlq.ops import settling as settle_ops
from mlq.ops import work as work_ops
from mlq.ops.settling import Ending
from tests.scripts.chores import chores_of
from tests.scripts.conftest import World
from tests.scripts.namespaced import NamespaceMachine
from tests.scripts.pipes import LOSSES, Pipes

pytestmark = pytest.mark.slow

EXAMPLES = int(os.environ.get("MLQ_EXAMPLES", "60"))
STEPS = 40
PICK = st.integers(0, 10_000)
POLICY = st.sampled_from(["fail", "run"])
MANY = 8  # jobs, from which on no new ones are posted: much is to happen to few
OPEN = ("queued", "blocked", "running", "scheduled")
BADLY = ("failed", "cancelled")


@dataclass
class Job:
    """What the model knows of a job."""

    id: str
    root: str = ""
    depth: int = 0  # how many splits it is below its root
    needs: list[str] = field(default_factory=list)
    last: str = "queued"  # the last state that was seen
    ended: list[str] = field(default_factory=list)  # how it ended, each once


class Machine(NamespaceMachine):
    """One namespace and its model."""

    small = False

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.world = World(self.keys, self.raw, self.shell.run)
        self.pipes = Pipes(self.world)
        self.jobs: dict[str, Job] = {}
        self.attempts = []

    def teardown(self) -> None:
        try:
            self.finish()
        finally:
            super().teardown()

    # --- helpers

    def pick(self, number, *states, steps=True):
        """A job in one of these states; None if there is none."""
        found = [i for i, job in self.jobs.items() if job.last in states and (steps or not job.root)]
        return found[number % len(found)] if found else None

    def add(self, job_id, claimed=None, needs=(), deeper=0):
        root = (self.jobs[claimed.id].root or claimed.id) if claimed else ""
        depth = self.jobs[claimed.id].depth + deeper if claimed else 0
        self.jobs[job_id] = Job(job_id, root, depth, list(needs))

    def look(self):
        """See the state of every job; none ends twice without a requeue, and one that has succeeded never changes."""
        for job in self.jobs.values():
            now = self.pipes.state(job.id)
            assert job.last not in ("succeeded", "gone") or now in (job.last, "gone"), (job, now)
            assert job.last not in BADLY or now in (job.last, "gone") or "requeued" in job.ended, (job, now)
            job.last = now

    def holds(self, claimed):
        return self.raw.zscore(self.keys.leases, claimed.lease) is not None

    def refused(self):
        """People may ask for what is not possible, and nothing must come of it."""
        return contextlib.suppress(JobError, MLQError)

    # --- what clients and workers do

    @precondition(lambda self: len(self.jobs) < MANY)
    @rule(ttl=st.sampled_from([None, 1000.0]))
    def post(self, ttl):
        self.add(self.pipes.post(**({"ttl": ttl} if ttl else {})))
        self.look()

    @precondition(lambda self: 0 < len(self.jobs) < MANY)
    @rule(picks=st.lists(PICK, min_size=1, max_size=3), policy=POLICY)
    def post_after(self, picks, policy):
        known = [i for i, job in self.jobs.items() if job.last != "gone" and not job.root]
        needs = list(dict.fromkeys(known[one % len(known)] for one in picks)) if known else []
        if needs:
            with self.refused():
                self.add(self.pipes.post(f"{policy} {' '.join(needs)}"), needs=needs)
        self.look()

    @rule(count=st.integers(1, 4))
    def claim(self, count):
        self.attempts += self.world.claim(count)
        self.look()

    def ending(self, claimed, what, size, at_once, policy):
        """An attempt's end, after it has posted what that needs; None if it can't split any more."""
        options = Record.parse(claimed.record).options
        if what in ("succeed", "fail", "retry"):
            outcome = Outcome(State.SUCCEEDED if what == "succeed" else State.FAILED, {"result": b"\x01"}, "1")
            return Ending(claimed, outcome, options, retry_in=0.0 if what == "retry" else None)
        if what == "forward":
            body = pack_body(b"\x01", {"part": self.pipes.next_part(claimed).packed()})
            return Ending(claimed, Outcome(State.BLOCKED, {"lane": "default", "body": body}), options)
        join, parts = self.pipes.plan(claimed, [size] if size else [], policy)
        self.add(join, claimed, needs=parts)
        for part in parts:
            self.add(part, claimed, deeper=1)
        return Ending(claimed, Outcome(State.BLOCKED, {"plan": str(at_once)}), options)

    @rule(
        ends=st.lists(
            st.tuples(PICK, st.sampled_from(["succeed", "succeed", "fail", "retry", "forward", "split", "split"]),
                      st.integers(0, 3), st.integers(1, 3), POLICY), min_size=1, max_size=3),
        drop=st.booleans(), twice=st.booleans(),
    )  # fmt: skip
    def settle(self, ends, drop, twice):
        """Several at a time, some of them stale; or they lose their leases with what they have posted."""
        endings, seen = [], set()
        if not (held := [one for one in self.attempts if self.holds(one)]):
            self.attempts += (held := self.world.claim(len(ends)))
        for number, what, size, at_once, policy in ends:
            if not (among := held if number % 8 else self.attempts):
                continue
            claimed = among[number // 8 % len(among)]
            if claimed.id in seen or (what == "split" and (not self.holds(claimed) or self.jobs[claimed.id].depth > 1)):
                continue
            seen.add(claimed.id)
            endings.append(self.ending(claimed, what, size, at_once, policy))
        if not endings:
            self.look()
            return
        if drop:
            for one in endings:
                if self.holds(one.claimed):
                    self.world.lapse(one.claimed)
            self.world.watched()
            self.world.reap()
            self.forget_plans()
            self.look()
            return
        before = int(self.raw.get(self.keys.counter))
        op = settle_ops.settle(self.keys, endings, LOSSES, "e r")
        stood = self.shell.run(op)
        assert None not in stood
        for i in range(before + 1, int(self.raw.get(self.keys.counter)) + 1):
            root = Record.parse(self.raw.get(self.keys.post + str(i))).options.part.root
            self.jobs[str(i)] = Job(str(i), root, 2)
        if twice:
            assert self.shell.run(op) == stood
        self.world.come_due()
        self.forget_plans()
        self.look()

    def forget_plans(self):
        """Parts of splits that did not begin are removed, at the latest with the chores."""
        for one in [one for one, job in self.jobs.items() if job.root and job.last == "queued"]:
            if not self.raw.exists(self.keys.post + one):
                del self.jobs[one]

    @rule()
    def come_due(self):
        """And leases and blocked jobs are looked at, and chores done."""
        self.world.come_due()
        self.world.watched()
        self.raw.hdel(self.keys.reaping, "looked")
        self.world.reap()
        self.look()

    @rule()
    def some_chores(self):
        self.shell.run(job_ops.chores(self.keys))
        self.look()

    @rule(number=PICK, other=PICK, is_over=st.booleans())
    def wait(self, number, other, is_over):
        """A listener waits for another job, unless that waits for it."""
        held, target = [one for one in self.attempts if self.holds(one)], self.pick(other, *OPEN)
        if held and target:
            claimed = held[number % len(held)]
            is_new = self.pipes.field(claimed.id, "waits_for") != target
            try:
                self.shell.run(job_ops.wait(self.keys, target, "w", 10, claimed.lease))
                is_refused = False
            except WaitCircle:
                is_refused = True
            is_circle = is_new and claimed.id in self.waited_for(target)  # one who asks again has been told before
            assert is_refused == is_circle, (claimed.id, target, self.jobs)
            if is_over:
                self.shell.run(work_ops.waits_no_more(self.keys, claimed))
        self.look()

    def waited_for(self, job_id):
        """The jobs that must end before this one can, and itself."""
        found = [job_id]
        for one in found:  # grows
            tail, other = self.pipes.field(one, "tail"), self.pipes.field(one, "waits_for")
            needs = ([tail] if tail else self.jobs[one].needs) if self.state_of(one) == "blocked" else []
            found += [i for i in (*needs, *([other] if other else [])) if i in self.jobs and i not in found]
        return found

    # --- what people do

    @precondition(lambda self: self.jobs)
    @rule(number=PICK)
    def cancel(self, number):
        if one := self.pick(number, *OPEN):
            with self.refused():
                self.pipes.cancel(one)
        self.look()

    @precondition(lambda self: self.jobs)
    @rule(number=PICK)
    def requeue(self, number):
        if one := self.pick(number, *BADLY):
            had_chores = self.raw.exists(self.keys.chores)
            reasons = {i: self.why(i) for i, job in self.jobs.items() if job.last in BADLY and not job.root}
            for job in self.jobs.values():
                job.ended = ["requeued"]
            with self.refused():
                self.pipes.requeue(one)
            self.look()
            if not self.raw.exists(self.keys.chores):
                if not had_chores:
                    self.check_requeued(one, reasons)
                for job in self.jobs.values():
                    job.ended = []

    def why(self, job_id):
        """Why a job ended badly: the reason, and the job that was the cause."""
        return self.pipes.field(job_id, "reason"), self.pipes.field(job_id, "cause")

    def check_requeued(self, one, reasons):
        """Of the jobs that people posted, those came back that it needs, and what had failed only because of these."""
        asked = [self.jobs[one].root or one]
        for job_id in asked:  # grows
            asked += [i for i in self.jobs[job_id].needs if i in self.jobs and i not in asked]
        for job_id, (reason, cause) in reasons.items():
            if self.jobs[job_id].last not in BADLY and job_id not in asked:
                seen = (one, job_id, reason, cause, self.jobs)
                assert reason == "step", seen
                assert self.state_of(cause) not in BADLY, seen

    @precondition(lambda self: self.jobs)
    @rule(number=PICK, discard=st.booleans())
    def delete(self, number, discard):
        one = self.pick(number, *(["failed"] if discard else ["queued", "scheduled", "succeeded", *BADLY]))
        if one:
            with self.refused():
                self.shell.run((job_ops.discard if discard else job_ops.delete)(self.keys, one))
        self.look()

    # --- what always holds

    def held(self):
        """The parts that are not open yet, and those whose split has not begun."""
        waiting = set(self.pipes.waiting())
        return {i for i, job in self.jobs.items() if job.last == "queued" and i not in waiting}

    @invariant()
    def laws(self):
        if self.raw.exists(self.keys.chores):
            assert self.small or self.raw.llen(self.keys.chores) == 0
            return
        self.check_places()
        self.check_needs()
        self.check_roots()

    def check_places(self):
        """Each job is where its state says."""
        blocked = {one.decode() for one in self.raw.zrange(self.keys.blocked, 0, -1)}
        assert blocked == {i for i, job in self.jobs.items() if job.last == "blocked"}
        assert set(self.pipes.waiting()) <= {i for i, job in self.jobs.items() if job.last == "queued"}
        held = [self.jobs[one] for one in self.held() if not self.jobs[one].root]
        assert not held, [(job, self.world.raw_job(job.id)) for job in held]
        dead = {one.decode() for one in self.raw.zrange(self.keys.dead, 0, -1)}
        failed = {i for i, job in self.jobs.items() if job.last == "failed"}
        assert dead == {i for i in failed if self.raw.ttl(self.keys.job + i) == -1}  # others expire with their root
        running = {one.decode().split(":")[0] for one in self.raw.zrange(self.keys.leases, 0, -1)}
        assert running == {i for i, job in self.jobs.items() if job.last == "running"}

    def check_needs(self):
        """Those that have not succeeded, without those that ended badly and were counted; each of these once."""
        for job in self.jobs.values():
            needs = self.pipes.field(job.id, "needs")
            if needs is None or job.last in ("gone", "succeeded"):
                continue
            bad = {one.decode() for one in self.raw.smembers(f"{self.keys.job}{job.id}:bad")}
            assert all(self.state_of(one) in (*BADLY, "gone") for one in bad), (job, bad)
            open_ = [one for one in job.needs if self.state_of(one) not in ("succeeded", "gone") and one not in bad]
            gone = [one for one in job.needs if self.state_of(one) == "gone" and one not in bad]
            seen = str((job, needs, bad, open_, gone, self.world.raw_job(job.id), self.jobs))
            assert len(open_) <= int(needs) <= len(open_) + len(gone), seen
            waits = job.last == "blocked" and self.pipes.field(job.id, "tail") is None
            assert not waits or int(needs) > 0, job

    def state_of(self, job_id):
        return self.jobs[job_id].last if job_id in self.jobs else "gone"

    def check_roots(self):
        """The counters are right, and no step of a root that ended badly waits or runs."""
        for root in (job for job in self.jobs.values() if not job.root and job.last != "gone"):
            steps = [job for job in self.jobs.values() if job.root == root.id]
            counted = {name: int(self.pipes.field(root.id, name) or 0) for name in ("steps", "done", "bad")}
            there = Counter(job.last for job in steps)
            assert there["succeeded"] <= counted["done"] <= there["succeeded"] + there["gone"], (root, counted, there)
            bad = there["failed"] + there["cancelled"]
            assert bad <= counted["bad"] <= bad + there["gone"], (root, counted, there)
            if (
                root.last in BADLY and not there["gone"]
            ):  # if its join was discarded, a part that is requeued runs alone
                assert there["running"] == there["blocked"] == 0, (root, there)
                assert not set(self.pipes.waiting()) & {job.id for job in steps}, root

    # --- the end

    def finish(self):
        """Everything that can run succeeds: then no job waits; all is deleted: then nothing is left."""
        self.pipes.chores()
        for claimed in self.attempts:
            self.world.settle(claimed)
        while True:
            self.pipes.chores()
            self.world.come_due()
            self.world.watched()
            claimed = self.world.claim(20)
            for _ in self.jobs:  # until each blocked job was looked at
                if not claimed:
                    self.world.reap()
                    self.pipes.chores()
                    claimed = self.world.claim(20)
            if not claimed:
                break
            for one in claimed:
                assert self.world.settle(one)
        self.look()
        self.laws()
        stuck = [(job, self.world.raw_job(job.id)) for job in self.jobs.values() if job.last == "blocked"]
        assert not stuck, (stuck, self.jobs)
        assert not self.raw.exists(self.keys.leases, self.keys.scheduled)
        left = [one for one, job in self.jobs.items() if not job.root and job.last != "gone"]
        for one in reversed(left):
            self.shell.run(job_ops.delete(self.keys, one))
            self.pipes.chores()
        rest = self.pipes.rest_of()
        assert not rest, {name: self.world.look()[name] for name in rest}


@pytest.mark.timeout(600)
@pytest.mark.parametrize("small", [False, True], ids=["whole", "small chores"])
def test_random_sequences(server_url, small):
    """No sequence has a job wait for ever, run for nobody, or leave something behind."""
    kind = type("Small", (Machine,), {"small": small})
    with chores_of(2, 2) if small else chores_of(500, 100):
        run_state_machine_as_test(
            lambda: kind(server_url),
            settings=settings(
                max_examples=EXAMPLES,
                stateful_step_count=STEPS,
                deadline=None,
                database=None,
                suppress_health_check=list(HealthCheck),
            ),
        )
