"""Random posts, claims, ends, returns, cancels, deletes, pauses and weights of shares, against a small model.

`MLQ_EXAMPLES` says how many sequences are tried.
"""

import math
import os

import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import invariant, precondition, rule, run_state_machine_as_test

from mlq.core import codec
from mlq.core.checks import group_of, lane_of
from mlq.core.job import Outcome, Record
from mlq.core.job_options import JobOptions, pack_body
from mlq.core.limit import Gate
from mlq.core.states import State
from mlq.ops import gates as gate_ops
from mlq.ops import jobs as job_ops
from mlq.ops import settling as settle_ops
from mlq.ops import shares as share_ops
from mlq.ops import work as work_ops
from mlq.ops.settling import Ending
from mlq.ops.work import WorkerClass
from tests.scripts.namespaced import NamespaceMachine

pytestmark = pytest.mark.slow

EXAMPLES = int(os.environ.get("MLQ_EXAMPLES", "100"))
SHARES = ("a", "b", "c")
LANES = [lane_of("q", functions, share) for functions in (None, ["f"]) for share in (*SHARES, None)]
SERVED = WorkerClass.of(["q"], ["q"], ["f"])
PICK = st.integers(0, 1000)
SECONDS = st.sampled_from([0.0, 0.001, 1.0, 60.0])


