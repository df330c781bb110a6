"""Ops on limits and pauses of queues, functions, resources and shares, and on what listeners use."""

from collections.abc import Mapping, Sequence
from typing import Any

from mlq.core.job import text
from mlq.core.keys import Keys
from mlq.core.limit import Gate, GateState, Limit, Pause
from mlq.errors import InputError
from mlq.ops import Op, call, nothing
from mlq.ops.jobs import lapse_keys
from mlq.ops.scripts import script

MOST = 10_000  # gates that may have limits, and that may be paused
PAGE = 500  # gates of one call


def limit(keys: Keys, gate: Gate, limit: Limit | None) -> Op[bool]:
    """Set the limit of a gate; None removes it. The result says whether that changed something."""
    packed = limit.packed() if limit else b""
    return call(
        script("limit"), lapse_keys(keys), (str(gate), packed, MOST), _changed("limits"), f"the limit of {gate.words}"
    )


def pause(keys: Keys, gate: Gate, by: str) -> Op[bool]:
    """Pause a gate; an empty `by` ends the pause. The result says whether that changed something."""
    return call(
        script("pause"), lapse_keys(keys), (str(gate), by, MOST), _changed("pauses"), f"the pause of {gate.words}"
    )


def _changed(what: str) -> Any:
    def parse(reply: int) -> bool:
        if reply < 0:
            raise InputError(f"there are {MOST:,} {what} already; remove some")
        return reply == 1

    return parse


def gates(keys: Keys) -> Op[tuple[dict[Gate, Limit], dict[Gate, Pause]]]:
    """The limits by gate, and the pauses; limits that are damaged are left out, as they limit nothing."""

    def parse(reply: list[list[bytes]]) -> tuple[dict[Gate, Limit], dict[Gate, Pause]]:
        return _by_gate(reply[0], Limit.parse), _by_gate(reply[1], Pause.parse)

    return call(script("gates"), (keys.limits, keys.paused), (), parse, "the limits")


def _by_gate(reply: list[bytes], parse: Any) -> dict[Any, Any]:
    found = {Gate.parse(text(name) or ""): parse(packed) for name, packed in zip(reply[::2], reply[1::2], strict=True)}
    return {gate: value for gate, value in found.items() if gate is not None and value is not None}


def states(
    keys: Keys, limits: Mapping[Gate, Limit], pauses: Mapping[Gate, Pause], gates: Sequence[Gate]
) -> Op[list[GateState]]:
    """What some gates let begin now; `limits` and `pauses` are those of all."""

    def parse(reply: list[list[int]]) -> list[GateState]:
        found = []
        for gate, (*counts, kept) in zip(gates, reply, strict=True):
            running, started, opens = (None if count < 0 else count for count in counts)
            opens_in = None if opens is None else opens / 1e6
            found.append(
                GateState(gate, limits.get(gate), pauses.get(gate), running, started, opens_in, holds_back=kept == 1)
            )
        return found

    return call(script("limits"), (keys.gates, keys.class_, keys.job), tuple(map(str, gates)), parse, "the limits")


def states_of_all(keys: Keys, limits: Mapping[Gate, Limit], pauses: Mapping[Gate, Pause]) -> list[Op[list[GateState]]]:
    """The ops that tell about all gates, a page each."""
    gates = sorted({*limits, *pauses})
    pages = (gates[start : start + PAGE] for start in range(0, len(gates), PAGE))
    return [states(keys, limits, pauses, page) for page in pages]


def declare_uses(keys: Keys, uses: Mapping[str, Sequence[Gate]]) -> Op[None]:
    """Tell what jobs of a function (`:embed`), or a queue's without functions (`gpu`), count for beside that itself."""
    flat = [part for what, gates in uses.items() for part in (what, ",".join(map(str, gates)))]
    return call(script("uses"), (keys.uses, keys.gates, keys.class_), tuple(flat), nothing)
