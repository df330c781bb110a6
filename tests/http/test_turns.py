"""Heavy work is done by one request at a time."""

import threading
import time

import pytest
from flask import Flask

from mlq.http.peer import CONNECTED
from mlq.http.problems import Refused
from mlq.http.turns import Places, Turns


def test_one_at_a_time():
    inside, most, lock, turns = 0, 0, threading.Lock(), Turns()

    def work():
        nonlocal inside, most
        for _ in range(50):
            with turns.take(5000):
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


def test_those_who_wait_are_limited():
    """More would wait for minutes; they can ask again."""
    turns, go = Turns(most_waiting=2), threading.Event()

    def hold():
        with turns.take(5000):
            go.wait(20)

    threads = [threading.Thread(target=hold) for _ in range(3)]
    for thread in threads:
        thread.start()
    give_up = time.monotonic() + 10
    while turns._one._waiting < 2 and time.monotonic() < give_up:
        time.sleep(0.01)
    with pytest.raises(Refused, match="too many"), turns.take(5000):
        pass
    with turns.take(100):  # small work waits for nobody
        pass
    go.set()
    for thread in threads:
        thread.join()
    with turns.take(5000):
        pass


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
