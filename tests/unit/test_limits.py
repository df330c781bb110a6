"""What counts for `per_worker`, and the classes of a worker whose listeners close and open."""

import pytest

from mlq.core.job import Claimed
from mlq.running.listeners import Listener, Listeners
from mlq.worker import classes
from mlq.worker.attempt import Attempt, Stage
from mlq.worker.batch import Batch, parts_but_one, units
from mlq.worker.classes import Classes
from mlq.worker.limits import Limits
from mlq.worker.slots import Slots

ONE = Listener("one", None, per_worker=1)
TWO = Listener("two", None, per_worker=2, batch=8)
FREE = Listener("free", None)


def attempt(*listeners: Listener, batch: int = 0, together: int = 0) -> Attempt:
    """An attempt of a claim; without listeners, its record has not been read."""
    made = Attempt(Claimed("1", 1, "t", "w", 0.0, b"", 0, together, batch))
    made.listeners = listeners
    return made


@pytest.fixture
def limits() -> Limits:
    made = Limits()
    made.declare((ONE, TWO, FREE))
    return made


def test_no_limits_are_false(limits):
    assert limits
    limits.declare([FREE])
    assert not limits


def test_units_count_for_each_of_their_listeners(limits):
    together = Batch([attempt(TWO, batch=1), attempt(TWO, batch=1)])
    assert limits.rooms([]) == {"one": 1, "two": 2}
    assert limits.rooms([attempt(FREE), *together.members]) == {"one": 1, "two": 1}
    assert limits.rooms([attempt(ONE, TWO, FREE), *together.members]) == {"one": 0, "two": 0}
    assert limits.rooms([attempt(ONE), attempt(ONE)]) == {"one": 0, "two": 2}


def test_what_is_not_read_counts_for_all(limits):
    unread = attempt()
    assert limits.rooms([unread]) == {"one": 0, "two": 1}
    unread.end(Stage.ENDED)
    assert limits.rooms([unread]) == {"one": 1, "two": 2}


def test_it_counts_until_its_slot_is_given_back_and_while_it_waits(limits):
    slots, one = Slots(), attempt(ONE)
    one.begin()
    slots.leave(one)
    assert limits.rooms([one])["one"] == 0
    slots.go_on(one, at_once=True)
    one.end(Stage.ENDED)
    assert limits.rooms([one])["one"] == 0
    assert slots.let_go([one]) == [one]
    assert limits.rooms([one])["one"] == 1
    slots.hold_again([one])  # it could not be settled
    assert limits.rooms([one])["one"] == 0


def test_a_pause_after_a_batch_counts(limits):
    limits.rest("two", 1)
    assert limits.rooms([]) == {"one": 1, "two": 1}
    limits.rest("two", -1)
    assert limits.rooms([]) == {"one": 1, "two": 2}


def test_one_part_of_a_halved_batch_is_kept():
    found = list(
        units([*(attempt(TWO, batch=1, together=n) for n in (0, 0, 1, 1)), attempt(ONE), attempt(TWO, batch=2)])
    )
    excess = parts_but_one(found)
    assert [[one.claimed.together for one in part.members] for part in excess] == [[0, 0]]


def test_classes_leave_out_what_is_closed():
    made, listeners = Classes(), Listeners([ONE._replace(queue="q"), TWO, FREE])
    queues = ("default", "q")
    assert made.without(frozenset(), listeners, queues).serves == (
        "#rows:free", "#rows:one", "#rows:two", ":free", ":one", ":two", "default", "default:", "q", "q:",
    )  # fmt: skip
    assert made.without(frozenset({"one"}), listeners, queues).serves == (
        "#rows:free", "#rows:two", ":free", ":two", "default", "default:", "q:",
    )  # fmt: skip
    assert made.without(frozenset({"two"}), listeners, queues).serves == (
        "#rows:free", "#rows:one", ":free", ":one", "default:", "q", "q:",
    )  # fmt: skip


def test_only_classes_in_use_are_kept_known(monkeypatch):
    now = 100.0
    monkeypatch.setattr(classes.time, "monotonic", lambda: now)
    made, listeners = Classes(), Listeners([ONE, FREE])
    full, less = (made.without(closed, listeners, ("default",)) for closed in (frozenset(), frozenset({"one"})))
    assert made.knows_none()
    made.registered(full)
    made.registered(less)
    now = 120.0
    assert made.without(frozenset({"one"}), listeners, ("default",)) is less
    now = 140.0
    assert made.in_use((less,), 30) == [less]
    assert made.knows(less)
    assert not made.knows(full)
    made.forget()
    assert made.knows_none()
