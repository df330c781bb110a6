"""Fairness: whatever jobs take, shares that wait get their parts of the time, within a job of each at every moment."""

import contextlib
import heapq
import itertools
import uuid

import hypothesis.strategies as st
import pytest
import redis
from hypothesis import HealthCheck, given, settings

from mlq.core import codec
from mlq.core.checks import lane_of
from mlq.core.job import Outcome, Record
from mlq.core.job_options import pack_body
from mlq.core.keys import Keys
from mlq.core.states import State
from mlq.ops import jobs as job_ops
from mlq.ops import settling as settle_ops
from mlq.ops import shares as share_ops
from mlq.ops import work as work_ops
from mlq.ops.settling import Ending
from mlq.ops.work import WorkerClass
from mlq.shell.sync import Shell
from mlq.shell.target import Target

SERVED = WorkerClass.of(["q"], [], [])
SHARES = "abcd"
JOBS = 60  # that run in one example
UNKNOWN = 1.0  # seconds that a job is taken to last before anything is known of such jobs
DURATIONS = st.lists(st.sampled_from([0.01, 0.5, 1.0, 3.0, 20.0, 60.0]), min_size=1, max_size=4)


class Place:
    """A namespace in which time is simulated."""

    def __init__(self, shell, slots):
        self.keys, self.shell, self.slots = Keys(f"fair-{uuid.uuid4().hex}"), shell, slots
        self.numbers = itertools.count(1)
        self.now, self.out, self.used = 0.0, [], dict.fromkeys(SHARES, 0.0)
        while not shell.run(work_ops.register(self.keys, SERVED, 600)):
            pass

    def post(self, share):
        """More jobs than will run."""
        bodies = [pack_body(codec.pack(None), {})] * JOBS
        self.shell.run(job_ops.post(self.keys, "poster", next(self.numbers), lane_of("q", None, share), bodies))

    def step(self, durations):
        """Fill the slots; then one job ends."""
        claimed = self.shell.run(
            work_ops.claim(self.keys, "w", next(self.numbers), SERVED.name, 600, self.slots - len(self.out))
        )
        for one in claimed:
            share = Record.parse(one.record).options.share
            heapq.heappush(self.out, (self.now + next(durations[share]), int(one.id), self.now, share, one))
        self.now, _, began, share, one = heapq.heappop(self.out)
        self.used[share] += self.now - began
        ending = Ending(one, Outcome(State.SUCCEEDED, {"result": b"\x04"}, None), Record.parse(one.record).options,
                        used=self.now - began)  # fmt: skip
        assert self.shell.run(settle_ops.settle(self.keys, [ending], 2)) == [True]

    def clean(self, url):
        with contextlib.closing(redis.Redis.from_url(url)) as raw:
            if names := list(raw.scan_iter(f"{{{self.keys.namespace}}}*".replace("-", "\\-"), count=10_000)):
                raw.delete(*names)


@pytest.mark.slow
@settings(max_examples=60, deadline=None, database=None, suppress_health_check=list(HealthCheck))
@given(
    durations=st.fixed_dictionaries(dict.fromkeys(SHARES, DURATIONS)),
    weights=st.fixed_dictionaries({share: st.sampled_from([1, 1, 0.5, 3]) for share in SHARES}),
    slots=st.integers(1, 4),
    late=st.integers(0, JOBS // 2),
)
def test_time_for_the_weight_is_equal(server_url, durations, weights, slots, late):
    """Of shares that wait all the time, as far as whole jobs allow: one of each for each slot, at every moment.

    The share `d` comes late: what the others had before does not count, and it is not behind or ahead for it by more
    than another job.
    """
    with contextlib.closing(Shell(Target(server_url, "arguments"))) as shell:
        place = Place(shell, slots)
        for share, weight in weights.items():
            shell.run(share_ops.set_weight(place.keys, share, weight))
        for share in "abc":
            place.post(share)
        # with several slots, a job is charged what others took until it ends
        of_all = max(UNKNOWN, *itertools.chain(*durations.values()))
        longest = {one: (max(given) if slots == 1 else of_all) / weights[one] for one, given in durations.items()}
        cycles = {share: itertools.cycle(given) for share, given in durations.items()}
        begun = dict.fromkeys(SHARES, 0.0)
        for number in range(JOBS):
            if number == late:
                place.post("d")
                begun = dict(place.used)
            place.step(cycles)
            for one, other in itertools.combinations("abcd" if number > late else "abc", 2):
                had = [
                    (place.used[share] - ("d" in (one, other)) * begun[share]) / weights[share]
                    for share in (one, other)
                ]
                jobs = slots + (1 if "d" in (one, other) else 0)
                assert abs(had[0] - had[1]) <= jobs * (longest[one] + longest[other]) + 1e-6
        place.clean(server_url)


@pytest.mark.parametrize("slots", [1, 5])
def test_two_users_of_unequal_jobs(server_url, slots):
    """Jobs of 60 s and of 1 s: half of the time each, which is 60 short jobs for each long one."""
    with contextlib.closing(Shell(Target(server_url, "arguments"))) as shell:
        place = Place(shell, slots)
        for share in "ab":
            for _ in range(20 * slots):
                place.post(share)
        cycles = {"a": itertools.cycle([60.0]), "b": itertools.cycle([1.0])}
        for _ in range(300 * slots):
            place.step(cycles)
        assert abs(place.used["a"] - place.used["b"]) <= 61 * slots
        assert place.used["b"] > 100 * slots
        place.clean(server_url)
