"""How the places for tries are shared among receivers."""

import threading

import pytest

from mlq.deliveries.receivers import (
    APART,
    MOST,
    PLACES,
    SLOW,
    SLOW_AFTER,
    UNDER_WAY,
    UNKNOWN,
    Receiver,
    Receivers,
    receiver_of,
)  # fmt: skip


class Clock:
    now = 100.0

    def __call__(self):
        return self.now


def at(place, group=None):
    return Receiver(place, group or place)


def quick(shared, *receivers):
    """They answer at once."""
    for one in receivers:
        assert shared.begin(one) is None
        shared.end(one, 0.1)


def slow(shared, *receivers):
    """They answer late."""
    for one in receivers:
        assert shared.begin(one) is None
        shared.end(one, 5.0)


def begun(shared, receiver, most=100):
    """How many tries get a place."""
    return next((number for number in range(most) if shared.begin(receiver) is not None), most)


def test_one_receiver_has_not_all_places():
    shared = Receivers(Clock())
    a, b = at("a"), at("b")
    assert begun(shared, a) == UNKNOWN
    assert shared.begin(a) == pytest.approx(1.0 + APART)
    assert shared.begin(b) is None
    shared.end(a, 0.1)
    assert begun(shared, a) == MOST - UNKNOWN + 1


def test_a_slow_one_has_few():
    clock = Clock()
    shared = Receivers(clock)
    hangs, answers = at("hangs"), at("answers")
    assert begun(shared, hangs, SLOW) == SLOW
    clock.now += SLOW_AFTER - 0.1
    assert shared.begin(hangs) is None
    clock.now += 0.2
    assert shared.begin(hangs) == 1.0
    assert shared.begin(answers) is None
    shared.end(hangs, 5.0)
    assert begun(shared, hangs) == SLOW - 1  # three last long, and one, which began later, has a place


def test_those_that_are_not_known_to_be_quick_leave_places_for_those_that_are():
    """Whoever has many names or addresses could take all places, one for each."""
    shared = Receivers(Clock())
    known = at("known")
    quick(shared, known)
    assert [shared.begin(at(f"new {number}")) for number in range(MOST)] == [None] * MOST
    assert shared.begin(at("one more")) == 1.0
    assert begun(shared, known, 4) == 4
    shared.end(known, 5.0)
    assert shared.begin(known) == 1.0


def test_those_that_were_slow_have_few_places_together():
    """New ones come before them."""
    shared = Receivers(Clock())
    slow(shared, *(at(f"slow {number}") for number in range(10)))
    assert [shared.begin(at(f"slow {number}")) is None for number in range(6)] == [True] * SLOW + [False] * 2
    assert [shared.begin(at(f"new {number}")) for number in range(MOST - SLOW)] == [None] * (MOST - SLOW)
    assert shared.begin(at("one more")) is not None
    shared.end(at("slow 0"), 0.1)
    assert shared.begin(at("slow 0")) is None


def test_a_try_that_lasts_long_gives_its_place_back():
    """Receivers that were quick once, and then hang, keep others waiting for 3 s."""
    clock = Clock()
    shared = Receivers(clock)
    one, other, third = at("one"), at("other"), at("third")
    quick(shared, one, other, third)
    assert begun(shared, one) + begun(shared, other, PLACES - MOST) == PLACES
    assert 0 < shared.until_room() <= SLOW_AFTER + 0.01
    clock.now += shared.until_room()
    assert shared.until_room() == 0
    assert shared.begin(one) is not None
    assert begun(shared, third) == MOST


def test_the_tries_under_way_are_limited():
    clock = Clock()
    shared = Receivers(clock)
    for number in range(UNDER_WAY // MOST):
        quick(shared, at(f"{number}"))
        assert begun(shared, at(f"{number}")) == MOST
        clock.now += SLOW_AFTER + 0.1
    assert shared.until_room() == 1.0
    shared.end(at("0"), 20.0)
    assert shared.until_room() == 0


def test_a_group_shares_places_but_for_those_of_it_that_are_quick():
    """Nobody slows down another's receiver by hanging tries at another name or port of its domain."""
    clock = Clock()
    shared = Receivers(clock)
    good, bad, worse, new = (at(f"{name}:80", "example.com") for name in ("good", "bad", "worse", "new"))
    quick(shared, good)
    assert begun(shared, bad) == UNKNOWN
    assert shared.begin(worse) is not None
    clock.now += SLOW_AFTER + 0.1
    assert shared.begin(new) is not None
    assert begun(shared, good) == MOST


def test_what_gets_no_place_comes_back_one_after_the_other():
    """A thousand of them are looked at 200 times a second; what is for a quick one of the group is not behind them."""
    clock = Clock()
    shared = Receivers(clock)
    a, known = at("a", "g"), at("b", "g")
    quick(shared, known)
    for _ in range(UNKNOWN):
        shared.begin(a)
    pauses = [shared.begin(a) for _ in range(1000)]
    assert pauses == pytest.approx([1.0 + APART * i for i in range(1000)])
    begun(shared, known, MOST)
    assert shared.begin(known) == 1.0
    clock.now += 1.0
    assert shared.begin(a) == pytest.approx(APART * 1000)


def test_what_is_over_is_forgotten():
    clock = Clock()
    shared = Receivers(clock)
    for number in range(3000):
        for _ in range(UNKNOWN + 1):
            shared.begin(at(f"{number}"))
        for _ in range(UNKNOWN):
            shared.end(at(f"{number}"), 0.1)
        clock.now += 2
    assert len(shared._again_at) <= 1001
    assert shared._tries == {}


def test_waiting_for_all_of_them():
    shared = Receivers(Clock())
    a = at("a")
    shared.begin(a)
    threading.Timer(0.05, shared.end, (a, 0.1)).start()
    shared.wait_for_all(20.0)
    assert shared._tries == {}


@pytest.mark.parametrize(
    ("host", "is_strangers", "name"),
    [
        ("hooks.example.com", False, "hooks.example.com:80"),
        ("a.b.example.com", True, "example.com"),
        ("x", True, "x"),
        ("127.0.0.1", False, "127.0.0.1:80"), ("8.8.8.8", True, "8.8.8.8"), ("2001:db8::1", True, "2001:db8::/64"),
        ("2001:db8::2:3", True, "2001:db8::/64"),
        ("::ffff:8.8.8.8", True, "8.8.8.8"), ("0x7f.1", True, "127.0.0.1"),
        ("0177.0.1", True, "127.0.0.1"),
        ("2130706433", True, "127.0.0.1"), ("a.example.com.", True, "example.com"),
        ("a..b", True, ".b"),
        ("", True, ""),
    ],
)  # fmt: skip
def test_who_is_a_receiver(host, is_strangers, name):
    found = receiver_of(host, 80, is_strangers=is_strangers)
    assert found == Receiver(f"{host.rstrip('.')}:80", name)
