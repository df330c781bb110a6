"""Heavy work is done by one request at a time."""

import threading

from mlq.http.turns import Turns


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
