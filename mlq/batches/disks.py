"""Where the files of batches are kept: a directory of this machine, or what fsspec reaches behind a URL.

Either is a flat folder: what names mean, and which of them are complete, is for `store.py` to say.
"""

import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import IO, Protocol

DRAFT = ".part"  # the end of the name of what is still being written


class Disk(Protocol):
    """A folder of files. All of it raises OSError; FileNotFoundError where a file is not there."""

    where: str  # as people know it

    def address(self, name: str) -> str:
        """The path or the URL of a file."""

    def names(self) -> list[str]:
        """The names of all files and folders in it; none if there is no such folder yet."""

    def total(self) -> int:
        """Bytes of all files in it, but for drafts."""

    def size(self, name: str) -> int:
        """Bytes of a file."""

    def read(self, name: str) -> bytes:
        """A whole small file."""

    def write(self, name: str, data: bytes) -> None:
        """Write a whole small file safely, in place of an earlier one. The folder is made if need be."""

    def open(self, name: str) -> IO[bytes]:
        """A file, to be read in order."""

    def create(self, name: str) -> IO[bytes]:
        """A new file, to be written in pieces. The folder is made if need be."""

    def move(self, name: str, to: str) -> None:
        """Give a file that was written in pieces another name, safely."""

    def remove(self, name: str) -> None:
        """Remove a file, or a folder with all that is in it, if it is there."""


class LocalDisk:
    """A directory of this machine, as in `Disk`. What it writes safely is on its disk."""

    def __init__(self, folder: Path) -> None:
        """Makes nothing yet."""
        self.where = str(folder)
        self._folder = folder

    def address(self, name: str) -> str:
        """As in `Disk`."""
        return str(self._folder / name)

    def names(self) -> list[str]:
        """As in `Disk`."""
        return [one.name for one in _entries(self._folder)]

    def total(self) -> int:
        """As in `Disk`."""
        return sum(_size(one) for one in _entries(self._folder) if not one.name.endswith(DRAFT))

    def size(self, name: str) -> int:
        """As in `Disk`."""
        return (self._folder / name).stat().st_size

    def read(self, name: str) -> bytes:
        """As in `Disk`."""
        return (self._folder / name).read_bytes()

    def write(self, name: str, data: bytes) -> None:
        """As in `Disk`."""
        draft = f"{name.partition('.')[0]}.{secrets.token_hex(4)}{DRAFT}"
        with self.create(draft) as opened:
            opened.write(data)
        self.move(draft, name)

    def open(self, name: str) -> IO[bytes]:
        """As in `Disk`."""
        return (self._folder / name).open("rb")

    def create(self, name: str) -> IO[bytes]:
        """As in `Disk`."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        return (self._folder / name).open("xb")

    def move(self, name: str, to: str) -> None:
        """As in `Disk`."""
        _sync(self._folder / name)
        (self._folder / name).replace(self._folder / to)
        _sync(self._folder)

    def remove(self, name: str) -> None:
        """As in `Disk`."""
        place = self._folder / name
        if place.is_dir() and not place.is_symlink():
            shutil.rmtree(place, ignore_errors=True)
        else:
            place.unlink(missing_ok=True)


def _sync(path: Path) -> None:
    number = os.open(path, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)


def _entries(folder: Path | str) -> Iterator["os.DirEntry[str]"]:
    with suppress(FileNotFoundError), os.scandir(folder) as found:
        yield from found


def _size(entry: "os.DirEntry[str]") -> int:
    """Bytes of a file, or of all files in a directory."""
    with suppress(FileNotFoundError):
        if entry.is_dir(follow_symlinks=False):
            return sum(map(_size, _entries(entry.path)))
        return entry.stat(follow_symlinks=False).st_size
    return 0
