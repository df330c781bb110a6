"""The loads of this benchmark, what came of them, and how that is told: a Markdown table for each model."""

import statistics
from collections import defaultdict
from dataclasses import dataclass, field

from benchmarks.models.load import Loaded


@dataclass(frozen=True)
class Cell:
    """A model under a load: clients that wait for their answers, or else so many requests a second at random times."""

    model: str
    clients: int = 0
    rate: int = 0

    @property
    def title(self) -> str:
        return f"closed, {self.clients} client{'s'[: self.clients - 1]}" if self.clients else f"open, {self.rate}/s"

    def tell(self, figures: list[dict[str, float]]) -> str:
        """Medians: predictions a second or the mean latency, then the 99th percentile of the latency."""
        first, p99 = (statistics.median(one[name] for one in figures) for name in (self.first, "p99"))
        return f"{first:,.0f}/s, {p99:.1f}" if self.clients else f"{first:.1f}, {p99:.1f}"

    @property
    def first(self) -> str:
        return "rate" if self.clients else "mean"


def cells(model: str, *loads: str) -> list[Cell]:
    """From words such as `8` for clients and `90/s` for requests at random times."""
    return [
        Cell(model, rate=int(load.removesuffix("/s"))) if load.endswith("/s") else Cell(model, int(load))
        for load in loads
    ]


# From light to heavy: a rule that has learned long waits needs 50 batches to forget them, which takes seconds when few
# requests come.
CELLS = {
    "overhead": cells("overhead", "5/s", "1", "2", "90/s", "4", "200/s", "8", "16", "500/s", "32", "64"),
    "cheap": cells("cheap", "500/s", "8", "32"),
}


@dataclass
class Book:
    """All figures of a run: for each cell and rule one of each round."""

    figures: defaultdict[tuple[Cell, str], list[dict[str, float]]] = field(default_factory=lambda: defaultdict(list))
    failures: list[str] = field(default_factory=list)

    def note(self, cell: Cell, rule: str, taken: Loaded) -> None:
        if taken.failures:
            words = f"{cell.model}, {cell.title}, {rule}: {taken.failures} requests failed, the first with {taken.why}"
            self.failures.append(words)
        else:
            self.figures[cell, rule].append(taken.figures())

    def table(self, model: str, rules: list[str]) -> str:
        lines = [f"\n### {model}\n", "Closed load: predictions a second, p99 ms. Open load: mean ms, p99 ms.\n"]
        lines += [f"| load | {' | '.join(rules)} |", "|---|" + "---|" * len(rules)]
        for cell in sorted(CELLS[model], key=lambda cell: cell.clients):  # the open loads first
            each = (self.figures[cell, rule] for rule in rules)
            told = [cell.tell(figures) if figures else "none" for figures in each]
            lines.append(f"| {' | '.join([cell.title, *told])} |")
        return "\n".join(lines)
