"""Random posts, claims and returns over lanes and classes of workers that come and go, against a small model.

The other machine (test_state_machine.py) has all that happens to jobs; this one has many lanes, and what workers serve.
`MLQ_EXAMPLES` says how many sequences are tried.
"""

import math
import os

import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import invariant, precondition, rule, run_state_machine_as_test

from mlq.core import codec
from mlq.core.checks import functions_of, queue_of
from mlq.core.job_options import JobOptions, pack_body
from mlq.ops import data as data_ops
from mlq.ops import jobs as job_ops
from mlq.ops import work as work_ops
from mlq.ops.work import WorkerClass
from tests.scripts.namespaced import NamespaceMachine

pytestmark = pytest.mark.slow

EXAMPLES = int(os.environ.get("MLQ_EXAMPLES", "100"))
QUEUES, FUNCTIONS = ("a", "b"), ("f", "g")
LANES = [f"{queue}{named}" for queue in QUEUES for named in ("", ":f", ":g", ":f,g")]
# What a class serves: its queues, those of whose jobs that name no functions, and its functions.
SERVED = [
    (queues, plain, functions)
    for queues in (("a",), ("b",), ("a", "b"))
    for plain in ((), queues)
    for functions in ((), ("f",), ("f", "g"))
]
PICK = st.integers(0, 1000)


def serves(served, lane):
    """Whether a class serves a lane: said in another way than in Lua."""
    queues, plain, functions = served
    needed = functions_of(lane)
    return queue_of(lane) in (queues if needed else plain) and needed <= set(functions)


def class_of(served):
    queues, plain, functions = served
    return WorkerClass.of(plain, queues, functions)


class Machine(NamespaceMachine):
    """One namespace and its model."""

    def __init__(self, url):
        super().__init__(url)
        self.waiting: dict[int, str] = {}  # job: lane
        self.priorities: dict[int, int] = {}  # of all jobs
        self.out = []  # attempts that run
        self.gone: dict[int, str] = {}  # cancelled ones
        self.registered = set()

    def in_turn(self):
        """The jobs that wait, in order: those with the larger priority first."""
        return sorted(self.waiting, key=lambda job_id: (-self.priorities[job_id], job_id))

    def heads(self):
        """The place of the first job of each lane that has some."""
        found: dict[str, int] = {}
        for job_id in self.in_turn():
            found.setdefault(self.waiting[job_id], job_id - self.priorities[job_id] * 2**43)
        return found

    @rule(lane=st.sampled_from(LANES), count=st.integers(1, 3), priority=st.sampled_from([0, 0, 0, 5, 100, -5, -100]))
    def post(self, lane, count, priority):
        options, number = JobOptions(priority=priority or None), next(self.numbers)
        bodies = [pack_body(codec.pack(None), {"priority": priority} if priority else {})] * count
        first = self.run(job_ops.post(self.keys, "poster", number, lane, bodies, when=options.when)).first
        self.waiting |= dict.fromkeys(range(first, first + count), lane)
        self.priorities |= dict.fromkeys(range(first, first + count), priority)

    @rule(served=st.sampled_from(SERVED), count=st.integers(1, 5))
    def claim(self, served, count):
        """The first of what it serves; who is not registered is told so."""
        name = class_of(served).name
        claimed = self.run(work_ops.claim(self.keys, name, next(self.numbers), name, 60, count))
        if served not in self.registered:
            assert claimed is None
            return
        due = [job_id for job_id in self.in_turn() if serves(served, self.waiting[job_id])]
        assert [int(one.id) for one in claimed] == due[:count]
        for one in claimed:
            del self.waiting[int(one.id)]
        self.out += claimed
        assert not due[count:] or self.raw.llen(f"{self.keys.class_}{name}:wake") == 1  # the token is passed on

    @rule(served=st.sampled_from(SERVED))
    def register(self, served):
        assert self.run(work_ops.register(self.keys, class_of(served), 60))
        self.registered.add(served)

    @precondition(lambda self: self.registered)
    @rule(pick=PICK, by=st.sampled_from(SERVED))
    def lapse(self, pick, by):
        """A class of which no worker lives is dropped when one of another class says that it lives."""
        served = sorted(self.registered)[pick % len(self.registered)]
        if by != served:
            self.raw.zadd(self.keys.classes, {class_of(served).name: 1})
            self.registered.discard(served)
            self.register(by)

    @precondition(lambda self: self.out)
    @rule(pick=PICK)
    def hand_back(self, pick):
        """The job is where it was."""
        one = self.out.pop(pick % len(self.out))
        assert self.run(work_ops.hand_back(self.keys, [(one, True)])) == [True]
        self.waiting[int(one.id)] = one.record.split(b"\n")[0].decode()

    @precondition(lambda self: self.waiting)
    @rule(pick=PICK)
    def cancel(self, pick):
        job_id = sorted(self.waiting)[pick % len(self.waiting)]
        self.run(job_ops.cancel(self.keys, str(job_id)))
        self.gone[job_id] = self.waiting.pop(job_id)

    @precondition(lambda self: self.gone)
    @rule(pick=PICK)
    def requeue(self, pick):
        job_id = sorted(self.gone)[pick % len(self.gone)]
        self.run(job_ops.requeue(self.keys, str(job_id)))
        self.waiting[job_id] = self.gone.pop(job_id)

    @rule()
    def clear(self):
        """Everything but what is served."""
        cursor = ""
        while cursor != "0":  # other tests may keep thousands of keys on this server
            cursor, names = self.run(data_ops.scan(self.keys, cursor or "0"))
            if names:
                self.run(data_ops.unlink(names))
        self.waiting, self.out, self.gone = {}, [], {}
        for served in sorted(self.registered):  # they notice by and by that what was there is gone
            for _ in LANES:
                self.claim(served, 5)

    @invariant()
    def each_index_is_exact(self):
        """Nor is anything kept of lanes that are empty, or of classes that nobody registered."""
        heads = self.heads()
        assert {name.decode() for name in self.raw.smembers(self.keys.lanes)} == heads.keys()
        for served in SERVED:
            stem = self.keys.class_ + class_of(served).name
            if served in self.registered:
                ready = self.raw.zrange(f"{stem}:ready", 0, -1, withscores=True)
                known = {lane: head for lane, head in heads.items() if serves(served, lane)}
                assert {name.decode(): place for name, place in ready} == known | {"": math.inf}
            else:
                assert not self.raw.exists(*(f"{stem}:{what}" for what in ("ready", "serves", "wake", "cursor")))
        if not self.registered:
            assert not list(self.raw.scan_iter(f"{self.keys.serves}*".replace("-", "\\-"), count=1000))

    @invariant()
    def counts_agree(self):
        now = self.run(job_ops.counts(self.keys))
        assert (now.waiting, now.running) == (len(self.waiting), len(self.out))


def test_lanes_and_classes_that_come_and_go(server_url):
    """No job is forgotten, none is claimed by who can't run it, and of the largest priority, the oldest goes first."""
    run_state_machine_as_test(
        lambda: Machine(server_url),
        settings=settings(
            max_examples=EXAMPLES, stateful_step_count=30, deadline=None, database=None,
            suppress_health_check=list(HealthCheck),
        ),
    )  # fmt: skip
