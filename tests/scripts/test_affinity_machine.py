"""Random posts and claims of workers that hold models, against a small model of who gets what, and who is woken.

`MLQ_EXAMPLES` says how many sequences are tried.
"""

import os
import time

import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import rule, run_state_machine_as_test

from mlq.core.checks import functions_of
from mlq.ops import jobs as job_ops
from mlq.ops import presence as presence_ops
from mlq.ops import work as work_ops
from mlq.ops.work import WorkerClass
from tests.scripts.namespaced import NamespaceMachine

pytestmark = pytest.mark.slow

EXAMPLES = int(os.environ.get("MLQ_EXAMPLES", "40"))
WAIT = 1000.0  # seconds: time passes by moving that of posts into the past, so real seconds do not decide
MODELS = ("a@1", "b@1")
LANES = ["q:f", "q:a@1", "q:b@1", "q:a@1,b@1"]
SERVED = WorkerClass.of(["q"], ["q"], ["f", *MODELS])
WORKERS = ("one", "two", "three")
NAMES = st.sampled_from(WORKERS)


class Machine(NamespaceMachine):
    """One namespace and its model."""

    def __init__(self, url):
        super().__init__(url)
        self.waiting: dict[int, str] = {}  # job: lane
        self.old: set[int] = set()
        self.living: set[str] = set()
        self.held = {name: set[str]() for name in WORKERS}
        self.token = f"{self.keys.class_}{SERVED.name}:wake"
        assert self.shell.run(work_ops.register(self.keys, SERVED, 60))

    def is_reserved(self, lane, among):
        """Whether a lane's first job is for workers that hold its models, as one of those `among` does that lives."""
        first = min(job_id for job_id, name in self.waiting.items() if name == lane)
        models = functions_of(lane) & set(MODELS)
        return bool(models) and first not in self.old and any(models <= self.held[one] for one in among & self.living)

    @rule(lane=st.sampled_from(LANES), count=st.integers(1, 3))
    def post(self, lane, count):
        first = self.shell.run(job_ops.post(self.keys, "poster", next(self.numbers), lane, [b"0\n\xc0"] * count)).first
        self.waiting |= dict.fromkeys(range(first, first + count), lane)

    @rule()
    def wait(self):
        """Whatever waits has waited for long."""
        for job_id in self.waiting.keys() - self.old:
            name = f"{self.keys.post}{job_id}"
            lane, _, rest = self.raw.get(name).split(b"\n", 2)
            self.raw.set(name, b"\n".join((lane, b"%.6f" % (time.time() - WAIT - 1), rest)))
        self.old |= self.waiting.keys()

    @rule(name=NAMES, held=st.sets(st.sampled_from(MODELS)), lives=st.booleans())
    def tell(self, name, held, lives):
        """What a worker that dies held stays there, and counts for nothing."""
        self.shell.run(presence_ops.hold(self.keys, name, held, self.held[name] - held))
        self.raw.zadd(self.keys.workers, {name: time.time() + (60 if lives else -60)})
        (self.living.add if lives else self.living.discard)(name)
        self.held[name] = held

    @rule(name=NAMES, count=st.integers(1, 3), waits=st.sampled_from([True, True, True, False]))
    def claim(self, name, count, waits):
        """The oldest of the lanes that are not for others; what is left to anybody wakes anybody."""
        lanes = {
            lane for lane in self.waiting.values()
            if not waits or functions_of(lane) & set(MODELS) <= self.held[name]
            or not self.is_reserved(lane, set(WORKERS) - {name})
        }  # fmt: skip
        due = [job_id for job_id, lane in sorted(self.waiting.items()) if lane in lanes][:count]
        self.raw.delete(self.token)
        number, wait = next(self.numbers), WAIT if waits else 0.0
        op = work_ops.claim(self.keys, name, number, SERVED.name, 60, count, b"", wait)
        claimed = self.shell.run(op)
        assert [int(one.id) for one in claimed] == due
        taken = {model for job_id in due for model in functions_of(self.waiting.pop(job_id)) & set(MODELS)}
        self.held[name] |= taken if waits else set()
        left = set(self.waiting.values())
        anybody = {lane for lane in left if not self.is_reserved(lane, {*WORKERS})}
        holds_rest = waits and name not in self.living  # it counts for what it has taken, as it must live
        assert self.raw.exists(self.token) or not anybody or holds_rest
        passed = {lane for lane in left if waits and lane not in lanes}
        if len(due) < count:  # else it claims again, and need not have read so far
            assert (claimed.again is not None) == bool(passed)
        if waits and not self.raw.exists(self.token) and left:
            self.some_holder_is_woken(left, name)

    def some_holder_is_woken(self, lanes, name):
        """Of each lane that is left, unless this worker alone holds its models."""
        for lane in lanes:
            models = functions_of(lane) & set(MODELS)
            others = {one for one in self.living - {name} if models <= self.held[one]}
            heard = {one for one in others if self.raw.llen(self.keys.inbox + one)}
            assert heard or not others

    def drain(self):
        """Nothing is left behind when all have waited."""
        self.wait()
        while self.waiting:
            self.claim("one", 4, waits=True)


def test_who_gets_jobs_of_models(server_url):
    """The oldest that are not for others; and nothing waits without anybody being woken."""

    class Draining(Machine):
        def __init__(self):
            super().__init__(server_url)

        def teardown(self):
            try:
                self.drain()
            finally:
                super().teardown()

    run_state_machine_as_test(
        Draining,
        settings=settings(
            max_examples=EXAMPLES, stateful_step_count=30, deadline=None, database=None,
            suppress_health_check=list(HealthCheck),
        ),
    )  # fmt: skip
