"""The command line that every environment runs.

python -m benchmarks.pipelines.systems worker MODULE POOL SLOTS
python -m benchmarks.pipelines.systems client MODULE POOL SLOTS CASE NUMBER ...

Settings come from the environment, which a system's own worker program inherits: BENCH_URL, BENCH_RUNS, BENCH_RELIABLE.
"""

import asyncio
import importlib
import json
import os
import sys
from types import ModuleType


def load(name: str, pool: str, slots: str) -> ModuleType:
    os.environ |= {"MLQ_URL": os.environ["BENCH_URL"], "BENCH_POOL": pool, "BENCH_SLOTS": slots}
    return importlib.import_module(f"benchmarks.pipelines.systems.{name}")


def worker(name: str, pool: str, slots: str) -> None:
    """Becomes the system's worker, started as its users start it."""
    command = load(name, pool, slots).worker(pool, int(slots))
    os.environ["PYTHONPATH"] = os.getcwd()  # noqa: PTH109 - console scripts do not look in the current folder
    program = os.path.join(os.path.dirname(sys.executable), command[0])  # noqa: PTH118, PTH120
    os.execv(program, [program, *command[1:]])  # noqa: S606 - no shell is wanted


def client(name: str, pool: str, slots: str, case: str, *numbers: str) -> None:
    """Measures one case and prints its figures as JSON."""
    module = load(name, pool, slots)
    from benchmarks.pipelines.cases import CASES

    async def measure() -> dict[str, float]:
        async with module.Client() as system:
            return await CASES[case](system, *map(int, numbers))

    print(json.dumps(asyncio.run(measure())))


if __name__ == "__main__":
    {"worker": worker, "client": client}[sys.argv[1]](*sys.argv[2:])
