"""Why a queued job may not begin, whoever is free: what its queue, functions, resources and share are allowed."""

import shlex

from mlq.client.seen import Seen
from mlq.core.limit import Gate
from mlq.core.spans import span
from mlq.core.why import Why


def paused(seen: Seen) -> Why | None:
    """A person has paused one of them."""
    found = next(((one.gate, one.paused) for one in seen.facts.gates if one.paused is not None), None)
    if found is None:
        return None
    gate, (since, by) = found
    text = (
        f"{_words(gate)} was paused {span(max(0.0, seen.facts.now - since))} ago by {by}: "
        f"mlq resume --{gate.kind} {shlex.quote(gate.name)} ends that."
    )
    return Why("paused", text, {"gate": str(gate), "since": since, "by": by})


def limited(seen: Seen) -> Why | None:
    """As many jobs of one of them run as its limit allows."""
    for gate, limit, _, running, _, jobs in seen.facts.gates:
        most = limit and limit.running
        if most and running is not None and running >= most:
            which = f" ({', '.join(jobs)}{', ...' if running > len(jobs) else ''})" if jobs else ""
            text = (
                f"{_words(gate)} has a limit: {running:,} of {most:,} jobs run{which}. "
                "It may begin when one of them has ended."
            )
            return Why("limit", text, {"gate": str(gate), "running": running, "limit": most, "jobs": list(jobs)})
    return None


def rate(seen: Seen) -> Why | None:
    """As many jobs of one of them have begun as its rate allows; of several, the one that opens last."""
    shut = [(one.opens, one.gate, one.limit.rate) for one in seen.facts.gates
            if one.opens is not None and one.limit is not None and one.limit.rate]  # fmt: skip
    if not shut:
        return None
    due, gate, allowed = max(shut)
    text = (
        f"{_words(gate)} has used up its rate of {allowed}: the next job may begin in "
        f"{span(max(0.0, due - seen.facts.now))}."
    )
    return Why("rate", text, {"gate": str(gate), "rate": allowed, "due": due})


def _words(gate: Gate) -> str:
    return f"Its {gate.words}"
