"""Heavy work is done by one request at a time."""

import threading
import time

import pytest
from flask import Flask

from mlq import ServerError
from mlq.http import turns as turns_module
from mlq.http.peer import CONNECTED
from mlq.http.problems import Refused
from mlq.http.turns import AskedOnce, Places, Turns


def test_one_at_a_time():
    inside, most, lock, turns = 0, 0, threading.Lock(), Turns()

    def work():
        nonlocal inside, most
        for _ in range(50):
            with turns.take(20_000):
                with lock:
                    inside += 1
                    most = max(most, inside)
                with lock:
                    inside -= 1

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == 1


def until(condition):
    give_up = time.perf_counter() + 20
    while not condition():
        assert time.perf_counter() < give_up
        time.sleep(0.005)


def test_those_who_wait_are_limited():
    """More would wait for minutes; they can ask again."""
    turns, go = Turns(most_waiting=2), threading.Event()

    def hold():
        with turns.take(20_000):
            go.wait(20)

    threads = [threading.Thread(target=hold) for _ in range(3)]
    for thread in threads:
        thread.start()
    give_up = time.monotonic() + 10
    while turns._one._waiting < 2 and time.monotonic() < give_up:
        time.sleep(0.01)
    with pytest.raises(Refused, match="too many"), turns.take(20_000):
        pass
    with turns.take(100):  # small work waits for nobody
        pass
    go.set()
    for thread in threads:
        thread.join()
    with turns.take(20_000):
        pass


def test_nobody_waits_for_long(monkeypatch):
    """Whoever comes later asks again; the place is not lost with those that gave up."""
    monkeypatch.setattr(turns_module, "PATIENCE", 0.05)
    places, go, inside = Places(1), threading.Event(), threading.Event()

    def hold():
        with places.take():
            inside.set()
            go.wait(20)

    thread = threading.Thread(target=hold)
    thread.start()
    inside.wait(20)
    for _ in range(3):
        with pytest.raises(Refused, match="ask again"), places.take():
            pass
    assert places._waiting == 0
    go.set()
    thread.join()
    with places.take():
        pass


def test_light_work_is_done_by_a_few_in_one_round():
    """With one turn per round of the event loop, 200 requests waited 12 s while 300 others were busy."""
    turns, go, inside = Turns(), threading.Event(), []

    def work():
        with turns.take(5000):
            inside.append(1)
            go.wait(20)

    threads = [threading.Thread(target=work) for _ in range(turns_module.LIGHT_PLACES + 3)]
    for thread in threads:
        thread.start()
    until(lambda: len(inside) == turns_module.LIGHT_PLACES)
    until(lambda: turns._light._waiting == 3)
    with turns.take(20_000):  # heavy work does not wait for it
        go.set()
    for thread in threads:
        thread.join()
    assert len(inside) == len(threads)


@pytest.mark.parametrize(("took", "pauses"), [(0.001, []), (0.02, [0.01]), (30.0, [0.25])])
def test_long_work_leaves_time_to_others(monkeypatch, took, pauses):
    """Turns alternate: behind work of 100 ms, a hundred others would wait 10 s for work of 1 ms."""
    clock, slept = iter((100.0, 100.0 + took)), []
    monkeypatch.setattr(turns_module.time, "monotonic", lambda: next(clock))
    monkeypatch.setattr(turns_module, "sleep", slept.append)
    with pytest.raises(ValueError, match="bad"), Turns().take(20_000):
        raise ValueError("bad")
    assert slept[0] == 0  # whoever is ready comes first
    assert slept[1:] == pytest.approx(pauses)


def test_those_who_ask_at_the_same_time_share_one_answer(monkeypatch):
    """Also an error; whoever asks later gets a later answer."""
    asked, looks, go = [], [], threading.Event()
    monotonic = time.monotonic
    monkeypatch.setattr(turns_module.time, "monotonic", lambda: looks.append(1) or monotonic())

    def ask():
        asked.append(1)
        go.wait(20)
        if len(asked) == 2:
            raise ServerError("away")
        return len(asked)

    once, got = AskedOnce(ask), []

    def get():
        try:
            got.append(once.answer())
        except ServerError as error:
            got.append(str(error))

    threads = [threading.Thread(target=get)]
    threads[0].start()
    until(lambda: asked)
    threads += [threading.Thread(target=get) for _ in range(5)]
    for thread in threads[1:]:
        thread.start()
    until(lambda: len(looks) == 7)  # each has looked at the clock: all of them called before the first one is answered
    go.set()
    for thread in threads:
        thread.join()
    assert sorted(map(str, got)) == ["1", *["away"] * 5]
    assert once.answer() == 3


@pytest.mark.parametrize("is_open", [True, False])
def test_nothing_is_done_for_a_client_that_has_gone(is_open):
    places = Places(1)
    with Flask("x").test_request_context(environ_base={CONNECTED: lambda: is_open}):
        if is_open:
            with places.take():
                return
        with pytest.raises(Refused, match="closed the connection"), places.take():
            pass
    with places.take():  # the place is free again
        pass
