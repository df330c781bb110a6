"""The directory of a server's files, which other users can't access."""

import hashlib
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from mlq.errors import ServerError

SHORT = Path("/tmp")  # noqa: S108 - `make` checks who owns what is in it; on macOS it is a link
SOCKET_PATH_MAX = 100  # bytes; the kernels take 103 (macOS) and 107 (Linux)


@dataclass(frozen=True, slots=True)
class Home:
    """A server's directory: absolute and without symbolic links, so that different spellings mean the same server."""

    path: Path

    @classmethod
    def at(cls, path: Path | None = None) -> "Home":
        """`path`, else what MLQ_HOME names, else the platform's place for a user's data."""
        if path is None:
            if from_environment := os.environ.get("MLQ_HOME"):
                path = Path(from_environment)
            else:
                from platformdirs import user_data_path  # here, because it takes 10 ms to import

                path = user_data_path("mlq")
        return cls(path.expanduser().resolve())

    @property
    def socket(self) -> Path:
        """In the directory itself, unless that makes the path too long for a socket.

        Then it is in /tmp, not in TMPDIR, which is often long, too, and differs between processes.
        """
        inside = self.path / "socket"
        if len(os.fsencode(inside)) <= SOCKET_PATH_MAX:
            return inside
        digest = hashlib.sha256(os.fsencode(self.path)).hexdigest()[:16]
        return SHORT.resolve() / f"mlq-{os.getuid()}-{digest}/socket"

    @property
    def url(self) -> str:
        """What redis-py's `from_url` takes."""
        return f"unix://{quote(str(self.socket))}"

    @property
    def log(self) -> Path:
        """The server's log, which only grows."""
        return self.path / "server.log"

    @property
    def lock(self) -> Path:
        """Locked while a server runs here."""
        return self.path / "lock"

    @property
    def pid_file(self) -> Path:
        """Written and removed by the server; a killed server leaves it behind."""
        return self.path / "server.pid"

    def make(self) -> None:
        """Create the directories, or check that they are ours; raises ServerError if they can't be used."""
        for folder in (self.path, self.socket.parent):
            with as_server_error(folder):
                folder.mkdir(mode=0o700, parents=True, exist_ok=True)
                if _check(folder, stat.S_IWOTH).st_mode & 0o077:
                    folder.chmod(0o700)

    def check(self) -> None:
        """Raises ServerError if somebody else could have created or changed the files that are there."""
        for folder in (self.path, self.socket.parent):
            with as_server_error(folder):
                _check(folder, stat.S_IWOTH | stat.S_IWGRP)


@contextmanager
def as_server_error(folder: Path) -> Iterator[None]:
    """Raises an OSError as a ServerError."""
    try:
        yield
    except OSError as error:
        raise ServerError(
            f"the embedded server can't use the directory {folder}: {error}. Set MLQ_HOME to one that it can."
        ) from error


def _check(folder: Path, forbidden: int) -> os.stat_result:
    """The `stat` of a directory. Raises PermissionError for a link, and if other users can change or replace it."""
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & forbidden:
        raise PermissionError(f"it is not a directory that only user {os.getuid()} owns and can change")
    for place in reversed(folder.parents):
        above, inside = place.parent.lstat().st_mode, place.lstat()
        shared = above & stat.S_IWOTH and place != place.parent  # like /tmp, where everybody can create files
        if inside.st_mode & stat.S_IWOTH and not inside.st_mode & stat.S_ISVTX:
            raise PermissionError(f"everybody can change {place}, and so replace it")
        if shared and inside.st_uid not in (0, os.getuid()):
            raise PermissionError(f"{place}, in which it is, belongs to user {inside.st_uid}")
    return found
