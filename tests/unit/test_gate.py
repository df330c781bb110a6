"""The gate of the pools that share a process: never more runs at a time than there are places."""

import pytest

from mlq.pools.gate import Gate


class Run:
    """Nothing but itself."""


@pytest.fixture
def gate():
    return Gate(1)


@pytest.fixture
def crowd():
    return [Run() for _ in range(9)]


def test_as_many_as_there_are_places_in_the_order_of_coming(gate, crowd):
    assert gate.add(crowd) == crowd[:1]
    assert [gate.next(run) for run in crowd] == [*crowd[1:], None]


@pytest.mark.parametrize("way", ["leave", "give_up"])
def test_who_leaves_makes_room_once(gate, crowd, way):
    gate.add(crowd)
    assert getattr(gate, way)(crowd[0]) == [crowd[1]]
    assert getattr(gate, way)(crowd[0]) == []
    assert gate.next(crowd[0]) is None


@pytest.mark.parametrize("way", ["leave", "give_up"])
def test_who_has_ended_makes_no_room_any_more(gate, crowd, way):
    """A cancellation, or a thread that a listener left behind, may come too late."""
    gate.add(crowd[:1])
    assert gate.next(crowd[0]) is None
    assert getattr(gate, way)(crowd[0]) == []
    gate.back(crowd[0])
    assert gate.add(crowd[1:]) == [crowd[1]]


def test_who_comes_back_takes_its_place_again(gate, crowd):
    gate.add(crowd)
    gate.leave(crowd[0])
    gate.back(crowd[0])
    assert gate.next(crowd[1]) is None
    assert gate.next(crowd[0]) == crowd[2]


def test_who_was_given_up_does_not_come_back(gate, crowd):
    gate.add(crowd)
    gate.give_up(crowd[0])
    gate.back(crowd[0])
    assert gate.next(crowd[1]) == crowd[2]
