"""The order in which a worker's queues take turns, as a pure function of what they hold."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlq import InputError
from mlq.core.queue_order import QueueOrder
from mlq.worker.turns import Turns


def serve(turns, queues, wanted):
    """One round of claims on queues with so many jobs each; the numbers of the queues that jobs came from, in order."""
    turns.begin()
    got: list[int] = []
    asks = Counter()
    while wanted and not turns.over():
        asked = turns.portion(wanted)
        assert 1 <= asked <= wanted
        asks[turns.number] += 1
        taken = min(asked, queues[turns.number])
        queues[turns.number] -= taken
        got += [turns.number] * taken
        wanted -= taken
        turns.took(asked, taken, None)
    assert asks.total() <= 2 * len(queues)
    return got


def order(*weights, strict=False):
    names = [f"q{i}" for i in range(len(weights))]
    given = names if strict else [f"{name}:{weight}" for name, weight in zip(names, weights, strict=True)]
    return QueueOrder.parse(given, strict=strict)


def test_three_to_one():
    """Of four jobs, with one slot at a time."""
    turns, queues = Turns(order(3, 1)), [100, 100]
    got = [one for _ in range(12) for one in serve(turns, queues, 1)]
    assert [Counter(got[i : i + 4]) for i in (0, 4, 8)] == [Counter({0: 3, 1: 1})] * 3
    assert Counter(serve(turns, queues, 40)) == {0: 30, 1: 10}


weights = st.lists(st.integers(1, 20), min_size=2, max_size=5)


@given(weights, st.lists(st.integers(1, 30), min_size=1, max_size=30))
def test_shares_are_those_of_the_weights(weights, rounds):
    """While all queues have jobs, no queue is ever more than a turn of each away from its share."""
    turns, queues, got = Turns(order(*weights)), [10**6] * len(weights), Counter()
    for wanted in rounds:
        got.update(serve(turns, queues, wanted))
        total = got.total()
        for number, weight in enumerate(weights):
            assert abs(got[number] - total * weight / sum(weights)) <= len(weights), (got, weights)
    assert got.total() == sum(rounds)


@given(
    weights, st.lists(st.tuples(st.integers(1, 30), st.lists(st.integers(0, 9), min_size=5, max_size=5)), max_size=30)
)
def test_no_slot_stays_empty_while_jobs_wait(weights, rounds):
    """Whatever comes when; and the server is asked at most twice for each queue in one round."""
    turns, queues = Turns(order(*weights)), [0] * len(weights)
    for wanted, new in rounds:
        queues = [here + more for here, more in zip(queues, new, strict=False)]
        there = sum(queues)
        assert len(serve(turns, queues, wanted)) == min(wanted, there)
        assert turns.over() >= (there < wanted)


@given(weights, st.integers(1, 500))
def test_who_was_away_has_no_credit(weights, alone):
    """The first queue was served alone for long; the others then get their share of what follows, and no more."""
    turns = Turns(order(*weights))
    queues = [10**6] + [0] * (len(weights) - 1)
    for _ in range(alone):
        serve(turns, queues, 1)
    queues = [10**6] * len(weights)
    got = Counter(one for _ in range(sum(weights)) for one in serve(turns, queues, 1))
    for number, weight in enumerate(weights):
        assert abs(got[number] - weight) <= 2


@given(st.lists(st.lists(st.integers(0, 3), min_size=3, max_size=3), min_size=1, max_size=30), st.integers(1, 9))
def test_a_strict_order(coming, wanted):
    """No job of a later queue is taken while an earlier one has any."""
    turns, queues = Turns(order(1, 1, 1, strict=True)), [0, 0, 0]
    for more in coming:
        queues = [here + new for here, new in zip(queues, more, strict=True)]
        before = list(queues)
        got = serve(turns, queues, wanted)
        assert got == sorted(got)
        assert got == [one for one in range(3) for _ in range(before[one])][:wanted]


def test_without_an_order_there_is_one_group():
    turns = Turns(QueueOrder.parse(["a", "b"]))
    assert (turns.groups, turns.portion(7), turns.number) == (1, 7, 0)
    turns.took(7, 3, None)
    assert turns.over()


def test_the_soonest_look_counts():
    """A model's job that one claim passed over, and another's."""
    turns = Turns(order(1, 1))
    turns.begin()
    for again in (None, 0.5, 0.2, 0.7, None):
        turns.took(1, 1, again)
    assert turns.again == 0.2
    turns.begin()
    assert turns.again is None


@pytest.mark.parametrize(
    ("words", "strict", "queues", "weights", "told"),
    [
        ("a", False, ("a",), (), ""),
        ("a,b", False, ("a", "b"), (), ""),
        ("a:3,b:1", False, ("a", "b"), (3, 1), "a:3, b:1"),
        ("a:3,b", False, ("a", "b"), (3, 1), "a:3, b:1"),
        ("a,b,c", True, ("a", "b", "c"), (), "a before b before c"),
    ],
)
def test_what_a_user_writes(words, strict, queues, weights, told):
    found = QueueOrder.parse(words.split(","), strict=strict)
    assert (found.queues, found.weights, found.strict, str(found)) == (queues, weights, strict, told)
    assert found.groups == (len(queues) if told else 1)


@pytest.mark.parametrize(
    ("words", "strict", "told"),
    [
        ("a:0", False, "from 1 to 1,000"), ("a:-1", False, "from 1"), ("a:x", False, "from 1"), ("a:", False, "from 1"),
        ("a:1.5", False, "from 1"), ("a:1001", False, "from 1"), ("a:\u0663", False, "from 1"),
        ("a:1:2", False, "from 1"),
        ("a,a", False, "named twice"), ("a:1,a:2", False, "named twice"), (":3", False, "queue must be"),
        ("#rows:3", False, "must not begin with #"), ("a:3,b:1", True, "not both"),
        ("a", True, "needs the queues"),
    ],
)  # fmt: skip
def test_wrong_orders(words, strict, told):
    with pytest.raises(InputError, match=told):
        QueueOrder.parse(words.split(","), strict=strict)


def test_a_strict_order_of_nothing():
    with pytest.raises(InputError, match="needs the queues"):
        QueueOrder.parse((), strict=True)
