"""What a prediction costs in another interpreter: python -m benchmarks.foreign [--python PATH] [--runs N]

call   the model is called in this process, or asked over its socket: with validation of inputs and outputs
job    posted jobs until their results, with `mlq worker --models` of one child and a server of its own

In microseconds for one prediction, the median of the runs, which take turns. `own` runs in MLQ's own process, `other`
in the interpreter that --python names (it needs pydantic 2); this one if left out, so that only the way there differs.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.foreign import flower
from mlq import MLQ
from mlq.models.testing import TestClient
from mlq.server import scratch

HERE = Path(__file__).parent
FLOWER = {"sepal_length": 5.1, "sepal_width": 3.5, "petal_length": 1.4, "petal_width": 0.2}
SECONDS = 1.0  # of calls in a run
JOBS = 5000  # in a run
BATCH = 32
CASES = (("one", 1), ("many", BATCH))


def calls(name: str, size: int, python: str | None) -> float:
    """Microseconds for one prediction, if the model is called by itself."""
    kind = name.capitalize()
    client = TestClient(f"{HERE}/flower.py:{kind}", python=python) if python else TestClient(getattr(flower, kind))
    hosted, convert, inputs = client._hosted, client._declared.convert, [FLOWER] * size

    def call() -> None:
        given = [convert(one) for one in inputs]
        if size > 1:
            hosted.many(given)
        else:
            hosted.one(given[0])

    call()
    count, end = 0, time.perf_counter() + SECONDS
    began = time.perf_counter()
    while time.perf_counter() < end:
        call()
        count += size
    return (time.perf_counter() - began) / count * 1e6


@contextmanager
def worker(python: str | None) -> Iterator[MLQ]:
    """A worker of both models, until the block ends."""
    with TemporaryDirectory() as folder, scratch(appendfsync=None) as server, MLQ(url=server.url) as mlq:
        chosen = f"python = {json.dumps(python)}\n" if python else ""
        (Path(folder) / "flower.py").write_text((HERE / "flower.py").read_text())
        (Path(folder) / "models.toml").write_text(
            f'[[models]]\nclass = "flower:One"\n{chosen}\n[[models]]\nclass = "flower:Many"\n{chosen}'
        )
        command = (sys.executable, "-m", "mlq.cli", "worker", "--models", f"{folder}/models.toml")
        with subprocess.Popen(command, env=os.environ | {"MLQ_URL": server.url}, stderr=subprocess.DEVNULL) as process:
            while sum(one.unserved is None for one in mlq.models()) < len(CASES):
                time.sleep(0.05)
            yield mlq
            process.terminate()


def jobs(name: str, mlq: MLQ) -> float:
    """Microseconds for one prediction, if it is a job."""
    model = mlq.model(name)
    model.predict(FLOWER, 60)  # it is loaded then
    began = time.perf_counter()
    for job in model.submit_many([FLOWER] * JOBS):
        job.result(60)
    return (time.perf_counter() - began) / JOBS * 1e6


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--python", default=sys.executable)
    parser.add_argument("--runs", type=int, default=5)
    options = parser.parse_args()
    found: dict[tuple[str, int, str], list[float]] = {}
    for _ in range(options.runs):
        for place, python in (("own", None), ("other", options.python)):
            for name, size in CASES:
                found.setdefault(("call", size, place), []).append(calls(name, size, python))
            with worker(python) as mlq:
                for name, size in CASES:
                    found.setdefault(("job", size, place), []).append(jobs(name, mlq))
    print("| us for one prediction | own | other |\n|---|---|---|")
    for what in ("call", "job"):
        for _, size in CASES:
            own, other = (statistics.median(found[what, size, place]) for place in ("own", "other"))
            print(f"| {what}, {'alone' if size == 1 else f'in batches of {size}'} | {own:.1f} | {other:.1f} |")


if __name__ == "__main__":
    main()
