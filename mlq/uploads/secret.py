"""The secret that signs uploads: MLQ_UPLOAD_SECRET, or if that is not set, the content of a file of this user."""

import os
import secrets
import stat
from contextlib import suppress
from pathlib import Path

from mlq.errors import InputError

VARIABLE = "MLQ_UPLOAD_SECRET"
LEAST = 16  # characters
FILE = "upload-secret"


def find_secret(*, make: bool) -> bytes | None:
    """The secret; if there is none and `make` is set, a new one is stored in the file. Raises InputError."""
    return configured() or _in_file(make=make)


def configured() -> bytes | None:
    """The secret in the environment, or None. Raises InputError if it is too short."""
    secret = os.environ.get(VARIABLE, "")
    if secret and len(secret) < LEAST:
        raise InputError(f"{VARIABLE} has fewer than {LEAST} characters: openssl rand -hex 32 makes a good one")
    return secret.encode() or None


def _in_file(*, make: bool) -> bytes | None:
    """The secret in this user's file, which is created if it is missing and `make` is set. Raises InputError."""
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
        raise InputError(f"can't use the secret in {path}: {error}. Set {VARIABLE} instead") from error
    return found


def _read(path: Path) -> bytes | None:
    """Raises OSError if other users can access the file: they may have read or written it."""
    try:
        number = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    with open(number, "rb") as file:
        kind = os.fstat(number)
        if not stat.S_ISREG(kind.st_mode) or kind.st_uid != os.getuid() or kind.st_mode & 0o077:
            raise PermissionError(f"only user {os.getuid()} may have access to it (chmod 600)")
        secret = file.read(4096).strip()
    if len(secret) < LEAST:
        raise PermissionError(f"it has fewer than {LEAST} characters: delete it to have a new one created")
    return secret


def _write(path: Path) -> None:
    """Write a new secret atomically; if another process is faster, its secret is kept."""
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
