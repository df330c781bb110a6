"""Ops on which workers live: heartbeats, what they report about themselves, and which models they hold."""

from collections.abc import Collection
from typing import Any

from mlq.core.job import fields_of, text
from mlq.core.keys import FORMAT, Keys
from mlq.errors import Unsupported
from mlq.ops import Op, call, nothing
from mlq.ops.scripts import script


def alive(keys: Keys, worker: str, seconds: float, about: dict[str, str | int | float]) -> Op[tuple[str, str]]:
    """A worker's heartbeat: it counts as alive for `seconds`. Returns the version of the uploads, and the epoch."""

    def parse(reply: list[bytes]) -> tuple[str, str]:
        if reply[0] == b"format":
            raise Unsupported(
                f"namespace {keys.namespace!r} is stored in layout {text(reply[1])!r:.80}, this MLQ reads {FORMAT!r}"
            )
        return reply[1].decode("utf-8", "replace"), reply[2].decode("utf-8", "replace")

    flat = [part for pair in about.items() for part in pair]
    names = (keys.workers, keys.worker + worker, keys.format, keys.uploads_version, keys.epoch)
    return call(script("alive"), names, (worker, seconds, FORMAT, *flat), parse)


def retire(keys: Keys, worker: str) -> tuple[Op[int], Op[int]]:
    """Remove a worker that stopped from the list of workers."""
    return Op(("ZREM", keys.workers, worker), int), Op(("DEL", keys.worker + worker, keys.inbox + worker), int)


def hold(keys: Keys, worker: str, held: Collection[str], gone: Collection[str]) -> Op[None]:
    """Note which models a worker holds, by their listeners, and which it holds no more."""
    return call(script("hold"), (keys.holders,), (worker, len(held), *sorted(held), *sorted(gone)), nothing)


def workers(keys: Keys) -> Op[list[dict[str, str]]]:
    """The workers that are alive: what each reports about itself, with its name under `name`."""

    def parse(reply: list[Any]) -> list[dict[str, str]]:
        return [
            {"name": text(name) or ""} | {key: text(value) or "" for key, value in fields_of(flat).items()}
            for name, flat in reply
        ]

    return call(script("workers"), (keys.workers, keys.worker), (), parse)
