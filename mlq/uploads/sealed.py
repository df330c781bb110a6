"""What is kept of an upload, and its signature.

An upload has a name, its code (what cloudpickle made of the function), and a head: the time at which it came, by Redis'
clock, a blank, and a packed map

    python       the minor version that can run the code: "3.12"
    fingerprint  SHA-256 of the code, the first 16 digits in hex
    size         of the code in bytes
    signature    HMAC-SHA256 over the namespace, the name, the version and the code

Uploads are code, and whoever can write to Redis must not be able to run his own on the workers. So a worker loads none
that was not signed with the secret that it knows itself (`secret.py`).
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
    """What is kept of an upload beside its code."""

    uploaded: float  # seconds since 1970
    python: str
    fingerprint: str
    size: int
    signature: bytes


def seal(namespace: str, name: str, code: bytes, python: str = PYTHON) -> bytes:
    """The packed map for an upload's head. Raises TooLarge, or InputError where there is no usable secret."""
    check_size("the code of an uploaded listener", code, LIMIT)
    secret = find_secret(make=True) or b""
    return codec.pack({
        "python": python, "fingerprint": fingerprint(code), "size": len(code),
        "signature": _signature(secret, namespace, name, python, code),
    })  # fmt: skip


def read_head(raw: bytes) -> Head:
    """A head. Raises Undecodable."""
    uploaded, _, packed = raw.partition(b" ")
    found = codec.unpack(packed)
    try:
        head = Head(float(uploaded), **found)
    except (TypeError, ValueError):
        raise Undecodable("it is none that MLQ wrote") from None
    kinds = (float, str, str, int, bytes)
    if not all(isinstance(value, kind) for value, kind in zip(head, kinds, strict=True)):
        raise Undecodable("it is none that MLQ wrote")
    return head


def check(namespace: str, name: str, raw: bytes, code: bytes) -> Head:
    """The head of an upload that this process may load. Raises Undecodable or InputError with the reason."""
    head = read_head(raw)
    secret = find_secret(make=False)
    if secret is None:
        raise InputError(
            f"there is no secret to check its signature with: set {VARIABLE} here as where it was uploaded"
        )
    wanted = _signature(secret, namespace, name, head.python, code)
    if not hmac.compare_digest(wanted, head.signature):
        raise Undecodable(f"its signature is wrong: forged, or signed with another {VARIABLE}")
    if head.python != PYTHON:
        raise InputError(f"it was made for Python {head.python}, whose code this one ({PYTHON}) can't run")
    return head


def overview(heads: dict[str, bytes]) -> list[dict[str, Any]]:
    """Uploads as people see them, by name; what MLQ did not write is left out."""
    found = []
    for name, raw in sorted(heads.items()):
        with suppress(Undecodable):
            head = read_head(raw)._asdict()
            del head["signature"]
            found.append({"name": name, **head})
    return found


def fingerprint(code: bytes) -> str:
    """What tells one upload's code from another's."""
    return hashlib.sha256(code).hexdigest()[:16]


def _signature(secret: bytes, namespace: str, name: str, python: str, code: bytes) -> bytes:
    made = hmac.new(secret, codec.pack([_PURPOSE, namespace, name, python]), "sha256")
    made.update(code)  # the packed list says itself where it ends
    return made.digest()