class Machine(NamespaceMachine):
    """One namespace and its model."""

    def __init__(self, url):
        super().__init__(url)
        self.lane_of: dict[int, str] = {}  # of all jobs
        self.places: dict[int, int] = {}
        self.waiting: set[int] = set()
        self.out = []  # attempts that run
        self.cancelled: set[int] = set()
        self.paused: set[str] = set()
        self.register()

    def register(self):
        while not self.run(work_ops.register(self.keys, SERVED, 60)):
            pass

    def pick(self, jobs, number):
        return sorted(jobs)[number % len(jobs)]

    def in_lane(self, lane):
        return sorted((one for one in self.waiting if self.lane_of[one] == lane), key=self.places.__getitem__)

    @rule(lane=st.sampled_from(LANES), count=st.integers(1, 3), priority=st.sampled_from([0, 0, 5, -5]))
    def post(self, lane, count, priority):
        options, number = JobOptions(priority=priority or None), next(self.numbers)
        bodies = [pack_body(codec.pack(None), {"priority": priority} if priority else {})] * count
        first = self.run(job_ops.post(self.keys, "poster", number, lane, bodies, when=options.when)).first
        for job_id in range(first, first + count):
            self.lane_of[job_id], self.places[job_id] = lane, job_id - priority * 2**43
            self.waiting.add(job_id)

    @rule(count=st.integers(1, 5))
    def claim(self, count):
        """As many as there are; of each lane the first ones; none of a share that is paused."""
        claimed = None
        while claimed is None:
            claimed = self.run(work_ops.claim(self.keys, "w", next(self.numbers), SERVED.name, 60, count))
            if claimed is None:
                self.register()
        open_ones = [one for one in self.waiting if self.share(one) not in self.paused]
        assert len(claimed) == min(count, len(open_ones))
        got = [int(one.id) for one in claimed]
        assert set(got) <= set(open_ones)
        for lane in LANES:
            ours = [one for one in got if self.lane_of[one] == lane]
            assert ours == self.in_lane(lane)[: len(ours)]
        self.waiting -= set(got)
        self.out += claimed

    def share(self, job_id):
        return self.lane_of[job_id].partition("|")[2]

    @precondition(lambda self: self.out)
    @rule(pick=PICK, seconds=SECONDS, fails=st.booleans())
    def settle(self, pick, seconds, fails):
        one = self.out.pop(pick % len(self.out))
        options = Record.parse(one.record).options
        outcome = Outcome(State.FAILED if fails else State.SUCCEEDED, {"result": b"\x04"}, None)
        assert self.run(settle_ops.settle(self.keys, [Ending(one, outcome, options, used=seconds)], 2)) == [True]
        if fails:
            self.run(job_ops.requeue(self.keys, one.id))
            self.waiting.add(int(one.id))

    @precondition(lambda self: self.out)
    @rule(pick=PICK, begun=st.booleans())
    def hand_back(self, pick, begun):
        one = self.out.pop(pick % len(self.out))
        assert self.run(work_ops.hand_back(self.keys, [(one, begun)])) == [True]
        self.waiting.add(int(one.id))

    @precondition(lambda self: self.waiting or self.out)
    @rule(pick=PICK)
    def cancel(self, pick):
        running = {int(one.id) for one in self.out}
        job_id = self.pick(self.waiting | running, pick)
        self.run(job_ops.cancel(self.keys, str(job_id)))
        self.waiting.discard(job_id)
        self.out = [one for one in self.out if int(one.id) != job_id]
        self.cancelled.add(job_id)

    @precondition(lambda self: self.cancelled)
    @rule(pick=PICK)
    def requeue(self, pick):
        job_id = self.pick(self.cancelled, pick)
        self.run(job_ops.requeue(self.keys, str(job_id)))
        self.cancelled.discard(job_id)
        self.waiting.add(job_id)

    @precondition(lambda self: self.waiting)
    @rule(pick=PICK)
    def delete(self, pick):
        job_id = self.pick(self.waiting, pick)
        self.run(job_ops.delete(self.keys, str(job_id)))
        self.waiting.discard(job_id)

    @rule(share=st.sampled_from(SHARES))
    def pause(self, share):
        self.paused ^= {share}
        self.run(gate_ops.pause(self.keys, Gate("share", share), "me" if share in self.paused else ""))

    @rule(share=st.sampled_from(SHARES), weight=st.sampled_from([0.5, 1, 3]))
    def weigh(self, share, weight):
        self.run(share_ops.set_weight(self.keys, share, weight))

    @rule(group=st.sampled_from(["q|", "q:f|"]))
    def lose(self, group):
        """Somebody deletes a ring: all comes back when a class is registered."""
        self.raw.delete(self.keys.lane + group)
        self.raw.zadd(f"{self.keys.class_}{SERVED.name}:ready", {":": math.inf})  # the index is to be made again
        self.register()

    @invariant()
    def lanes_are_exact(self):
        """Each job that waits is in its lane, in its place, and nowhere else."""
        for lane in LANES:
            kept = self.raw.zrange(self.keys.lane + lane, 0, -1, withscores=True)
            assert kept == [(b"%d" % one, self.places[one]) for one in self.in_lane(lane)]
        assert {name.decode() for name in self.raw.smembers(self.keys.lanes)} == {
            self.lane_of[one] for one in self.waiting
        }

    @invariant()
    def rings_have_no_others(self):
        """A ring has shares with jobs; and times are numbers."""
        for group in ("q|", "q:f|"):
            ring = self.raw.zrange(self.keys.lane + group, 0, -1, withscores=True)
            assert {name.decode() for name, _ in ring} <= {share for share in SHARES if self.in_lane(group + share)}
            assert all(math.isfinite(time) for _, time in ring)

    @invariant()
    def counts_agree(self):
        now = self.run(job_ops.counts(self.keys))
        assert (now.waiting, now.running) == (len(self.waiting), len(self.out))
        assert set(now.lanes) == {group_of(self.lane_of[one]) for one in self.waiting}

    @invariant()
    def only_what_runs_is_charged(self):
        charged = {int(one.id) for one in self.out if "|" in self.lane_of[int(one.id)]}
        for job_id in self.lane_of:
            assert self.raw.hexists(f"{self.keys.job}{job_id}", "charged") == (job_id in charged)


def test_shares(server_url):
    """No job is forgotten or claimed twice, and each lane keeps its order."""
    run_state_machine_as_test(
        lambda: Machine(server_url),
        settings=settings(
            max_examples=EXAMPLES, stateful_step_count=30, deadline=None, database=None,
            suppress_health_check=list(HealthCheck),
        ),
    )  # fmt: skip
