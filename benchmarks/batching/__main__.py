"""The rules by which a batch leaves, side by side in MLQ's own worker: python -m benchmarks.batching [--runs N] ...

learned  MLQ's: after a batch, a pause that is learned from how soon clients came back (docs/adr/0028)
greedy   MLQ without that pause, `max_wait = 0`: a free slot takes what waits
apart    greedy again, but claimed as the two rules below are: what building them costs by itself
window   a batch leaves when it is full, or when its first job is 5 ms old, on an idle slot, too: as of mosec, KServe,
         LitServe and MLServer
bento    BentoML's: it holds a batch of n while n * (age of the newest + 1 ms + a) <= 0.95 * mean wait of the oldest

All are the same `mlq worker` with the same model, behind the same `mlq serve`, for the same clients over HTTP. The
first two are as MLQ runs. In the others, the claimer first looks at the waiting jobs by the server's clock, each 1 ms
while the rule holds them, and the settler claims nothing (worker.py). That costs two more round trips a batch, which
is what `apart` shows; compare the others with it, too. BentoML's training with the first batches and its refusals of
late jobs are left out. The models sleep, so they cost no core.

Server and load generator have core 0, worker and HTTP core 1. A service is started anew for each model, rule and round.
Needs Linux.
"""

import argparse
import asyncio
import gc
import os
import statistics
import sys
from collections import defaultdict
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from benchmarks.models.load import Loaded, closed, opened
from benchmarks.models.peers import SERVICES, Place
from benchmarks.models.services import Running, service
from benchmarks.stage import pin, use_server

if TYPE_CHECKING:
    from collections.abc import Callable

HOSTED = Path(__file__).parents[1] / "models" / "peers" / "hosted.toml"
RULES = ("learned", "greedy", "apart", "window", "bento")


class Cell(NamedTuple):
    """One load on one model."""

    model: str
    clients: int = 0  # that come back at once; 0: requests at random times
    rate: float = 0.0  # of these, per second

    @property
    def title(self) -> str:
        load = f"closed, {self.clients} clients: per s, p99" if self.clients else f"open, {self.rate:g}/s: mean, p99"
        return f"{self.model}, {load}"

    def figures(self, taken: Loaded) -> tuple[float, float]:
        found = taken.figures()
        return found["rate" if self.clients else "mean"], found["p99"]


CELLS = [
    *(Cell("overhead", clients) for clients in (1, 2, 4, 8, 16, 32, 64)),
    *(Cell("overhead", rate=rate) for rate in (5.0, 90.0, 200.0, 500.0)),
    *(Cell("cheap", clients) for clients in (8, 32)),
    Cell("cheap", rate=500.0),
]
Book = defaultdict[tuple[Cell, str], list[tuple[float, float]]]


def commands(rule: str, place: Place) -> list[list[str]]:
    """The processes of MLQ, whose worker follows that rule."""
    common = ["--url", place.redis, "--namespace", "bench", "--log-level", "warning"]
    models = place.folder / "models.toml"
    models.write_text(HOSTED.read_text("utf-8") + ("max_wait = 0\n" if rule == "greedy" else ""))
    program = ["mlq.cli"] if rule in ("learned", "greedy") else ["benchmarks.batching.worker", rule]
    return [
        [sys.executable, "-m", "mlq.cli", "serve", "--port", str(place.port), *common],
        [sys.executable, "-m", *program, "worker", "--models", str(models), *common],
    ]


async def under(running: Running, cell: Cell, seconds: float) -> Loaded:
    if cell.clients:
        return await closed(running.port, running.requests, cell.clients, seconds)
    return await opened(running.port, running.requests, cell.rate, seconds)


def measure(book: Book, model: str, rule: str, seconds: float) -> None:
    """All loads on one model, one after the other, each after a quarter of its time as a warm-up."""
    with service(rule, model) as (running, _):
        for cell in CELLS:
            if cell.model == model:
                asyncio.run(under(running, cell, seconds / 4))
                taken = asyncio.run(under(running, cell, seconds))
                if taken.failures:
                    sys.exit(f"{rule}, {cell.title}: {taken.failures} requests failed, the first with {taken.why}")
                book[cell, rule].append(cell.figures(taken))
                print(f"{rule}, {cell.title} {book[cell, rule][-1]}", file=sys.stderr)


def table(book: Book, rules: list[str]) -> str:
    """A row for each cell, with the median of each rule."""
    lines = [f"| | {' | '.join(rules)} |", f"|---|{'---:|' * len(rules)}"]
    for cell in CELLS:
        found = [[statistics.median(values) for values in zip(*book[cell, rule], strict=True)] for rule in rules]
        first: Callable[[float], str] = (lambda n: f"{n:,.0f}") if cell.clients else (lambda n: f"{n:.1f}")
        shown = [f"{first(one[0])}, {one[1]:.1f}" for one in found]
        lines.append(f"| {cell.title} | {' | '.join(shown)} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.batching", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)  # fmt: skip
    parser.add_argument("--runs", type=int, default=3, help="rounds; the table shows medians (default 3)")
    parser.add_argument("--seconds", type=float, default=4.0, help="of each measurement (default 4)")
    parser.add_argument("--rules", default=",".join(RULES), help=f"of: {', '.join(RULES)}")
    parser.add_argument("--server", help="the server program, like /usr/bin/redis-server; default: the bundled Valkey")
    given = parser.parse_args()
    rules = given.rules.split(",")
    if unknown := set(rules) - set(RULES):
        parser.error(f"no such rule: {', '.join(sorted(unknown))}")
    use_server(given.server)
    pin(os.getpid(), 0)
    gc.freeze()
    SERVICES.update({rule: replace(SERVICES["mlq"], title=rule, commands=partial(commands, rule)) for rule in rules})
    book: Book = defaultdict(list)
    for _ in range(given.runs):
        for model in dict.fromkeys(cell.model for cell in CELLS):
            for rule in rules:
                measure(book, model, rule, given.seconds)
    print(table(book, rules))


if __name__ == "__main__":
    main()
