"""What runs together, and how many slots it takes."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlq.core.job import Claimed
from mlq.worker.attempt import Attempt, Stage
from mlq.worker.batch import Batch, slots_of, units
from mlq.worker.slots import Slots


def attempt(number: int = 1, batch: int = 1, together: int = 0) -> Attempt:
    """An attempt of a claim."""
    return Attempt(Claimed(str(number), 1, "t", "w", 0.0, b"record", 0, together, batch))


def ids(members: list[Attempt]) -> list[int]:
    return [int(member.claimed.id) for member in members]


def test_units_are_batches_and_attempts_that_run_by_themselves():
    attempts = [attempt(1, 1), attempt(2, 0), attempt(3, 1), attempt(4, 2)]
    alone, one, two = units(attempts)
    assert alone is attempts[1]
    assert (ids(one.members), ids(two.members)) == ([1, 3], [4])
    assert slots_of(each.claimed for each in attempts) == 3
    assert slots_of([]) == 0


@pytest.mark.parametrize(
    ("lost", "parts"),
    [
        ([0] * 8, [8]),
        ([1] * 8, [4, 4]),
        ([2] * 8, [2, 2, 2, 2]),
        ([9] * 3, [1, 1, 1]),
        ([0] * 6 + [1, 1], [6, 2]),  # those that were never lost first; with others beside them, no more than half
        ([1, 0, 0, 0], [2, 2]),
    ],
)
def test_what_was_lost_together_is_run_in_halves(lost, parts):
    attempts = [attempt(number, 1, together) for number, together in enumerate(lost)]
    found = [batch.members for batch in units(attempts)]
    assert sum(map(len, found)) == len(lost)
    assert all(len(part) <= max(1, len(lost) >> max(one.claimed.together for one in part)) for part in found)
    if len(set(lost)) == 1:
        assert [len(part) for part in found] == parts


@settings(deadline=None, database=None)
@given(lost=st.lists(st.integers(0, 6), min_size=1, max_size=40))
def test_halving_loses_nobody(lost):
    attempts = [attempt(number, 1, together) for number, together in enumerate(lost)]
    found = [batch.members for batch in units(attempts)]
    assert sorted(number for part in found for number in ids(part)) == list(range(len(lost)))
    assert all(part for part in found)
    assert all(len(part) <= max(1, len(lost) >> max(one.claimed.together for one in part)) for part in found)


def test_a_batch_takes_one_slot_until_its_last_job_is_settled():
    slots, members = Slots(), [attempt(number) for number in range(3)]
    slots.resize(1)
    batch = Batch(members)
    assert slots.take(5) == 1
    assert slots.admit([batch]) == [batch]
    assert slots.let_go(members[:2]) == []
    assert slots.free() == 0
    freed = slots.let_go(members[2:])
    slots.give(len(freed))
    slots.hold_again(freed)  # the server could not be reached
    assert (freed, slots.let_go(members)) == ([members[2]], [members[2]])
    slots.give(1)
    assert slots.finish(batch) is None
    assert (slots.free(), slots.overdrawn()) == (1, False)


def test_a_batch_may_begin_while_any_of_its_jobs_is_held():
    members = [attempt(number) for number in range(2)]
    batch, slots = Batch(members), Slots()
    members[0].end(Stage.HANDED_BACK)
    assert (batch.stage, batch.is_over()) == (Stage.CLAIMED, False)
    members[1].end(Stage.HANDED_BACK)
    assert batch.is_over()
    slots.resize(1)
    assert slots.admit([batch]) == []
