"""Workers and persons who act on one schedule by what they saw a while ago, against a small model of it.

`MLQ_EXAMPLES` says how many sequences are tried.
"""

import os

import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import invariant, precondition, rule, run_state_machine_as_test

from mlq.core import codec
from mlq.core.job import Record
from mlq.core.schedule import BY_CODE, BY_PERSON, Firing, schedule_of
from mlq.errors import ScheduleConflict, UnknownSchedule
from mlq.ops import jobs as job_ops
from mlq.ops import schedules as schedule_ops
from tests.scripts.namespaced import NamespaceMachine

pytestmark = pytest.mark.slow

EXAMPLES = int(os.environ.get("MLQ_EXAMPLES", "40"))
FIRST = 1_700_000_000.0  # all ticks are of the past, so the schedule is due whenever it is not paused
WORKERS = st.sampled_from(["one", "two", "three"])
DECLARATIONS = [
    schedule_of("s", None, every, None, "once", overlap, message, None, ["f"], {})
    for every, overlap, message in [(60, "queue", "a"), (60, "queue", "b"), (60, "skip", "a"), (90, "queue", "a")]
]


class Machine(NamespaceMachine):
    """One schedule, what each worker saw of it last, and the calls that it sent."""

    def __init__(self, url):
        super().__init__(url)
        self.seen = {}  # by worker
        self.sent = []  # ops, any of which may arrive again, with what was done by then
        self.declared = None
        self.owner = ""
        self.due = FIRST  # None: paused
        self.is_paused = False
        self.jobs = []  # the declaration and the tick of each
        self.last_ended = True
        self.declare_as(0, BY_CODE)

    @rule(which=st.sampled_from(range(len(DECLARATIONS))), owner=st.sampled_from([BY_CODE, BY_PERSON]))
    def declare(self, which, owner):
        self.declare_as(which, owner)

    def declare_as(self, which, owner):
        wanted = DECLARATIONS[which]
        first = FIRST + 10_000 * next(self.numbers)
        op = schedule_ops.declare(self.keys, wanted, first, owner)
        if self.declared not in (None, which) and (self.owner, owner) == (BY_CODE, BY_PERSON):
            with pytest.raises(ScheduleConflict):
                self.shell.run(op)
            return
        word = self.shell.run(op)
        assert word == ("new" if self.declared is None else "same" if self.declared == which else "changed")
        before = None if self.declared is None else DECLARATIONS[self.declared].timing
        if wanted.timing != before:
            self.due = first
        self.owner = BY_CODE if word == "same" and self.owner == BY_CODE else owner
        self.declared = which

    @rule()
    def pause(self):
        if self.declared is None:
            with pytest.raises(UnknownSchedule):
                self.shell.run(schedule_ops.pause(self.keys, "s"))
        else:
            self.shell.run(schedule_ops.pause(self.keys, "s"))
            self.is_paused = True

    @precondition(lambda self: self.declared is not None)
    @rule()
    def resume(self):
        known = self.shell.run(schedule_ops.one(self.keys, "s"))[1]
        assert self.shell.run(schedule_ops.resume(self.keys, known, known.anchor + 1000))
        if self.is_paused:
            self.due, self.is_paused = known.anchor + 1000, False

    @precondition(lambda self: self.declared is not None and len(self.jobs) > 1)
    @rule()
    def remove(self):
        self.shell.run(schedule_ops.remove(self.keys, "s"))
        self.declared, self.is_paused, self.last_ended = None, False, True

    @rule(worker=WORKERS)
    def look(self, worker):
        found = self.shell.run(schedule_ops.due(self.keys))[1]
        assert len(found) == (self.declared is not None and not self.is_paused)
        if found:
            self.seen[worker] = found[0], self.declared
            assert (float(found[0].due), found[0].schedule()) == (self.due, DECLARATIONS[self.declared])

    @rule(worker=WORKERS, count=st.integers(0, 2), looks=st.booleans())
    def fire(self, worker, count, looks):
        if looks:
            self.look(worker)
        if worker not in self.seen:
            return
        known, which = self.seen[worker]
        at, wanted = float(known.due), DECLARATIONS[which]
        count = count if at else 0  # as workers do: it is only computed when it is due
        firing = Firing([at + 60 * i for i in range(count)], (at or FIRST) + 60 * max(1, count), 0)
        op = schedule_ops.fire(self.keys, known, wanted, firing, (worker, next(self.numbers)), "")
        before = self.shell.run(schedule_ops.one(self.keys, "s"))[1].changed if self.declared is not None else ""
        fired = self.shell.run(op)
        is_same = before == known.changed and not self.is_paused and self.due == at and self.declared == which
        overlaps = is_same and wanted.overlap == "skip" and not self.last_ended and count > 0
        assert fired.word == (("overlaps" if overlaps else "posted" if count else "none") if is_same else "other")
        if is_same:
            self.due = firing.next
        if fired.word == "posted":
            self.jobs += [(which, tick) for tick in firing.ticks]
            self.last_ended = False
            self.sent.append(op)

    @precondition(lambda self: self.declared is not None)
    @rule(worker=WORKERS, count=st.integers(1, 2))
    def look_and_fire(self, worker, count):
        if self.is_paused:
            self.resume()
        self.fire(worker, count, looks=True)

    @precondition(lambda self: self.sent)
    @rule(data=st.data())
    def arrive_again(self, data):
        """A call whose reply was lost, or that a slow network delivers twice, does nothing more."""
        op = data.draw(st.sampled_from(self.sent))
        assert self.shell.run(op).word in ("posted", "other")

    @precondition(lambda self: self.jobs and not self.last_ended)
    @rule(gone=st.booleans())
    def end(self, gone):
        """The last job ends, or is deleted."""
        job_id = str(len(self.jobs))
        self.shell.run((job_ops.delete if gone else job_ops.cancel)(self.keys, job_id))
        self.last_ended = True

    @rule()
    def set_back(self):
        """The clock is set back: nobody knows when the schedule is due, until a worker computes it."""
        self.raw.zunionstore(self.keys.schedule_due, {self.keys.schedule_due: 0})
        if self.declared is not None and not self.is_paused:
            self.due = 0.0

    @invariant()
    def jobs_are_as_in_the_model(self):
        """One for each tick, of the declaration that was in force, in order."""
        assert int(self.raw.get(self.keys.counter) or 0) == len(self.jobs)
        for number, (which, tick) in list(enumerate(self.jobs, 1))[-3:]:
            if (record := self.raw.get(f"{self.keys.post}{number}")) is not None:
                read = Record.parse(record)
                assert read.options.tick.at == tick
                assert codec.unpack(read.message) == DECLARATIONS[which].shown_message
        due = self.raw.zscore(self.keys.schedule_due, "s")
        assert due == (None if self.declared is None or self.is_paused else self.due)


def test_any_order_of_looks_and_changes(server_url):
    """No tick twice, none of an old declaration, none of a pause."""

    class Here(Machine):
        def __init__(self):
            super().__init__(server_url)

    run_state_machine_as_test(
        Here,
        settings=settings(
            max_examples=EXAMPLES, stateful_step_count=60, deadline=None, database=None,
            suppress_health_check=list(HealthCheck),
        ),
    )  # fmt: skip
