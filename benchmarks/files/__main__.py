"""Rows per second of `mlq predict`, and how long it takes to go on: python -m benchmarks.files [--rows N] [--slow N]

iris csv, iris jsonl   rows of four numbers, with a model that takes next to no time
slow csv               the same with a model that takes 1 ms a row
resume                 the time that is left after a kill at 90 % of `iris csv`, beside a tenth of the whole

Each beside a plain loop over the same model in one process per core, which keeps nothing of what it did if it is
killed. `mlq worker` has as many children as there are cores, and a server of its own. All times are those of whole
commands, with the start of their process.
"""

import argparse
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.files.plain import BATCH, plain
from mlq import MLQ
from mlq.server import scratch
from mlq.system.cores import usable

NAMES = ("sepal_length", "sepal_width", "petal_length", "petal_width")
ROOT = Path(__file__).parents[2]
MLQ_COMMAND = (sys.executable, "-m", "mlq.cli")
AT = 0.9  # of the rows, when it is killed


def write(path: Path, rows: int) -> Path:
    """A file of flowers."""
    chance = random.Random(1)
    with path.open("w") as file:
        if path.suffix == ".csv":
            file.write(",".join(NAMES) + "\n")
        for _ in range(rows):
            values = [round(chance.uniform(0.1, 7), 1) for _ in NAMES]
            pairs = ", ".join(f'"{name}": {value}' for name, value in zip(NAMES, values, strict=True))
            file.write(",".join(map(str, values)) + "\n" if path.suffix == ".csv" else f"{{{pairs}}}\n")
    return path


@contextmanager
def worker(folder: Path, children: int) -> Iterator[dict[str, str]]:
    """A worker of both models; the environment for commands."""
    entries = (f'[[models]]\nclass = "benchmarks.files.flowers:{kind}"\nbatch = {BATCH}\n' for kind in ("Iris", "Slow"))
    (folder / "models.toml").write_text("\n".join(entries))
    with scratch(appendfsync="everysec") as server, MLQ(url=server.url) as mlq:
        there = os.environ | {"MLQ_URL": server.url, "PYTHONPATH": str(ROOT)}
        command = (
            sys.executable,
            "-m",
            "mlq.cli",
            "worker",
            "--models",
            folder / "models.toml",
            "--concurrency",
            str(children),
        )
        with subprocess.Popen(command, env=there, stderr=subprocess.DEVNULL) as process:
            while sum(one.unserved is None for one in mlq.models()) < 2:
                time.sleep(0.05)
            yield there
            process.terminate()


def predict(there: dict[str, str], name: str, source: Path, until: int = -1) -> float:
    """Seconds of one command; it is killed when it has so many bytes in parts."""
    output = source.with_name(f"out{source.suffix}")
    command = ("predict", name, str(source), "-o", str(output))
    began = time.perf_counter()
    with subprocess.Popen((*MLQ_COMMAND, *command), env=there, stderr=subprocess.DEVNULL) as process:
        if until >= 0:
            parts = output.with_name(f"{output.name}.partial")
            while sum(1 for _ in parts.glob("*.lines")) == 0 or _done(parts) < until:
                time.sleep(0.02)
            process.send_signal(signal.SIGKILL)
        code = process.wait()
    took = time.perf_counter() - began
    if code != (0 if until < 0 else -signal.SIGKILL):
        raise RuntimeError(f"mlq predict ended with {code}")
    if until < 0:
        output.unlink()
    return took


def _done(parts: Path) -> int:
    ranges = (path.name.split("-")[:2] for path in parts.glob("*.lines"))
    return sum(int(end) - int(start) for start, end in ranges)


def case(there: dict[str, str], folder: Path, kind: str, source: Path, rows: int, children: int) -> float:
    """Write a row of the table; the seconds of `mlq predict`."""
    began = time.perf_counter()
    plain(kind, source, folder, children)
    alone = time.perf_counter() - began
    took = predict(there, kind.lower(), source)
    words = f"{kind.lower()} {source.suffix[1:]}"
    print(
        f"{words:<12} {rows / took:>12,.0f} rows/s  plain {rows / alone:>12,.0f}  {alone / took:>6.2f} of it",
        flush=True,
    )
    return took


def main() -> None:
    """Write the table."""
    parser = argparse.ArgumentParser(description="predictions over files beside a plain loop")
    parser.add_argument("--rows", type=int, default=2_000_000)
    parser.add_argument("--slow", type=int, default=60_000, help="rows of the model that takes 1 ms")
    given = parser.parse_args()
    children = usable()
    print(f"{children} cores; {given.rows:,} and {given.slow:,} rows")
    with TemporaryDirectory() as name:
        folder = Path(name)
        with worker(folder, children) as there:
            took = case(there, folder, "Iris", write(folder / "in.csv", given.rows), given.rows, children)
            case(there, folder, "Iris", write(folder / "in.jsonl", given.rows), given.rows, children)
            size = (folder / "in.csv").stat().st_size
            predict(there, "iris", folder / "in.csv", int(AT * size))
            left = predict(there, "iris", folder / "in.csv")
            print(f"resume       {left:>12.2f} s after a kill at 90 %; a tenth of the whole is {took / 10:.2f} s")
            case(there, folder, "Slow", write(folder / "in.csv", given.slow), given.slow, children)


if __name__ == "__main__":
    main()
