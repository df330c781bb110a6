"""Random limits, rates and pauses beside posts, claims and ends over lanes and classes of workers.

A small model says what must be so.

The laws: no more run than a limit says, and no more start within the time of a rate; nothing begins that is paused; of
what may begin, a claim gets the first; and as long as something may begin, no worker that serves it rests.
`MLQ_EXAMPLES` says how many sequences are tried.
"""

import os
import time
from collections import defaultdict

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

from mlq.core import codec
from mlq.core.checks import functions_of, queue_of
from mlq.core.job import Outcome, Record
from mlq.core.job_options import JobOptions, pack_body
from mlq.core.limit import Gate, Limit
from mlq.core.states import State
from mlq.ops import gates as gate_ops
from mlq.ops import jobs as job_ops
from mlq.ops import settling as settle_ops
from mlq.ops import work as work_ops
from mlq.ops.settling import Ending
from mlq.ops.work import WorkerClass
from tests.scripts.namespaced import NamespaceMachine

pytestmark = pytest.mark.slow

EXAMPLES = int(os.environ.get("MLQ_EXAMPLES", "100"))
QUEUES, FUNCTIONS, RESOURCES = ("a", "b"), ("f", "g"), ("r", "s")
LANES = [f"{queue}{named}" for queue in QUEUES for named in ("", ":f", ":g", ":f,g")]
GATES = [
    Gate("queue", "a"),
    *(Gate("function", name) for name in FUNCTIONS),
    Gate("resource", "r"),
    Gate("resource", "s"),
]
SERVED = [(("a", "b"), ("f", "g")), (("a",), ("f",)), (("b",), ("f", "g"))]  # queues, functions
RATES = ["1/m", "2/m", "3/h"]
LIMITS = st.one_of(
    st.builds(Limit.of, st.just(GATES[0]), st.sampled_from([1, 2, 3]), st.sampled_from([None, *RATES])),
    st.builds(Limit.of, st.just(GATES[0]), st.none(), st.sampled_from(RATES)),
)
PICK = st.integers(0, 1000)
ONE_GATE = st.sampled_from(GATES)
CHANGES = st.one_of(
    st.tuples(st.just("limit"), ONE_GATE, LIMITS),
    st.tuples(st.just("limit"), ONE_GATE, LIMITS),
    st.tuples(st.just("unlimit"), ONE_GATE),
    st.tuples(st.just("pause"), ONE_GATE, st.sampled_from(["me", ""])),
    st.tuples(st.just("declare"), st.sampled_from([":f", ":g", "a"]), st.sampled_from([(), ("r",), ("r", "s")])),
)


def class_of(served):
    queues, functions = served
    return WorkerClass.of(queues, queues, functions)


def serves(served, lane):
    queues, functions = served
    return queue_of(lane) in queues and functions_of(lane) <= set(functions)


