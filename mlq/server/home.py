"""Where a server keeps its files, closed to other users."""

import hashlib
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from mlq.errors import ServerError

SHORT = Path("/tmp")  # noqa: S108 - `make` checks whose what is in it is; on macOS it is a link
SOCKET_PATH_MAX = 100  # bytes; the kernels take 103 (macOS) and 107 (Linux)


@dataclass(frozen=True, slots=True)
class Home:
    """A server's directory: absolute and without symbolic links, so that all its spellings are one server."""

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

        The short way round is in /tmp, not in what TMPDIR names: that is often long too, and differs between processes.
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
        """What the server says; it only grows."""
        return self.path / "server.log"

    @property
    def lock(self) -> Path:
        """Locked for as long as a server lives here."""
        return self.path / "lock"

    @property
    def pid_file(self) -> Path:
        """Written and removed by the server; it stays behind a killed one."""
        return self.path / "server.pid"

    def make(self) -> None:
        """Make the directories, or check that they are ours; raises ServerError where they can't be used."""
        for folder in (self.path, self.socket.parent):
            with told(folder):
                folder.mkdir(mode=0o700, parents=True, exist_ok=True)
                if _check(folder, stat.S_IWOTH).st_mode & 0o077:
                    folder.chmod(0o700)

    def check(self) -> None:
        """Raises ServerError where somebody else could have put there what is there now."""
        for folder in (self.path, self.socket.parent):
            with told(folder):
                _check(folder, stat.S_IWOTH | stat.S_IWGRP)


@contextmanager
def told(folder: Path) -> Iterator[None]:
    """Raises ServerError for an OSError."""
    try:
        yield
    except OSError as error:
        raise ServerError(
            f"the embedded server can't use the directory {folder}: {error}. Set MLQ_HOME to one that it can."
        ) from error


def _check(folder: Path, forbidden: int) -> os.stat_result:
    """What is known of a directory of this user alone. Raises PermissionError for a link, and for what others made."""
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & forbidden:
        raise PermissionError(f"it is not a directory of user {os.getuid()} alone")
    for place in reversed(folder.parents):
        above, inside = place.parent.lstat().st_mode, place.lstat()
        shared = above & stat.S_IWOTH and place != place.parent  # as /tmp is, where each may make what he likes
        if inside.st_mode & stat.S_IWOTH and not inside.st_mode & stat.S_ISVTX:
            raise PermissionError(f"all may put another one in its place, since all may change {place}")
        if shared and inside.st_uid not in (0, os.getuid()):
            raise PermissionError(f"{place}, in which it is, belongs to user {inside.st_uid}")
    return found
