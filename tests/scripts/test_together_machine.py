"""Claims with everything mixed: keys, shares, priorities, delays, expiry, limits, rates and pauses, against a model.

The laws: what begins may begin, and is the first of its lane; nothing is lost or runs twice; never more run than a
limit says; whatever may begin has a worker that is awake or is being woken; and once all is opened and done, nothing
is left. `MLQ_EXAMPLES` says how many sequences are tried.
"""

import itertools
import os
import time

import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import (
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from mlq.core.checks import lane_of
from mlq.core.job import Outcome, Record
from mlq.core.job_options import JobOptions
from mlq.core.limit import Limit
from mlq.core.states import State
from mlq.ops import gates as gate_ops
from mlq.ops import jobs as job_ops
from mlq.ops import purging as purge_ops
from mlq.ops import settling as settle_ops
from mlq.ops import work as work_ops
from mlq.ops.purging import Purged
from mlq.ops.settling import Ending
from tests.scripts.namespaced import NamespaceMachine
from tests.scripts.together import CLASSES, GATES, Job, Model

pytestmark = pytest.mark.slow

EXAMPLES = int(os.environ.get("MLQ_EXAMPLES", "100"))
LANES = [lane_of(queue, functions, share) for queue, functions, share in itertools.product(
    "qp", (None, ["f"], ["g"]), (None, "a", "b"))]  # fmt: skip
NAMES, PICK = st.sampled_from(list(CLASSES)), st.integers(0, 1000)
LIMIT = st.builds(Limit, st.sampled_from([1, 2]), st.sampled_from([None, None, 2]), st.just(3600), st.none())
CHANGES = st.tuples(st.sampled_from(GATES), st.one_of(LIMIT, LIMIT, st.sampled_from(["unlimited", "paused", "open"])))
OPTIONS = st.fixed_dictionaries({
    "queue": st.sampled_from("qqp"),
    "functions": st.sampled_from([None, ["f"], ["f"], ["g"]]),
    "share": st.sampled_from([None, "a", "a", "b"]),
    "priority": st.sampled_from([None, None, 5, -5]),
    "delay": st.sampled_from([None, None, None, 600]),
    "expires": st.sampled_from([None, None, 900]),
    "key": st.sampled_from([None, None, "k", "l"]),
    "replace": st.booleans(),
})  # fmt: skip
ENDS = st.sampled_from(["succeeds", "succeeds", "retried", "handed back", "unbegun", "lost"])


class Machine(NamespaceMachine):
    """One namespace and its model."""

    def __init__(self, url):
        super().__init__(url)
        self.model = Model()
        self.those = self.model.those
        self.out = []  # attempts that run
        self.asleep: set[str] = set()  # classes whose workers have found nothing more
        self.names = self.keys.root.replace("-", "\\-") + "*"

    def wake(self, name):
        return f"{self.keys.class_}{CLASSES[name].name}:wake"

    # What happens

    @initialize(posts=st.lists(OPTIONS, max_size=8), changes=st.lists(CHANGES, max_size=3))
    def begin(self, posts, changes):
        """In the middle of things."""
        self.run(gate_ops.declare_uses(self.keys, {":g": [GATES[2]]}))
        for name in CLASSES:
            self.register(name)
        for given in posts:
            self.post(given)
        for change in changes:
            self.change_gate(change)

    @rule(given=OPTIONS)
    def post(self, given):
        given = {name: value for name, value in given.items() if value and (name != "replace" or given["key"])}
        options, jobs, holders = JobOptions.of(given), self.model.jobs, self.model.holders
        posted = self.run(job_ops.post(self.keys, "poster", next(self.numbers), options.lane, [options.body(1)],
                                       when=options.when, keyed=options.keyed))  # fmt: skip
        key = (",".join(options.functions or ()), options.key) if options.key else None
        there = holders.get(key)
        replaces = there is not None and options.replace and jobs[there].state in ("waiting", "scheduled")
        assert posted.new == (there is None or (options.replace and not replaces)) == (posted.first not in jobs)
        assert posted.new or posted.first == there
        if posted.new or replaces:
            attempts, state = jobs[there].attempts if replaces else 0, "scheduled" if options.delay else "waiting"
            job = Job(options.lane, options.priority or 0, bool(options.expires), key, state, attempts)
            jobs[posted.first] = job
            holders |= {key: posted.first} if key else {}

    @rule(name=NAMES, count=st.integers(1, 4), whole=st.booleans())
    def claim(self, name, count, whole):
        """Until nothing more may begin, if `whole`; else others are woken for the rest."""
        while True:
            self.raw.delete(self.wake(name))  # it was woken
            self.asleep.discard(name)
            found = self.claim_some(name, count)
            if found < count:
                assert not self.model.able(name)
                self.asleep.add(name)
                return
            assert not self.model.able(name) or self.raw.exists(self.wake(name))
            if not whole:
                return

    def claim_some(self, name, count):
        served = CLASSES[name].name
        while (claimed := self.run(work_ops.claim(self.keys, name, next(self.numbers), served, 60, count))) is None:
            self.register(name)
        for one in claimed:
            job_id = int(one.id)
            assert job_id in self.model.able(name)
            assert job_id == self.model.in_lane(self.model.jobs[job_id].lane)[0]
            self.model.begin(job_id, one.lease)
        self.out += claimed
        return len(claimed)

    @precondition(lambda self: self.out)
    @rule(pick=PICK, how=ENDS)
    def end(self, pick, how):
        one = self.out.pop(pick % len(self.out))
        job = self.model.jobs[int(one.id)]
        if how == "lost" and job.lost:
            how = "succeeds"  # a job that is lost again is to run apart
        self.model.free(one.lease, unbegun=how == "unbegun")
        if how in ("succeeds", "retried"):
            outcome = Outcome(State.SUCCEEDED if how == "succeeds" else State.FAILED, {"result": b"\x01"})
            verdict = {"retry_in": 600.0} if how == "retried" else {}
            ending = Ending(one, outcome, Record.parse(one.record).options, used=1.0, **verdict)
            assert self.run(settle_ops.settle(self.keys, [ending], 1)) == [True]
        elif how == "lost":
            self.raw.zadd(self.keys.leases, {one.lease: time.time() - 1})
            self.look()
            job.lost = True
        else:
            assert self.run(work_ops.hand_back(self.keys, [(one, how != "unbegun")])) == [True]
            job.attempts -= how == "unbegun"
        if how == "succeeds":
            self.model.end(int(one.id), "succeeded")
        else:
            job.state = "scheduled" if how == "retried" else "waiting"

    def look(self):
        self.raw.hset(self.keys.reaping, mapping={"at": time.time(), "hold": 0})
        self.raw.expire(self.keys.reaping, 60)
        self.run(work_ops.reap(self.keys, 3.0, 2.0, 5))

    @precondition(lambda self: self.those("scheduled"))
    @rule()
    def come_due(self):
        for job_id in self.those("scheduled"):
            self.raw.zadd(self.keys.scheduled, {str(job_id): time.time() - 1}, xx=True)
            self.model.jobs[job_id].state = "waiting"
        self.look()

    @precondition(lambda self: any(self.model.jobs[one].expires for one in self.those("waiting", "scheduled")))
    @rule(pick=PICK)
    def expire(self, pick):
        """Of those that wait, one that has not begun is cancelled."""
        able = [one for one in self.those("waiting", "scheduled") if self.model.jobs[one].expires]
        job_id = able[pick % len(able)]
        assert self.raw.zadd(self.keys.expiring, {str(job_id): time.time() - 1}, xx=True, ch=True)
        self.look()
        self.model.jobs[job_id].expires = False
        if self.model.jobs[job_id].attempts == 0:
            self.model.end(job_id, "cancelled")

    @precondition(lambda self: self.those("waiting", "scheduled", "running"))
    @rule(pick=PICK)
    def cancel(self, pick):
        able = self.those("waiting", "scheduled", "running")
        job_id = able[pick % len(able)]
        self.run(job_ops.cancel(self.keys, str(job_id)))
        for one in [one for one in self.out if one.id == str(job_id)]:
            self.out.remove(one)
            self.model.free(one.lease)
        self.model.end(job_id, "cancelled")

    @precondition(lambda self: self.those("cancelled"))
    @rule(pick=PICK)
    def requeue(self, pick):
        able = self.those("cancelled")
        job_id = able[pick % len(able)]
        self.run(job_ops.requeue(self.keys, str(job_id)))
        job = self.model.jobs[job_id]
        job.state, job.lost = "waiting", False
        if job.key:
            self.model.holders.setdefault(job.key, job_id)

    @precondition(lambda self: self.those("waiting", "scheduled", "cancelled"))
    @rule(pick=PICK)
    def delete(self, pick):
        able = self.those("waiting", "scheduled", "cancelled")
        job_id = able[pick % len(able)]
        self.run(job_ops.delete(self.keys, str(job_id)))
        self.model.end(job_id, "deleted")

    @rule(lane=st.sampled_from(LANES))
    def purge(self, lane):
        found, purged = Purged(), self.model.in_lane(lane)
        while not found.is_over:
            found = self.run(purge_ops.purge(self.keys, lane, max(self.model.jobs, default=0), found))
        for job_id in purged:
            self.model.end(job_id, "cancelled")

    @rule(change=CHANGES)
    def change_gate(self, change):
        """One rule, so that there are more claims and ends than changes."""
        gate, what = change
        if what in ("paused", "open"):
            self.run(gate_ops.pause(self.keys, gate, "me" if what == "paused" else ""))
            (self.model.paused.add if what == "paused" else self.model.paused.discard)(gate)
            return
        limit = Limit() if what == "unlimited" else what
        running = {one.lease: one.record.split(b"\n")[0].decode() for one in self.out}
        is_new = self.model.limit(gate, limit, running)
        assert self.run(gate_ops.limit(self.keys, gate, limit if limit.running else None)) == is_new

    @rule(name=NAMES)
    def register(self, name):
        while not self.run(work_ops.register(self.keys, CLASSES[name], 60)):
            pass

    @precondition(lambda self: len(self.model.jobs) > 4)
    @rule()
    def open_and_finish_all(self):
        """Nothing is left then but records, counts and the times of shares."""
        for gate, what in itertools.product(GATES, ("unlimited", "open")):
            self.change_gate((gate, what))
        self.come_due()
        while self.out or self.those("waiting"):
            self.claim("all", 4, whole=True)
            while self.out:
                self.end(0, "succeeds")
        stems = ("lane", "parked", "running", "starts", "unique", "gates", "limits", "paused", "opening", "leases",
                 "scheduled", "expiring", "chores")  # fmt: skip
        names = [name.decode()[len(self.keys.root) :] for name in self.raw.scan_iter(self.names, count=10_000)]
        assert [name for name in names if name.startswith(stems) and not name.endswith(("||times", "||means"))] == []
        for name, one in CLASSES.items():
            self.register(name)
            assert self.raw.zrange(f"{self.keys.class_}{one.name}:ready", 0, -1) == [b""]

    # The laws

    @invariant()
    def lanes_and_places_are_exact(self):
        for lane in LANES:
            assert [int(one) for one in self.raw.zrange(self.keys.lane + lane, 0, -1)] == self.model.in_lane(lane)
        for gate in GATES:
            held = self.raw.smembers(f"{self.keys.root}running:{gate}")
            assert {one.decode() for one in held} == self.model.held[gate]

    @invariant()
    def whoever_sleeps_is_woken_for_what_may_begin(self):
        for name, one in CLASSES.items():
            if self.model.able(name):
                assert not self.run(work_ops.rests(self.keys, one.name))
                assert name not in self.asleep or self.raw.exists(self.wake(name))


def test_everything_together(server_url):
    """Whatever is posted, limited, paused, replaced, purged or lost."""
    run_state_machine_as_test(
        lambda: Machine(server_url),
        settings=settings(
            max_examples=EXAMPLES, stateful_step_count=40, deadline=None, database=None,
            suppress_health_check=list(HealthCheck),
        ),
    )  # fmt: skip
