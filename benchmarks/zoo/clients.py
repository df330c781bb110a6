"""Clients that ask for the models by Zipf's law, and wait for each answer."""

import random
import threading
import time
from collections.abc import Callable
from itertools import islice

from benchmarks.zoo.animals import COUNT

CLIENTS = 6
NAMES = [f"m{number}" for number in range(COUNT)]


def ask(predict: Callable[[str], object], requests: int, seed: int) -> tuple[list[float], float]:
    """How long each answer took, and all of them together, in seconds. `predict` is called with a model's name."""
    popular = [1 / rank for rank in range(1, COUNT + 1)]
    wanted = iter(random.Random(seed).choices(NAMES, popular, k=requests))
    lock, took = threading.Lock(), list[float]()

    def client() -> None:
        while True:
            with lock:
                name = next(islice(wanted, 1), None)
            if name is None:
                return
            began = time.perf_counter()
            predict(name)
            took.append(time.perf_counter() - began)

    clients = [threading.Thread(target=client) for _ in range(CLIENTS)]
    began = time.perf_counter()
    for one in clients:
        one.start()
    for one in clients:
        one.join()
    return took, time.perf_counter() - began
