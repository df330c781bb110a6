"""A folder behind a URL, through fsspec. A file there appears whole, when its writer is closed."""

import errno
import io
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Any, cast

from mlq.batches.disks import DRAFT
from mlq.errors import InputError
from mlq.files.remote import opened

PART = 5 * 1024 * 1024  # bytes that a file's writer keeps until they are sent: S3 takes no smaller parts


class UrlDisk:
    """As `disks.Disk`."""

    def __init__(self, url: str) -> None:
        """Reaches nothing yet, since a child process that is forked later can't use what was opened before."""
        self.where = url
        self._found: tuple[Any, str] | None = None
        self._is_made = False  # the folder, as far as this process knows

    def _at(self, name: str = "") -> tuple[Any, str]:
        """The system of files, and the path of a name in it. Raises OSError."""
        if self._found is None:
            try:
                self._found = opened(self.where)
            except InputError as error:
                raise OSError(errno.EIO, str(error)) from None
        system, folder = self._found
        return system, f"{folder}/{name}" if name else folder

    def address(self, name: str) -> str:
        """As in `Disk`."""
        return f"{self.where}/{name}"

    def names(self) -> list[str]:
        """As in `Disk`."""
        system, folder = self._at()
        with _reported():
            system.invalidate_cache()
            try:
                found = system.ls(folder, detail=False)
            except FileNotFoundError:
                return []
            return [str(one).rstrip("/").rpartition("/")[2] for one in found]

    def total(self) -> int:
        """As in `Disk`."""
        system, folder = self._at()
        with _reported():
            system.invalidate_cache()
            try:
                found = system.find(folder, detail=True)
            except FileNotFoundError:
                return 0
            return sum(int(one.get("size") or 0) for name, one in found.items() if not name.endswith(DRAFT))

    def size(self, name: str) -> int:
        """As in `Disk`."""
        system, path = self._at(name)
        with _reported():
            return int(system.size(path))

    def read(self, name: str) -> bytes:
        """As in `Disk`."""
        system, path = self._at(name)
        with _reported():
            return bytes(system.cat_file(path))

    def write(self, name: str, data: bytes) -> None:
        """As in `Disk`."""
        system, path = self._at(name)
        with _reported():
            self._make()
            system.pipe_file(path, data)

    def open(self, name: str) -> IO[bytes]:
        """As in `Disk`."""
        system, path = self._at(name)
        with _reported():
            return io.BufferedReader(system.open(path, "rb"))  # not all of its files have lines of a limited length

    def create(self, name: str) -> IO[bytes]:
        """As in `Disk`."""
        system, path = self._at(name)
        with _reported():
            self._make()
            return cast("IO[bytes]", system.open(path, "wb", block_size=PART))

    def move(self, name: str, to: str) -> None:
        """As in `Disk`: a copy within the store, where it has no way to rename."""
        system, path = self._at(name)
        with _reported():
            system.mv(path, self._at(to)[1])

    def remove(self, name: str) -> None:
        """As in `Disk`."""
        system, path = self._at(name)
        with _reported():
            try:
                system.rm(path, recursive=True)
            except FileNotFoundError:
                return

    def _make(self) -> None:
        if not self._is_made:
            system, folder = self._at()
            system.makedirs(folder, exist_ok=True)
            self._is_made = True


@contextmanager
def _reported() -> Iterator[None]:
    """Raises OSError for any error of a file system: each has errors of its own."""
    try:
        yield
    except OSError:
        raise
    except Exception as error:  # noqa: BLE001 - as above
        raise OSError(errno.EIO, str(error) or type(error).__name__) from None
