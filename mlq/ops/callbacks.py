"""Ops of the callback outbox."""

from typing import Any, NamedTuple

from mlq.keys import Keys
from mlq.ops import Op, call, nothing
from mlq.ops.scripts import script


class Callback(NamedTuple):
    """A callback that was taken to be sent."""

    id: str
    attempt: int  # 1 for the first try
    url: str
    success: str  # "1" or "0"
    short_result: str | None  # None where it is left out


def take(keys: Keys, most: int, lease: float, tries: int) -> Op[list[Callback]]:
    """Take up to `most` due callbacks for `lease` seconds; one that was tried `tries` times is dropped."""

    def parse(reply: list[Any]) -> list[Callback]:
        return [
            Callback(
                row[0].decode("utf-8", "replace"),
                int(row[1]),
                row[2].decode("utf-8", "replace"),
                row[3].decode(),
                row[5].decode("utf-8", "replace") if row[4] == b"1" else None,
            )
            for row in (reply[i : i + 6] for i in range(0, len(reply), 6))
        ]

    return call(script("take_callbacks"), (keys.callbacks, keys.callback), (most, lease, tries), parse)


def end(keys: Keys, callback: Callback, note: str, again_in: float | None) -> Op[None]:
    """Record how a try went; `again_in` seconds from now comes the next, None ends it."""
    names = (keys.callbacks, keys.callback + callback.id, keys.job + callback.id)
    args = (callback.id, callback.attempt, note, "" if again_in is None else again_in)
    return call(script("end_callback"), names, args, nothing)
