"""The same model behind MLQ and behind other services: python -m benchmarks.models [--runs N] ...

python -m benchmarks.models install     environments for the peers, below benchmarks/.peers
python -m benchmarks.models             closed loads, then an open one at half of the slowest service's rate

Services have core 1; their Redis and the load generator share core 0. Each measurement of a round starts the service
and its Redis anew; services take turns. `overhead` sleeps 10 ms for a batch and 0.5 ms for each item, so that the cores
are not what limits it; `iris` is a classifier of scikit-learn. Takes about 10 minutes a round. Needs Linux.
"""

import argparse
import asyncio
import gc
import json
import os
import subprocess
import sys

from benchmarks.models import report
from benchmarks.models.install import install, lacking
from benchmarks.models.load import Loaded, closed, opened
from benchmarks.models.peers import SERVICES
from benchmarks.models.report import Book, Load
from benchmarks.models.services import Running, Silent, service
from benchmarks.models.trivial import trivial_server
from benchmarks.models.work import MODELS, MOST, alone
from benchmarks.peers import PROJECT
from benchmarks.stage import pin, use_server
from mlq.server import scratch

CLIENTS = (1, 8, 32)
USUAL = ("overhead", "iris")
CLOSED, OPEN = [Load(clients) for clients in CLIENTS], Load(0)


def measure(book: Book, model: str, name: str, loads: list[Load], seconds: float) -> None:
    """A fresh service under some loads."""
    rate = book.open_rates.get(model, 0.0)
    try:
        with service(name, model) as (running, url):
            asyncio.run(closed(running.port, running.requests, max(CLIENTS), min(1.0, seconds)))  # warm
            for load in loads:
                note(book, model, name, load, asyncio.run(under(running, load, rate, seconds)))
            if OPEN not in loads:
                book.memory[model, name] = running.memory()
                book.notes += [client_memory(url, model)] if name == "mlq" else []
    except Silent as error:
        book.notes.append(f"{SERVICES[name].title} with {model} does not run: {error}")


async def under(running: Running, load: Load, rate: float, seconds: float) -> Loaded:
    if load.clients:
        return await closed(running.port, running.requests, load.clients, seconds)
    return await opened(running.port, running.requests, rate, seconds)


def note(book: Book, model: str, name: str, load: Load, taken: Loaded) -> None:
    print(f"{model}, {load.title}: {name} {taken.figures()} failures: {taken.failures}", file=sys.stderr)
    if taken.failures:
        book.failures[model, load, name] = f"{taken.failures} requests failed, the first one with {taken.why}"
    else:
        book.figures[model, load, name].append(taken.figures())


def client_memory(url: str, model: str) -> str:
    command = [sys.executable, "-m", "benchmarks.models.memory", url, model]
    told = json.loads(subprocess.run(command, check=True, capture_output=True, text=True, cwd=PROJECT).stdout)
    heavy = ", ".join(told["heavy"]) or "none"
    return f"A client of MLQ that has predicted with {model} holds {told['MB']:.0f} MB (model libraries: {heavy})."


def probes(models: list[str]) -> list[str]:
    """What the load generator reaches, and what the models cost without a service."""
    with trivial_server() as running:
        most = asyncio.run(closed(running.port, running.requests, max(CLIENTS), 1.0)).figures()
    told = [f"The load generator against a server that only answers: {most['rate']:,.0f} requests/s, 32 clients"]
    for model in models:
        one, many = (1000 * alone(model, count) for count in (1, MOST))
        told.append(f"{model} without a service: 1 item {one:.2f} ms, a batch of {MOST} {many:.2f} ms.")
    return told


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.models", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)  # fmt: skip
    parser.add_argument("what", nargs="?", choices=["run", "install"], default="run")
    parser.add_argument("--runs", type=int, default=3, help="rounds; tables show medians (default 3)")
    parser.add_argument("--seconds", type=float, default=6.0, help="of each measurement (default 6)")
    parser.add_argument("--services", default=",".join(SERVICES), help=f"of: {', '.join(SERVICES)}")
    parser.add_argument("--models", default=",".join(USUAL), help=f"of: {', '.join(MODELS)}")
    parser.add_argument("--server", help="the server program, like /usr/bin/redis-server; default: the bundled Valkey")
    given = parser.parse_args()
    given.services, given.models = given.services.split(","), given.models.split(",")
    if unknown := (set(given.services) - set(SERVICES)) | (set(given.models) - set(MODELS)):
        parser.error(f"no such service or model: {', '.join(sorted(unknown))}")
    return given


def run(given: argparse.Namespace) -> None:
    use_server(given.server)
    pin(os.getpid(), 0)
    gc.freeze()
    book = Book(notes=probes(given.models))
    why = {name: lacking(name) for name in given.services}
    book.notes += [f"{SERVICES[name].title} is not installed: {reason}" for name, reason in why.items() if reason]
    there = [name for name, reason in why.items() if not reason]
    for _ in range(given.runs):
        for model in given.models:
            for name in there:
                measure(book, model, name, CLOSED, given.seconds)
            slowest = book.slowest(model, CLOSED[-1])
            book.open_rates.setdefault(model, (slowest or 0.0) / 2)
        for model in given.models:
            for name in there if book.open_rates[model] else ():
                measure(book, model, name, [OPEN], given.seconds)
    tell(book, given.models, there)


def tell(book: Book, models: list[str], there: list[str]) -> None:
    for model in models:
        for load in (*CLOSED, OPEN):
            print(report.table(book, model, load, there))
    print(report.memory(book))
    print("\n" + "\n".join(f"- {note}" for note in dict.fromkeys(book.notes)))
    with scratch(port=0) as server:
        print(report.versions(there, server.url))


if __name__ == "__main__":
    chosen = options()
    install() if chosen.what == "install" else run(chosen)