class Machine(NamespaceMachine):
    """One namespace and its model."""

    def __init__(self, url):
        super().__init__(url)
        self.now = 0.0  # what rates go by; the server's clock stands still beside it
        self.waiting: dict[int, str] = {}  # job: lane
        self.priorities: dict[int, int] = {}
        self.out = []  # attempts that run
        self.lost = set()  # jobs whose lease lapsed once
        self.gone: dict[int, str] = {}  # cancelled
        self.limits: dict[Gate, Limit] = {}
        self.paused: set[Gate] = set()
        self.uses: dict[str, list[str]] = {}
        self.held = defaultdict(set)  # leases by gate
        self.starts = defaultdict(dict)  # time by lease, by gate

    # The model

    def gates_of(self, lane):
        functions = functions_of(lane)
        names = [("queue", queue_of(lane)), *(("function", name) for name in functions)]
        for what in [f":{name}" for name in functions] or [queue_of(lane)]:
            names += [("resource", name) for name in self.uses.get(what, ())]
        return {Gate(*name) for name in names}

    def is_open(self, gate):
        limit = self.limits.get(gate, Limit())
        if gate in self.paused or (limit.running and len(self.held[gate]) >= limit.running):
            return False
        if limit.starts:
            begun = [at for at in self.starts[gate].values() if self.now - at < limit.per]
            return len(begun) < limit.starts
        return True

    def may_begin(self, lane):
        return all(self.is_open(gate) for gate in self.gates_of(lane))

    def take(self, lane, lease):
        for gate in self.gates_of(lane):
            limit = self.limits.get(gate, Limit())
            if limit.running:
                self.held[gate].add(lease)
            if limit.starts:
                self.starts[gate] = {one: at for one, at in self.starts[gate].items() if self.now - at < limit.per}
                self.starts[gate][lease] = self.now

    def free(self, lease, *, unbegun=False):
        for gate in GATES:
            self.held[gate].discard(lease)
            if unbegun:
                self.starts[gate].pop(lease, None)

    def in_turn(self, served):
        due = [job_id for job_id in self.waiting if serves(served, self.waiting[job_id])]
        return sorted(due, key=lambda job_id: (-self.priorities[job_id], job_id))

    # What happens

    @rule(lane=st.sampled_from(LANES), count=st.integers(1, 3), priority=st.sampled_from([0, 0, 0, 5, -5]))
    def post(self, lane, count, priority):
        options, number = JobOptions(priority=priority or None), next(self.numbers)
        bodies = [pack_body(codec.pack(None), {"priority": priority} if priority else {})] * count
        first = self.run(job_ops.post(self.keys, "poster", number, lane, bodies, when=options.when)).first
        self.waiting |= dict.fromkeys(range(first, first + count), lane)
        self.priorities |= dict.fromkeys(range(first, first + count), priority)

    @rule(served=st.sampled_from(SERVED), count=st.integers(1, 5), whole=st.booleans())
    def claim(self, served, count, whole):
        """The first that may begin; with fewer than there are, the worker is woken to go on."""
        name = class_of(served).name
        while True:
            while (claimed := self.run(work_ops.claim(self.keys, name, next(self.numbers), name, 60, count))) is None:
                assert self.run(work_ops.register(self.keys, class_of(served), 60))
            for one in claimed:
                first = next(job for job in self.in_turn(served) if self.may_begin(self.waiting[job]))
                assert int(one.id) == first
                self.take(self.waiting.pop(first), one.lease)
            self.out += claimed
            left = [job for job in self.in_turn(served) if self.may_begin(self.waiting[job])]
            if not left:
                return
            assert self.raw.llen(f"{self.keys.class_}{name}:wake") == 1  # the token is passed on
            if not whole:
                return

    @precondition(lambda self: self.out)
    @rule(pick=PICK, retry=st.booleans())
    def settle(self, pick, retry):
        one = self.out.pop(pick % len(self.out))
        verdict = {"retry_in": 600.0} if retry else {}
        outcome = Outcome(State.FAILED if retry else State.SUCCEEDED, {"result": b"\x01"})
        ending = Ending(one, outcome, Record.parse(one.record).options, **verdict)
        assert self.run(settle_ops.settle(self.keys, [ending], 1)) == [True]
        self.free(one.lease)

    @precondition(lambda self: self.out)
    @rule(pick=PICK, begun=st.booleans())
    def hand_back(self, pick, begun):
        one = self.out.pop(pick % len(self.out))
        assert self.run(work_ops.hand_back(self.keys, [(one, begun)])) == [True]
        self.free(one.lease, unbegun=not begun)
        self.waiting[int(one.id)] = one.record.split(b"\n")[0].decode()

    @precondition(lambda self: [one for one in self.out if one.id not in self.lost])
    @rule(pick=PICK)
    def lapse(self, pick):
        """The worker died."""
        able = [one for one in self.out if one.id not in self.lost]
        one = able[pick % len(able)]
        self.out.remove(one)
        self.raw.zadd(self.keys.leases, {one.lease: time.time() - 1})
        self.look()
        self.lost.add(one.id)
        self.free(one.lease)
        self.waiting[int(one.id)] = one.record.split(b"\n")[0].decode()

    @precondition(lambda self: self.waiting or self.out)
    @rule(pick=PICK)
    def cancel(self, pick):
        able = [*sorted(self.waiting), *self.out]
        chosen = able[pick % len(able)]
        if isinstance(chosen, int):
            self.run(job_ops.cancel(self.keys, str(chosen)))
            self.gone[chosen] = self.waiting.pop(chosen)
        else:
            self.run(job_ops.cancel(self.keys, chosen.id))
            self.out.remove(chosen)
            self.free(chosen.lease)
            self.gone[int(chosen.id)] = chosen.record.split(b"\n")[0].decode()

    @precondition(lambda self: self.gone)
    @rule(pick=PICK)
    def requeue(self, pick):
        job_id = sorted(self.gone)[pick % len(self.gone)]
        self.run(job_ops.requeue(self.keys, str(job_id)))
        self.waiting[job_id] = self.gone.pop(job_id)
        self.lost.discard(str(job_id))

    @initialize(changes=st.lists(CHANGES, max_size=4), lanes=st.lists(st.sampled_from(LANES), min_size=1, max_size=4))
    def begin(self, changes, lanes):
        """In the middle of things."""
        for served in SERVED:
            self.register(served)
        for lane in lanes:
            self.post(lane, 3, 0)
        for change in changes:
            self.change(change)

    @rule(change=CHANGES)
    def change(self, change):
        """A person's; one rule, so that there are more claims and ends than changes."""
        name, *values = change
        getattr(self, name)(*values)

    def limit(self, gate, limit):
        before = self.limits.get(gate, Limit())
        assert self.run(gate_ops.limit(self.keys, gate, limit)) == (limit != before)
        self.limits[gate] = limit
        if limit.running and not before.running:
            lanes = {one.lease: one.record.split(b"\n")[0].decode() for one in self.out}
            self.held[gate] |= {lease for lease, lane in lanes.items() if gate in self.gates_of(lane)}
        self.forget(gate, limit)

    def unlimit(self, gate):
        assert self.run(gate_ops.limit(self.keys, gate, None)) == (gate in self.limits)
        self.limits.pop(gate, None)
        self.forget(gate, Limit())

    def forget(self, gate, limit):
        if not limit.running:
            self.held[gate].clear()
        if not limit.starts:
            self.starts[gate].clear()

    def pause(self, gate, by):
        assert self.run(gate_ops.pause(self.keys, gate, by)) == ((gate in self.paused) != bool(by))
        self.paused = self.paused | {gate} if by else self.paused - {gate}

    def declare(self, what, names):
        self.run(gate_ops.declare_uses(self.keys, {what: [Gate("resource", name) for name in names]}))
        self.uses[what] = list(names)

    @rule(seconds=st.sampled_from([30, 61, 3601]))
    def time_passes(self, seconds):
        """For rates."""
        self.now += seconds
        root = self.keys.root
        for name in (*(f"{root}starts:{gate}" for gate in GATES), f"{root}opening"):
            for one, at in self.raw.zrange(name, 0, -1, withscores=True):
                self.raw.zadd(name, {one: f"{at - seconds:.6f}"})
        self.look()

    def look(self):
        self.raw.hset(self.keys.reaping, mapping={"at": time.time(), "hold": 0})
        self.raw.expire(self.keys.reaping, 60)
        self.run(work_ops.reap(self.keys, 3.0, 2.0, 5))

    @rule(served=st.sampled_from(SERVED))
    def register(self, served):
        assert self.run(work_ops.register(self.keys, class_of(served), 60))

    # The laws

    @invariant()
    def places_agree(self):
        for gate in GATES:
            if self.limits.get(gate, Limit()).running:
                held = {one.decode() for one in self.raw.smembers(f"{self.keys.root}running:{gate}")}
                assert held == self.held[gate]

    @invariant()
    def nobody_rests_while_something_may_begin(self):
        for served in SERVED:
            name = class_of(served).name
            if self.raw.zscore(self.keys.classes, name) is None:
                continue
            if any(self.may_begin(self.waiting[job]) for job in self.in_turn(served)):
                assert not self.run(work_ops.rests(self.keys, name))

    @invariant()
    def nothing_is_left_of_gates_that_are_gone(self):
        if not self.limits and not self.paused:
            names = self.raw.scan_iter(f"{self.keys.root}*".replace("-", "\\-"), count=1000)
            stems = tuple(
                f"{self.keys.root}{stem}".encode() for stem in ("gates", "limits", "paused", "running:", "starts:")
            )
            assert not [name for name in names if name.startswith(stems)]


def test_limits_rates_and_pauses(server_url):
    """Nothing begins that may not, and what may begin does."""
    run_state_machine_as_test(
        lambda: Machine(server_url),
        settings=settings(
            max_examples=EXAMPLES, stateful_step_count=40, deadline=None, database=None,
            suppress_health_check=list(HealthCheck),
        ),
    )  # fmt: skip
