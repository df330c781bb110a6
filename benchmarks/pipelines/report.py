"""What was measured, as Markdown: a table for each case, how steady the machine was, and all versions."""

import platform
import statistics
from collections import defaultdict
from dataclasses import dataclass, field
from importlib.metadata import version

from benchmarks.peers.environments import versions_of
from benchmarks.peers.probes import Server
from benchmarks.pipelines.systems import SYSTEMS

OURS = ("mlq", "redis", "hiredis")


@dataclass
class Book:
    """All figures of a run of this program: for each case and system one of each round."""

    figures: defaultdict[tuple[str, str], list[dict[str, float]]] = field(default_factory=lambda: defaultdict(list))
    failures: dict[tuple[str, str], str] = field(default_factory=dict)
    loops: list[float] = field(default_factory=list)  # the bare loop, before and after each measurement
    notes: list[str] = field(default_factory=list)


def table(book: Book, case: str, title: str, *, summed: bool) -> str:
    """Medians with their spread, or sums over the rounds."""
    taken = {name: rounds for (which, name), rounds in book.figures.items() if which == case}
    heads = list(dict.fromkeys(head for rounds in taken.values() for each in rounds for head in each))
    lines = [f"\n### {title}\n", f"| system | pool | rounds | {' | '.join(heads)} |"]
    lines.append("|---|---|" + "---:|" * (len(heads) + 1))
    for name, rounds in taken.items():
        cells = [_cell([each[head] for each in rounds], summed=summed) for head in heads]
        lines.append(f"| {' | '.join([name, SYSTEMS[name].pool, str(len(rounds)), *cells])} |")
    lines += [f"\n{name} failed: {why}" for (which, name), why in book.failures.items() if which == case]
    return "\n".join(lines)


def _cell(values: list[float], *, summed: bool) -> str:
    if summed:
        return f"{sum(values):,.0f}"
    middle = _number(statistics.median(values))
    return middle if len(values) == 1 else f"{middle} ({_number(min(values))} to {_number(max(values))})"


def _number(value: float) -> str:
    return f"{value:.2f}" if value < 10 else f"{value:.1f}" if value < 100 else f"{value:,.0f}"


def ending(book: Book, names: list[str], url: str) -> str:
    """The bare loop, notes, and what was compared."""
    server = Server(url)
    kind = server.info("server_name") if "server_name:" in server.ask("INFO server") else "redis"
    number = server.info("valkey_version" if kind == "valkey" else "redis_version")
    lines = ["\n### Probes and versions\n"]
    if book.loops:
        lines.append(f"Bare redis-py loop, one RPUSH at a time, calls/s: {_cell(book.loops, summed=False)}\n")
    lines += [f"{note}\n" for note in book.notes]
    lines.append(f"Python {platform.python_version()}, {kind} {number}, {platform.platform()}\n")
    for module, requirements in {SYSTEMS[name].module: SYSTEMS[name].requirements for name in names}.items():
        found = versions_of(module) if requirements else {package: version(package) for package in OURS}
        packages = dict.fromkeys(each.partition("[")[0] for each in (*requirements, *OURS, "kombu", "coredis"))
        lines.append("- " + ", ".join(f"{package} {found[package]}" for package in packages if package in found))
    return "\n".join(lines)
