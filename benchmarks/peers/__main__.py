"""The command line that every environment runs, and the one that makes the environments.

python -m benchmarks.peers install [NAME ...]
python -m benchmarks.peers worker NAME URL POOL SLOTS
python -m benchmarks.peers client NAME URL POOL SLOTS CASE COUNT WORKER_PID
python -m benchmarks.peers versions
"""

import asyncio
import importlib
import importlib.metadata
import json
import os
import sys
from types import ModuleType

from benchmarks.peers import PEERS


def load(name: str, url: str, pool: str, slots: str) -> ModuleType:
    """A peer's module; modules read their settings from the environment, which the peer's own worker inherits."""
    os.environ |= {"BENCH_URL": url, "MLQ_URL": url, "BENCH_POOL": pool, "BENCH_SLOTS": slots}
    return importlib.import_module(f"benchmarks.peers.{name}")


def worker(name: str, url: str, pool: str, slots: str) -> None:
    """Becomes the peer's worker, started as its users start it."""
    command = load(name, url, pool, slots).worker(pool, int(slots))
    os.environ["PYTHONPATH"] = os.getcwd()  # noqa: PTH109 - console scripts do not look in the current folder
    program = os.path.join(os.path.dirname(sys.executable), command[0])  # noqa: PTH118, PTH120
    os.execv(program, [program, *command[1:]])  # noqa: S606 - no shell is wanted


def client(name: str, url: str, pool: str, slots: str, case: str, count: str, pid: str) -> None:
    """Measures one case and prints its figures as JSON."""
    module = load(name, url, pool, slots)
    from benchmarks.peers.cases import CASES
    from benchmarks.peers.probes import Server

    async def measure() -> dict[str, float]:
        async with module.Client() as peer:
            return await CASES[case](peer, Server(url), int(count), int(pid))

    print(json.dumps(asyncio.run(measure())))


def versions() -> None:
    """Prints what this environment holds."""
    found = {each.metadata["Name"].lower(): each.version for each in importlib.metadata.distributions()}
    print(json.dumps(found))


def install(*names: str) -> None:
    from benchmarks.peers.environments import make

    for name in names or PEERS:
        make(name)


if __name__ == "__main__":
    if len(sys.argv) < 2 or sys.argv[1] not in {"install", "worker", "client", "versions"}:
        sys.exit(__doc__)
    {"install": install, "worker": worker, "client": client, "versions": versions}[sys.argv[1]](*sys.argv[2:])
