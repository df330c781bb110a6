"""Looks for requests of OpenAI's batch API with the same `custom_id`, before any of them is predicted.

Of each line, 8 bytes of a hash are kept: for 5,000,000 lines that is 40 MB, which a set of ids would take ten times.
"""

import hashlib
import json
from array import array
from collections.abc import Iterator

from mlq.core.json_values import has_too_many_parts
from mlq.errors import InputError
from mlq.files.places import Input
from mlq.files.text import MOST, ROW_LIMIT

AT_ONCE = 500_000  # hashes that are compared at a time, in 40 MB


def check_ids(file: Input) -> None:
    """Check that no two lines have one `custom_id`. Lines without any fail by themselves. Raises InputError."""
    hashes = array("Q", map(_hash, _lines(file)))
    parts = 1 + len(hashes) // AT_ONCE
    for part in range(parts):
        seen: set[int] = set()
        for number, one in enumerate(hashes, 1):
            if one % parts != part or not one:
                continue
            if one in seen:
                first = hashes.index(one) + 1
                raise InputError(f"lines {first:,} and {number:,} of {file.address} have the same custom_id")
            seen.add(one)


def _hash(line: bytes) -> int:
    """Of the id in a line; 0 if there is none."""
    try:
        name = None if has_too_many_parts(line) else json.loads(line)["custom_id"]
    except (ValueError, TypeError, LookupError, RecursionError):
        return 0
    if not isinstance(name, str):
        return 0
    digest = hashlib.blake2b(name.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest) or 1


def _lines(file: Input) -> Iterator[bytes]:
    """The lines of a file; of one that is too long, only the beginning."""
    at, rest = 0, b""
    while piece := file.read(at, MOST):
        at += len(piece)
        *whole, rest = (rest + piece).split(b"\n")
        yield from whole
        rest = rest[: ROW_LIMIT + 1]
    yield rest
