"""What was measured, as Markdown: a table for each model and load, memory, and all versions."""

import platform
import statistics
from collections import defaultdict
from dataclasses import dataclass, field
from importlib.metadata import version

from benchmarks.models.peers import SERVICES, environment_of
from benchmarks.peers.environments import versions_of
from benchmarks.peers.probes import Server

LATENCIES = ("mean", "p50", "p99")
OURS = ("mlq", "redis", "hiredis", "pydantic", "scikit-learn")  # whose versions are told for MLQ


@dataclass(frozen=True)
class Load:
    """Clients that wait for their answers, or `clients` 0: requests at random times."""

    clients: int

    @property
    def title(self) -> str:
        return f"closed load, {self.clients} client{'s'[: self.clients - 1]}" if self.clients else "open load"


@dataclass
class Book:
    """All figures of a run: for each model, load and service one of each round."""

    figures: defaultdict[tuple[str, Load, str], list[dict[str, float]]] = field(
        default_factory=lambda: defaultdict(list)
    )
    failures: dict[tuple[str, Load, str], str] = field(default_factory=dict)
    memory: dict[tuple[str, str], dict[str, float]] = field(default_factory=dict)
    open_rates: dict[str, float] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def median(self, model: str, load: Load, name: str, figure: str) -> float | None:
        values = [one[figure] for one in self.figures[model, load, name]]
        return statistics.median(values) if values else None

    def slowest(self, model: str, load: Load) -> float | None:
        """The rate of the slowest service that answered all requests of a load."""
        rates = [
            self.median(model, load, name, "rate") for name in SERVICES if (model, load, name) not in self.failures
        ]
        return min((rate for rate in rates if rate is not None), default=None)


def table(book: Book, model: str, load: Load, names: list[str]) -> str:
    """One model under one load: medians, the rates with their spread. A ratio above 1 is in favour of MLQ."""
    at = "" if load.clients else f", {book.open_rates.get(model, 0.0):.0f} requests/s on average"
    compared = "requests/s, MLQ ÷ service" if load.clients else "mean ms, service ÷ MLQ"
    lines = [f"\n### {model}, {load.title}{at}\n", f"| service | requests/s | mean ms | p50 ms | p99 ms | {compared} |"]
    lines.append("|---|---:|---:|---:|---:|---:|")
    lines += [_row(book, model, load, name) for name in names if book.figures[model, load, name]]
    lines += [f"\n{SERVICES[name].title}: {why}" for (of, where, name), why in book.failures.items()
              if of == model and where == load]  # fmt: skip
    return "\n".join(lines)


def _row(book: Book, model: str, load: Load, name: str) -> str:
    rates = [one["rate"] for one in book.figures[model, load, name]]
    rate = f"{statistics.median(rates):,.0f}"
    spread = f" ({min(rates):,.0f} to {max(rates):,.0f})" if len(rates) > 1 else ""
    latencies = [f"{book.median(model, load, name, each):,.1f}" for each in LATENCIES]
    return f"| {' | '.join([SERVICES[name].title, rate + spread, *latencies, _ratio(book, model, load, name)])} |"


def _ratio(book: Book, model: str, load: Load, name: str) -> str:
    figure = "rate" if load.clients else "mean"
    ours, theirs = book.median(model, load, "mlq", figure), book.median(model, load, name, figure)
    if name == "mlq" or not ours or not theirs:
        return ""
    return f"{ours / theirs if load.clients else theirs / ours:.2f}"


def memory(book: Book) -> str:
    """What the services held after the load."""
    lines = ["\n### Resident memory after the closed loads, MB; pages that processes share count in each\n"]
    lines.append("| model | service | process of HTTP, or its parent | all processes | how many |")
    lines.append("|---|---|---:|---:|---:|")
    for (model, name), held in book.memory.items():
        figures = " | ".join(f"{held[each]:.0f}" for each in ("first", "all", "processes"))
        lines.append(f"| {model} | {SERVICES[name].title} | {figures} |")
    return "\n".join(lines)


def versions(names: list[str], url: str) -> str:
    server = Server(url)
    kind = server.info("server_name") if "server_name:" in server.ask("INFO server") else "redis"
    number = server.info("valkey_version" if kind == "valkey" else "redis_version")
    lines = ["\n### Versions\n", f"Python {platform.python_version()}, {kind} {number}, {platform.platform()}\n"]
    for name in names:
        if name == "mlq":
            lines.append("- " + ", ".join(f"{package} {version(package)}" for package in OURS))
        elif not SERVICES[name].shares:
            found = versions_of(environment_of(name))
            wanted = (*SERVICES[name].requirements, "redis", "kombu", "pydantic")
            packages = dict.fromkeys(package.partition("[")[0] for package in wanted)
            lines.append("- " + ", ".join(f"{package} {found[package]}" for package in packages if package in found))
    return "\n".join(lines)
