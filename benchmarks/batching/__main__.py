"""The rules by which a batch leaves, side by side in MLQ's own worker: python -m benchmarks.batching [--runs N] ...

learned  MLQ's: after a batch, a pause that is learned from how soon clients came back (docs/adr/0028)
greedy   MLQ without that pause, `max_wait = 0`: a free slot takes what waits
apart    greedy again, but claimed as in the two rules below are: what building them costs by itself
window   a batch leaves when it is full, or when its first job is 5 ms old, on an idle slot, too: as of mosec, KServe,
         LitServe and MLServer
bento    BentoML's: it holds a batch of n while n * (age of the newest + 1 ms + a) <= 0.95 * mean wait of the oldest

All are the same `mlq worker` with the same model, behind the same `mlq serve`, for the same clients over HTTP. The
first two are as MLQ runs. In the others, the claimer first looks at the waiting jobs, by the server's clock and each
1 ms while the rule holds them, and the settler claims nothing (worker.py). That costs two more round trips a batch,
which is what `apart` shows; compare `window` and `bento` with it, too.

Limits. Ages count from a job's post. Services that count the window from when they take the first job wait longer than
`window` after each batch. BentoML computes a, and the mean wait, at most each 5 s from the last 50 batches; here that
happens after each batch, so that short cells show the settled rule. Its training with the first batches and its
refusals of late jobs are left out, and a batch that is full takes the oldest jobs, not the newest. The models sleep, so
they cost no core.

Each round starts a worker and a server for each model and rule. They take all loads from light to heavy, each with a
warm-up of a quarter of its time. The server and the load generator have core 0, the worker and HTTP core 1. A round
with --seconds 2 takes under 4 minutes, but at 5 requests/s that is ten requests: take more for a p99 that means
something. `mlq serve` lets 200 requests wait and answers others without a result, so a load that is too much for a busy
machine fails. Needs Linux.
"""

import argparse
import asyncio
import gc
import os
import sys

from benchmarks.batching.report import CELLS, Book, Cell
from benchmarks.batching.rules import RULES
from benchmarks.models.load import Loaded, closed, opened
from benchmarks.models.peers import HERE, Place, mlq
from benchmarks.models.services import Running, Silent, service
from benchmarks.stage import pin, use_server

OURS = ("learned", "greedy")  # what MLQ does by itself
ALL = (*OURS, *RULES)
WARM = 0.25  # of a cell's time, before it: what a rule learned from the cell before fades


def commands(rule: str, place: Place) -> list[list[str]]:
    """The processes of MLQ with a worker that claims by that rule."""
    models = place.folder / "models.toml"
    models.write_text((HERE / "hosted.toml").read_text() + ("" if rule == "learned" else "max_wait = 0\n"))
    program = () if rule in OURS else (sys.executable, "-m", "benchmarks.batching.worker", rule)
    return mlq(place, program, models)


async def under(running: Running, cell: Cell, seconds: float) -> Loaded:
    if cell.clients:
        return await closed(running.port, running.requests, cell.clients, seconds)
    return await opened(running.port, running.requests, cell.rate, seconds)


def measure(book: Book, rule: str, cells: list[Cell], seconds: float) -> None:
    """A fresh worker that claims by that rule, under loads of one model."""
    try:
        with service("mlq", cells[0].model, lambda place: commands(rule, place)) as (running, _):
            for cell in cells:
                asyncio.run(under(running, cell, WARM * seconds))
                taken = asyncio.run(under(running, cell, seconds))
                print(f"{cell.model}, {cell.title}: {rule} {taken.figures()}", file=sys.stderr)
                book.note(cell, rule, taken)
    except Silent as error:
        book.failures.append(f"{cells[0].model}, {rule}: {error}")


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.batching", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)  # fmt: skip
    parser.add_argument("--runs", type=int, default=3, help="rounds; tables show medians (default 3)")
    parser.add_argument("--seconds", type=float, default=6.0, help="of each measurement (default 6)")
    parser.add_argument("--rules", default=",".join(ALL), help=f"of: {', '.join(ALL)}")
    parser.add_argument("--server", help="the server program, like /usr/bin/redis-server; default: the bundled Valkey")
    given = parser.parse_args()
    given.rules = given.rules.split(",")
    if unknown := set(given.rules) - set(ALL):
        parser.error(f"no such rule: {', '.join(sorted(unknown))}")
    return given


def run(given: argparse.Namespace) -> None:
    use_server(given.server)
    pin(os.getpid(), 0)
    gc.freeze()
    book = Book()
    for _ in range(given.runs):
        for cells in CELLS.values():
            for rule in given.rules:
                measure(book, rule, cells, given.seconds)
    for model in CELLS:
        print(book.table(model, given.rules))
    print("".join(f"\n- {failure}" for failure in book.failures))


if __name__ == "__main__":
    run(options())
