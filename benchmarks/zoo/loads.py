"""Twenty models on four workers with room for three each, for clients that ask for them by Zipf's law."""

import os
import random
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from benchmarks.zoo.animals import COUNT
from mlq import MLQ
from mlq.server import scratch

WORKERS, MEMORY, ROOM = 4, 100, 3  # MiB that each model declares, and how many of them a worker may hold
SLOTS = 2
CLIENTS = 6
LIMIT = 300.0  # seconds for one answer
NAMES = [f"m{number}" for number in range(COUNT)]


class Told(NamedTuple):
    """What came of one run."""

    loads: float  # for 1,000 requests
    evictions: float  # the same
    p50: float  # ms
    p99: float  # ms
    rate: float  # requests a second


def measure(folder: Path, wait: str, requests: int) -> Told:
    """Fresh workers with that `--affinity-wait`; some requests before the clock starts."""
    models = folder / "models.toml"
    entry = '[[models]]\nclass = "benchmarks.zoo.animals:M{}"\nmemory = "{}MiB"\n'
    models.write_text("".join(entry.format(number, MEMORY) for number in range(COUNT)))
    with scratch(port=0) as server, MLQ(url=server.url) as mlq:
        with _workers(server.url, models, wait):
            while len(mlq.workers()) < WORKERS or sum(one.unserved is None for one in mlq.models()) < COUNT:
                time.sleep(0.1)
            warm = len(ask(mlq, requests // 4, seed=1)[0])
            took, seconds = ask(mlq, requests, seed=2)
        queues = mlq.stats().queues.values()  # workers that stopped have told all
    share = 1000 / (warm + len(took))
    loads, evictions = (share * sum(getattr(queue, what) for queue in queues) for what in ("loads", "evictions"))
    took.sort()
    p99 = took[int(0.99 * len(took))]
    return Told(loads, evictions, 1000 * statistics.median(took), 1000 * p99, len(took) / seconds)


@contextmanager
def _workers(url: str, models: Path, wait: str) -> Iterator[None]:
    command = (
        sys.executable, "-m", "mlq.cli", "worker", "--models", str(models), "--concurrency", str(SLOTS),
        "--memory-budget", f"{ROOM * MEMORY + MEMORY // 2}M", "--affinity-wait", wait,
    )  # fmt: skip
    environment = os.environ | {"MLQ_URL": url}
    started = [subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL) for _ in range(WORKERS)]
    try:
        yield
    finally:
        for one in started:
            one.terminate()
        for one in started:
            one.wait()


def ask(mlq: MLQ, requests: int, seed: int) -> tuple[list[float], float]:
    """Clients that wait for their answers: how long each answer took, and all of them together, in seconds."""
    popular = [1 / rank for rank in range(1, COUNT + 1)]
    wanted = iter(random.Random(seed).choices(NAMES, popular, k=requests))
    models, lock, took = {name: mlq.model(name) for name in NAMES}, threading.Lock(), list[float]()

    def client() -> None:
        while True:
            with lock:
                name = next(islice(wanted, 1), None)
            if name is None:
                return
            began = time.perf_counter()
            models[name].predict(1, timeout=LIMIT)
            took.append(time.perf_counter() - began)

    clients = [threading.Thread(target=client) for _ in range(CLIENTS)]
    began = time.perf_counter()
    for one in clients:
        one.start()
    for one in clients:
        one.join()
    return took, time.perf_counter() - began
