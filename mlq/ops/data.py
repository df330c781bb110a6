"""Ops on stored data and on the namespace as a whole."""

from typing import Any

from mlq.core.keys import Keys
from mlq.ops import Op, nothing


def store(keys: Keys, key: str, packed: bytes, expiry: float | None) -> Op[None]:
    """Store `packed` under `key`, for `expiry` seconds or forever."""
    command: tuple[Any, ...] = ("SET", keys.data + key, packed)
    return Op(command if expiry is None else (*command, "PX", max(1, int(expiry * 1000))), nothing)


def store_first(keys: Keys, key: str, packed: bytes, expiry: int) -> Op[bytes | None]:
    """Store `packed` under `key` for `expiry` seconds, unless something is there already, which is given back."""
    return Op(("SET", keys.data + key, packed, "NX", "GET", "EX", expiry), lambda reply: reply)


def fetch(keys: Keys, key: str) -> Op[bytes | None]:
    """What is stored under `key`; None if there is nothing."""
    return Op(("GET", keys.data + key), lambda reply: reply)


def scan(keys: Keys, cursor: str) -> Op[tuple[str, list[bytes]]]:
    """One page of the namespace's keys, except those for counting ids and those that workers registered."""
    kept = tuple(
        name.encode()
        for name in (
            keys.counter,
            keys.epoch,
            keys.skipped_ids,
            keys.classes,
            keys.class_,
            keys.serves,
            keys.holders,
            keys.models,
            keys.model,
            keys.uses,
        )
    )
    pattern = "".join(f"\\{c}" if c in "*?[]\\^-" else c for c in keys.root) + "*"

    def parse(reply: list[Any]) -> tuple[str, list[bytes]]:
        return reply[0].decode(), [name for name in reply[1] if not name.startswith(kept)]

    return Op(("SCAN", cursor, "MATCH", pattern, "COUNT", 1000), parse)


def unlink(names: list[bytes]) -> Op[int]:
    """Remove keys."""
    return Op(("UNLINK", *names), int)


def wake_up(keys: Keys, worker: str) -> tuple[Op[None], Op[None]]:
    """Make a worker that waits for jobs check for work at once."""
    return Op(("RPUSH", keys.inbox + worker, "wake"), nothing), Op(("EXPIRE", keys.inbox + worker, 60), nothing)
