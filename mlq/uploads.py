"""Uploaded listeners as bytes: what is signed and kept of a function that travels to the workers as code.

An upload has a name, its code (what cloudpickle made of the function), and a head: the time at which it came, by Redis'
clock, a blank, and a packed map

    python       the minor version that can run the code: "3.12"
    fingerprint  SHA-256 of the code, the first 16 digits in hex
    size         of the code in bytes
    signature    HMAC-SHA256 over the namespace, the name, the version and the code

Uploads are code, and whoever can write to Redis must not be able to run his own on the workers. So a worker loads none
that was not signed with the secret that it knows itself: MLQ_UPLOAD_SECRET, or where that is not set one in a file of
this user, made when it is first needed.
"""

import hashlib
import hmac
import os
import secrets
import stat
import sys
import types
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from mlq import codec
from mlq.errors import InputError, Undecodable
from mlq.options import DEFAULT_QUEUE, check_functions, check_size, lane_of

SECRET = "MLQ_UPLOAD_SECRET"  # noqa: S105 - the variable's name
LEAST = 16  # characters of a secret
LIMIT = 16 * 1024 * 1024  # bytes of code
FILE = "upload-secret"
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
    secret = configured() or _own(make=True) or b""
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
    secret = configured() or _own(make=False)
    if secret is None:
        raise InputError(f"there is no secret to check its signature with: set {SECRET} here as where it was uploaded")
    wanted = _signature(secret, namespace, name, head.python, code)
    if not hmac.compare_digest(wanted, head.signature):
        raise Undecodable(f"its signature is wrong: forged, or signed with another {SECRET}")
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


def pickled(function: Callable[..., Any]) -> tuple[str, bytes]:
    """Name and code of a function. Raises InputError for what can't be uploaded."""
    import cloudpickle  # type: ignore[import-untyped]  # 30 ms that only uploads need

    name = name_of(function)
    try:
        return name, cloudpickle.dumps(function)
    except Exception as error:  # what the function refers to may raise anything
        raise InputError(f"{name} can't be uploaded: {type(error).__name__}: {error}") from error


def name_of(function: object) -> str:
    """The listener's name. Raises InputError for what is no function with a name of its own."""
    if not isinstance(function, types.FunctionType):
        kind = "a class" if isinstance(function, type) else f"of type {type(function).__name__}"
        raise InputError(f"an upload is a function (def or async def); this is {kind}")
    if function.__name__ == "<lambda>":
        raise InputError("a lambda has no name that jobs could ask for: write it with def")
    return check_name(function.__name__)


def check_name(name: str) -> str:
    """The name, if jobs can ask for a listener by it. Raises InputError."""
    check_functions([name])
    lane_of(DEFAULT_QUEUE, [name])  # refuses one that is too long
    return name


def load(code: bytes) -> tuple[str, Callable[..., Any]]:
    """Name and function. Runs what the code says: it raises anything, and InputError for what is no named function."""
    import cloudpickle

    function = cloudpickle.loads(code)
    return name_of(function), function


def configured() -> bytes | None:
    """The secret in the environment, None where there is none. Raises InputError for one that is too short."""
    secret = os.environ.get(SECRET, "")
    if secret and len(secret) < LEAST:
        raise InputError(f"{SECRET} has fewer than {LEAST} characters: openssl rand -hex 32 makes a good one")
    return secret.encode() or None


def _signature(secret: bytes, namespace: str, name: str, python: str, code: bytes) -> bytes:
    made = hmac.new(secret, codec.pack([_PURPOSE, namespace, name, python]), "sha256")
    made.update(code)  # the packed list says itself where it ends
    return made.digest()


def _own(*, make: bool) -> bytes | None:
    """The secret in this user's file, made where there is none yet and `make` says so. Raises InputError."""
    from mlq.server.home import Home

    home = Home.at()
    path = home.path / FILE
    try:
        found = _read(path)
        if found is None and make:
            home.make()
            _write(path)
            found = _read(path)
    except OSError as error:
        raise InputError(f"can't use the secret in {path}: {error}. Set {SECRET} instead") from error
    return found


def _read(path: Path) -> bytes | None:
    """Raises OSError for a file that others can reach: they may have read or written it."""
    try:
        number = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    with open(number, "rb") as file:
        kind = os.fstat(number)
        if not stat.S_ISREG(kind.st_mode) or kind.st_uid != os.getuid() or kind.st_mode & 0o077:
            raise PermissionError(f"it is not a file that user {os.getuid()} alone can read (chmod 600)")
        secret = file.read(4096).strip()
    if len(secret) < LEAST:
        raise PermissionError(f"it holds fewer than {LEAST} characters: delete it, and a new one is made")
    return secret


def _write(path: Path) -> None:
    """A new secret, whole or not at all; where another process is faster, its secret stands."""
    fresh = path.with_name(f"{FILE}.{secrets.token_hex(8)}")
    try:
        with open(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(secrets.token_hex(32).encode())
            file.flush()
            os.fsync(file.fileno())
        with suppress(FileExistsError):
            os.link(fresh, path)
    finally:
        fresh.unlink(missing_ok=True)
