"""What was measured, and how it is told: a Markdown table per case, the probes, and all versions."""

import platform
import statistics
from collections import defaultdict
from dataclasses import dataclass, field

from benchmarks.peers import PEERS
from benchmarks.peers.environments import versions_of
from benchmarks.peers.probes import Server

CLIENTS = ("redis", "coredis", "hiredis")  # reported beside each peer's own version


@dataclass(frozen=True)
class Taken:
    """One measurement. `figures` is empty for a failure, and for a peer that has no such thing."""

    peer: str
    pool: str
    figures: dict[str, float]
    failure: str
    probes: tuple[float, float]


@dataclass
class Book:
    """All measurements of a run."""

    titles: dict[str, str]
    cases: defaultdict[str, list[Taken]] = field(default_factory=lambda: defaultdict(list))
    benchmarks: list[float | None] = field(default_factory=list)

    def add(self, case: str, taken: Taken) -> None:
        self.cases[case].append(taken)

    def values(self, case: str, entrant: tuple[str, str], figure: str) -> list[float]:
        rounds = [each for each in self.cases[case] if (each.peer, each.pool) == entrant]
        return [each.figures[figure] for each in rounds if figure in each.figures]


def table(book: Book, case: str, *, less_is_better: bool) -> str:
    """One case: medians with their spread, and for each figure how MLQ's compares in the same pool."""
    taken = book.cases[case]
    names = list(dict.fromkeys(name for each in taken for name in each.figures))
    heads = [head for name in names for head in (name, "MLQ ÷ peer")]
    better = "less" if less_is_better else "more"
    lines = [f"\n### {book.titles[case]} ({better} is better)\n", f"| peer | pool | {' | '.join(heads)} |"]
    lines.append("|---|---|" + "---:|" * len(heads))
    for entrant in dict.fromkeys((each.peer, each.pool) for each in taken):
        cells = [cell for name in names for cell in _cells(book, case, entrant, name)]
        lines.append(f"| {' | '.join((*entrant, *cells))} |")
    lines += [f"\n{peer} {pool} failed: {why}" for peer, pool, why in _failures(taken)]
    if loops := [rate for each in taken for rate in each.probes]:
        lines.append(f"\nBare redis-py loop meanwhile, calls/s: {_spread(loops)}")
    return "\n".join(lines)


def _cells(book: Book, case: str, entrant: tuple[str, str], name: str) -> tuple[str, str]:
    values = book.values(case, entrant, name)
    if not values:
        return "-", ""
    peer, pool = entrant
    ours = book.values(case, ("mlq", pool), name) or book.values(case, ("mlq", PEERS["mlq"].usual), name)
    middle = statistics.median(values)
    if peer == "mlq" or not ours or not middle:
        return _spread(values), ""
    return _spread(values), f"{statistics.median(ours) / middle:.2f}"


def _failures(taken: list[Taken]) -> list[tuple[str, str, str]]:
    return list(dict.fromkeys((each.peer, each.pool, each.failure) for each in taken if each.failure))


def _spread(values: list[float]) -> str:
    middle = _number(statistics.median(values))
    return middle if len(values) == 1 else f"{middle} ({_number(min(values))} to {_number(max(values))})"


def _number(value: float) -> str:
    return f"{value:.2f}" if value < 10 else f"{value:.1f}" if value < 100 else f"{value:,.0f}"


def probes(book: Book) -> str:
    """How steady the machine was."""
    loops = [rate for taken in book.cases.values() for each in taken for rate in each.probes]
    told = _spread(loops) if loops else "not taken"
    lines = ["\n### Probes\n", f"Bare redis-py loop, one RPUSH of 100 bytes at a time, calls/s: {told}"]
    plain = [rate for rate in book.benchmarks if rate is not None]
    told = _spread(plain) if plain else "not installed"
    lines.append(f"\nThe server's own benchmark program, one connection, RPUSH/s: {told}")
    return "\n".join(lines)


def versions(peers: list[str], url: str) -> str:
    """What was compared."""
    server = Server(url)
    name = server.info("server_name") if "server_name:" in server.ask("INFO server") else "redis"
    version = server.info("valkey_version" if name == "valkey" else "redis_version")
    lines = ["\n### Versions\n", f"Python {platform.python_version()}, {name} {version}, {platform.platform()}\n"]
    for peer in peers:
        found = versions_of(peer)
        packages = [requirement.partition("[")[0] for requirement in PEERS[peer].requirements]
        wanted = [package for package in dict.fromkeys((*packages, *CLIENTS)) if package in found]
        lines.append("- " + ", ".join(f"{package} {found[package]}" for package in wanted))
    return "\n".join(lines)
