"""How an upload is stored and signed.

An upload has a name, its code (the output of cloudpickle), and a head: the time of the upload by Redis' clock, a space,
and a packed map

    python       the minor version of Python that can run the code: "3.12"
    fingerprint  SHA-256 of the code, the first 16 hex digits
    size         of the code in bytes
    signature    HMAC-SHA256 over the namespace, the name, the Python version and the code

Uploads are code, and somebody who can write to Redis must not be able to run code on the workers. So a worker loads
only uploads that were signed with the secret that it has itself (`secret.py`).
"""

import hashlib
import hmac
import sys
from contextlib import suppress
from typing import Any, NamedTuple

from mlq.core import codec
from mlq.core.checks import check_size
from mlq.errors import InputError, Undecodable
from mlq.uploads.secret import VARIABLE, find_secret

LIMIT = 16 * 1024 * 1024  # bytes of code
PYTHON = f"{sys.version_info.major}.{sys.version_info.minor}"
_PURPOSE = "mlq upload 1"


class Head(NamedTuple):
    """What is stored about an upload besides its code."""

    uploaded: float  # seconds since 1970
    python: str
    fingerprint: str
    size: int
    signature: bytes


def seal(namespace: str, name: str, code: bytes, python: str = PYTHON) -> bytes:
    """The packed map for an upload's head. Raises TooLarge, or InputError if there is no usable secret."""
    check_size("the code of an uploaded listener", code, LIMIT)
    secret = find_secret(make=True) or b""
    return codec.pack({
        "python": python, "fingerprint": fingerprint(code), "size": len(code),
        "signature": _signature(secret, namespace, name, python, code),
    })  # fmt: skip


def read_head(raw: bytes) -> Head:
    """Parse a head. Raises Undecodable."""
    uploaded, _, packed = raw.partition(b" ")
    found = codec.unpack(packed)
    try:
        head = Head(float(uploaded), **found)
    except (TypeError, ValueError):
        raise Undecodable("it was not written by MLQ") from None
    kinds = (float, str, str, int, bytes)
    if not all(isinstance(value, kind) for value, kind in zip(head, kinds, strict=True)):
        raise Undecodable("it was not written by MLQ")
    return head


def check(namespace: str, name: str, raw: bytes, code: bytes) -> Head:
    """The head of an upload that this process may load. Raises Undecodable or InputError with the reason."""
    head = read_head(raw)
    secret = find_secret(make=False)
    if secret is None:
        raise InputError(
            f"there is no secret to check its signature with: set {VARIABLE} to the same value as where it was uploaded"
        )
    wanted = _signature(secret, namespace, name, head.python, code)
    if not hmac.compare_digest(wanted, head.signature):
        raise Undecodable(f"its signature is wrong: forged, or signed with another {VARIABLE}")
    if head.python != PYTHON:
        raise InputError(f"it was uploaded from Python {head.python}, and this Python {PYTHON} can't run its code")
    return head


def overview(heads: dict[str, bytes]) -> list[dict[str, Any]]:
    """Uploads as shown to users, by name; malformed entries are left out."""
    found = []
    for name, raw in sorted(heads.items()):
        with suppress(Undecodable):
            head = read_head(raw)._asdict()
            del head["signature"]
            found.append({"name": name, **head})
    return found


def fingerprint(code: bytes) -> str:
    """A short hash that distinguishes one upload's code from another's."""
    return hashlib.sha256(code).hexdigest()[:16]


def _signature(secret: bytes, namespace: str, name: str, python: str, code: bytes) -> bytes:
    made = hmac.new(secret, codec.pack([_PURPOSE, namespace, name, python]), "sha256")
    made.update(code)  # unambiguous without a separator: the packed list is self-delimiting
    return made.digest()
