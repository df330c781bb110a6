"""Twenty models on two workers, each with memory for six of them: draws which are loaded, as it happens.

`python examples/zoo/run.py` starts a server of its own and the workers, and asks 60 questions, most of them of a few
models.
"""

import os
import random
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from animals import NAMES  # type: ignore[import-not-found]  # beside this file

from mlq import MLQ
from mlq.server import scratch

WORKERS, BUDGET = 2, "600M"
QUESTIONS, AT_ONCE = 60, 4
LOOK = 0.5  # seconds between looks; workers report every 3 s
MODELS = Path(__file__).with_name("models.toml")


@contextmanager
def workers(url: str) -> Iterator[None]:
    """Two of them, until the block ends."""
    command = (sys.executable, "-m", "mlq.cli", "worker", "--models", str(MODELS), "--concurrency", str(AT_ONCE // 2),
               "--memory-budget", BUDGET)  # fmt: skip
    started = [
        subprocess.Popen(command, env=os.environ | {"MLQ_URL": url}, stderr=subprocess.DEVNULL) for _ in range(WORKERS)
    ]
    try:
        yield
    finally:
        for one in started:
            one.terminate()
        for one in started:
            one.wait()


def loaded(mlq: MLQ) -> tuple[str, ...]:
    """For each worker, the models that it has loaded, each at its place: a letter, or a dot for one that is not."""
    found = {worker["name"]: set[str]() for worker in mlq.workers()}
    for state in mlq.models():
        for process in state.processes:
            if process.state == "ready":
                found[process.worker].add(state.info.name)
    return tuple(
        " ".join(name if name in there else " . " for name in NAMES) + f"  {len(there)} of {len(NAMES)}"
        for _, there in sorted(found.items())
    )


def draw(mlq: MLQ, ended: threading.Event) -> None:
    """Each change, as it is reported."""
    before: tuple[str, ...] = ()
    while not ended.wait(LOOK):
        now = loaded(mlq)
        if now != before:
            print("\n".join(now), end="\n\n", flush=True)
            before = now


def ask(mlq: MLQ) -> int:
    """Ask the questions, a few at a time; returns how many animals were found."""
    chance = random.Random(7)  # the same questions each time
    popular = [1 / (place + 1) ** 1.5 for place in range(len(NAMES))]  # a law of Zipf: few are asked often
    wanted, found = chance.choices(NAMES, popular, k=QUESTIONS), 0
    models = {name: mlq.model(name) for name in NAMES}
    for start in range(0, QUESTIONS, AT_ONCE):
        jobs = [models[name].submit({"text": f"I saw a {name} today"}) for name in wanted[start : start + AT_ONCE]]
        found += sum(job.result(120)["found"] for job in jobs)
    return found


def told(mlq: MLQ) -> Iterator[str]:
    """What the workers hold, while they run."""
    for worker in sorted(mlq.workers(), key=lambda one: str(one["name"])):
        yield f"a worker holds {int(worker['memory']) / 2**20:.0f} MiB of models; it may hold {BUDGET}"


def main() -> None:
    """Ask, draw, and tell what it cost."""
    with scratch(appendfsync=None) as server, MLQ(url=server.url) as mlq:
        with workers(server.url):
            while len(mlq.workers()) < WORKERS or sum(one.unserved is None for one in mlq.models()) < len(NAMES):
                time.sleep(0.1)
            ended = threading.Event()
            drawing = threading.Thread(target=draw, args=(mlq, ended))
            drawing.start()
            found = ask(mlq)
            ended.set()
            drawing.join()
            print(f"{found} of {QUESTIONS} answers are right")
            print("\n".join(told(mlq)))
        queues = mlq.stats().queues.values()  # workers that stopped have told all
        loads, evictions = sum(queue.loads for queue in queues), sum(queue.evictions for queue in queues)
        print(f"models were loaded {loads} times, and {evictions} times one made place")


if __name__ == "__main__":
    main()
