"""Twenty models on four workers with room for three each, for clients that ask for them by Zipf's law."""

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from benchmarks.zoo.animals import COUNT, MEMORY
from benchmarks.zoo.clients import NAMES, ask
from benchmarks.zoo.memory import watched
from mlq import MLQ
from mlq.server import scratch

WORKERS, ROOM = 4, 3  # how many models a worker may hold
BUDGET = ROOM * MEMORY + MEMORY // 2  # MiB
SLOTS = 2
LIMIT = 300.0  # seconds for one answer


class Told(NamedTuple):
    """What came of one run."""

    loads: float  # for 1,000 requests
    evictions: float  # the same
    p50: float  # ms
    p99: float  # ms
    rate: float  # requests a second
    memory: float  # the most that the children of one worker needed, in percent of the budget


def measure(folder: Path, wait: str, requests: int) -> Told:
    """Fresh workers with that `--affinity-wait`; some requests before the clock starts."""
    models = folder / "models.toml"
    entry = '[[models]]\nclass = "benchmarks.zoo.animals:M{}"\nmemory = "{}MiB"\n'
    models.write_text("".join(entry.format(number, MEMORY) for number in range(COUNT)))
    with scratch(port=0) as server, MLQ(url=server.url) as mlq:
        with _workers(server.url, models, wait) as workers, watched(workers) as most:
            while len(mlq.workers()) < WORKERS or sum(one.unserved is None for one in mlq.models()) < COUNT:
                time.sleep(0.1)
            models = {name: mlq.model(name) for name in NAMES}

            def predict(name: str) -> None:
                models[name].predict(1, timeout=LIMIT)

            warm = len(ask(predict, requests // 4, seed=1)[0])
            took, seconds = ask(predict, requests, seed=2)
        queues = mlq.stats().queues.values()  # workers that stopped have told all
    share = 1000 / (warm + len(took))
    loads, evictions = (share * sum(getattr(queue, what) for queue in queues) for what in ("loads", "evictions"))
    took.sort()
    p99 = took[int(0.99 * len(took))]
    p50, memory = 1000 * statistics.median(took), 100 * most.mebibytes / BUDGET
    return Told(loads, evictions, p50, 1000 * p99, len(took) / seconds, memory)


@contextmanager
def _workers(url: str, models: Path, wait: str) -> Iterator[list[int]]:
    command = (
        sys.executable, "-m", "mlq.cli", "worker", "--models", str(models), "--concurrency", str(SLOTS),
        "--memory-budget", f"{BUDGET}M", "--affinity-wait", wait,
    )  # fmt: skip
    environment = os.environ | {"MLQ_URL": url}
    started = [subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL) for _ in range(WORKERS)]
    try:
        yield [one.pid for one in started]
    finally:
        for one in started:
            one.terminate()
        for one in started:
            one.wait()
