"""Ops on uploaded listeners: store, remove, list, read. `mlq.uploads` documents the bytes."""

from typing import Any

from mlq.core.keys import Keys
from mlq.ops import Op, call, nothing
from mlq.ops.scripts import script


def _keys(keys: Keys, name: str) -> tuple[str, ...]:
    """KEYS of the scripts that change uploads."""
    return (keys.uploads, keys.upload + name, keys.uploads_version, keys.workers, keys.worker, keys.inbox)


def put(keys: Keys, name: str, head: bytes, code: bytes) -> Op[None]:
    """Store an upload, replacing one of the same name."""
    return call(script("upload"), _keys(keys, name), (name, head, code), nothing)


def remove(keys: Keys, name: str) -> Op[bool]:
    """Remove an upload. The result says whether it existed."""
    return call(script("remove_upload"), _keys(keys, name), (name,), lambda reply: reply[0] == b"ok")


def version(keys: Keys) -> Op[str]:
    """When uploads last changed; empty if there never was one."""
    return Op(("GET", keys.uploads_version), lambda reply: (reply or b"").decode("utf-8", "replace"))


def heads(keys: Keys) -> Op[dict[str, bytes]]:
    """The heads of all uploads, by name."""

    def parse(reply: list[bytes]) -> dict[str, bytes]:
        return {reply[i].decode("utf-8", "replace"): reply[i + 1] for i in range(0, len(reply), 2)}

    return Op(("HGETALL", keys.uploads), parse)


def read(keys: Keys, name: str, most: int) -> Op[tuple[bytes, bytes] | None]:
    """Head and code of an upload, up to `most` bytes of it; None if it is gone."""

    def parse(reply: list[Any]) -> tuple[bytes, bytes] | None:
        head, code = reply
        return None if head is None or code is None else (head, code)

    return call(script("read_upload"), (keys.uploads, keys.upload + name), (name, most), parse)
