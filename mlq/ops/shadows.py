"""Ops on shadows: users set them, workers offer predictions to them and count how the outputs compare."""

from collections.abc import Sequence
from typing import Any

from mlq.core.job import fields_of
from mlq.core.keys import Keys
from mlq.core.shadow import Difference, Sample, Shadow, settings_in
from mlq.ops import Op, call, nothing
from mlq.ops.scripts import script

WAITING = 256  # predictions that wait for a shadow, of 64 KiB at most: so they take 16 MiB at most
KEPT = 600  # seconds that they are kept when no more come
LAST, LAST_KEPT = 20, 86400  # differences, and seconds for which they are kept


def settings(keys: Keys) -> Op[dict[str, Shadow]]:
    """The shadows by the names of their models."""
    return call(script("shadows"), (keys.shadows,), (), lambda reply: settings_in(fields_of(reply)), "the shadows")


def put(keys: Keys, model: str, shadow: Shadow) -> Op[None]:
    """Keep which version is the shadow of a model."""
    return Op(("HSET", keys.shadows, model, shadow.packed()), nothing, about=f"the shadow of model {model}")


def drop(keys: Keys, model: str) -> Op[None]:
    """Keep no more which version it was."""
    return Op(("HDEL", keys.shadows, model), nothing, about=f"the shadow of model {model}")


def forget(keys: Keys, function: str) -> Op[None]:
    """Drop what was counted for a version, and what waits for it."""
    waiting, figures, last = _names(keys, function)
    return Op(("DEL", waiting, figures, last), nothing, about=f"the shadow {function}")


def figures(keys: Keys, function: str) -> tuple[Op[dict[str, bytes]], Op[list[bytes]]]:
    """What was counted for a version, and the last differences."""
    _, counts, last = _names(keys, function)
    about = f"the shadow {function}"
    return (
        Op(("HGETALL", counts), fields_of, about=about),
        Op(("LRANGE", last, 0, LAST - 1), list, about=about),
    )


def offer(keys: Keys, function: str, samples: Sequence[Sample], dropped: int) -> Op[None]:
    """Have a version repeat predictions, as many as there is room for; `dropped` others were dropped before."""
    waiting, counts, _ = _names(keys, function)
    packed = [one.packed() for one in samples]
    return call(script("offer"), (waiting, counts), (WAITING, KEPT, dropped, *packed), nothing)


def take(keys: Keys, function: str) -> Op[Sample | None]:
    """Take a prediction to repeat; None if none waits."""
    waiting, _, _ = _names(keys, function)

    def parse(reply: bytes | None) -> Sample | None:
        return None if reply is None else Sample.parse(reply)

    return Op(("LPOP", waiting), parse, about=f"the shadow {function}")


def count(keys: Keys, function: str, verdict: str) -> Op[None]:
    """Count one comparison; `verdict` is one of `shadow.COUNTED`."""
    return Op(("HINCRBY", _names(keys, function)[1], verdict, 1), nothing, about=f"the shadow {function}")


def keep(keys: Keys, function: str, difference: Difference) -> list[Op[Any]]:
    """Keep a difference among the last ones."""
    last = _names(keys, function)[2]
    commands = ("LPUSH", last, difference.packed()), ("LTRIM", last, 0, LAST - 1), ("EXPIRE", last, LAST_KEPT)
    return [Op(command, nothing, about=f"the shadow {function}") for command in commands]


def _names(keys: Keys, function: str) -> tuple[str, str, str]:
    """The keys of a version: what waits for it, what was counted, and the last differences."""
    figures = f"{keys.shadow}{function}"
    return f"{figures}:waiting", figures, f"{figures}:last"
