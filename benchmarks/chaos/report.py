"""The figures of a run, as lines for a person and as a row of a markdown table."""

import statistics
from collections import Counter

from benchmarks.chaos.adversary import REFUSALS
from benchmarks.chaos.effects import Run
from benchmarks.chaos.evidence import Evidence
from benchmarks.chaos.pipelines import verify as pipelines
from benchmarks.chaos.rules import verify as rules
from benchmarks.chaos.verify import ended_as


def recoveries(evidence: Evidence) -> list[float]:
    """Seconds from the SIGKILL of a worker until each job that it ran began again."""
    again = [mine for mine in evidence.runs.values() if len(mine) > 1]
    times = (_recovery(mine, *kill) for mine in again for kill in evidence.kills)
    return [time for time in times if time is not None]


def _recovery(mine: list[Run], killed: float, worker: int) -> float | None:
    held = any(run.worker == worker and run.begin < killed and run.end is None for run in mine)
    later = [run.begin for run in mine if run.begin > killed]
    return min(later) - killed if held and later else None


def figures(evidence: Evidence, seed: int) -> dict[str, str]:
    """All figures by name."""
    attempts = [len({run.attempt for run in mine}) for mine in evidence.runs.values()]
    several = [run for mine in evidence.runs.values() for run in mine if run.together > 1]
    recovered = recoveries(evidence) or [0.0]
    count = evidence.troubles.count
    numbers: dict[str, int | str] = {
        "seed": seed,
        "jobs": len(evidence.jobs),
        "posts unknown": len(evidence.unknown),
        "kills of workers": len(evidence.kills),
        "kills of children": count("kill of a child"),
        "crashes": evidence.exits.get("crashed", 0),
        "freezes": count("freeze"),
        "restarts": count("restart"),
        "cuts": count("cut") + count("mute"),
        "delays": count("delay"),
        "deploys": count("deploy"),
        "refusals": sum(map(count, REFUSALS)),
        "kills of helpers": count("kill of a helper"),
        "names that passed": evidence.queues,
        "runs again": sum(attempts) - len(attempts),
        "calls for several": round(sum(1 / run.together for run in several)),
        "calls repeated": round(sum(1 / run.together for run in several if run.is_repeated)),
        "recovery, median s": f"{statistics.median(recovered):.1f}",
        "recovery, longest s": f"{max(recovered):.1f}",
        **outcomes(evidence),
        **pipelines.figures(evidence),
        **rules.figures(evidence),
        "callbacks": sum(map(len, evidence.calls.values())),
        "seconds": f"{evidence.seconds:.0f}",
    }
    return {name: str(number) for name, number in numbers.items()}


def outcomes(evidence: Evidence) -> dict[str, int]:
    """How many jobs ended how."""
    counts = Counter(job.state if job.state != "failed" else f"failed: {job.reason}" for job in evidence.jobs.values())
    by_chance = sum(
        job.reason == "lost" and not ended_as(evidence.mix.job(job.number).end, job) for job in evidence.jobs.values()
    )
    kinds = ("succeeded", "failed: error", "failed: lost", "failed: timeout")
    return {kind: counts.get(kind, 0) for kind in (*kinds, *sorted(counts.keys() - set(kinds)))} | {
        "of these lost by chance": by_chance
    }


def lines(evidence: Evidence, seed: int) -> str:
    """One figure a line, then how workers ended."""
    ends = ", ".join(f"{count} {how}" for how, count in sorted(evidence.exits.items()))
    return "\n".join(f"{name:>24}  {figure}" for name, figure in figures(evidence, seed).items()) + (
        f"\n{'workers':>24}  {ends}"
    )


def markdown(evidence: Evidence, seed: int) -> str:
    """A table of one row."""
    told = figures(evidence, seed)
    return f"| {' | '.join(told)} |\n|{'---:|' * len(told)}\n| {' | '.join(told.values())} |"
