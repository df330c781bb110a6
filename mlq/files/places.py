"""Where files are, on this machine or behind a URL: what a run asks of either, and which one an address means."""

import os
import re
from collections.abc import Iterable
from typing import IO, Protocol

from mlq.errors import InputError
from mlq.system.extras import require

SUFFIX = ".partial"  # of a run's folder
_URL = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)(://|::)")  # `simplecache::s3://...` is a URL of fsspec, too


class Input(Protocol):
    """A file that is read while nobody changes it."""

    address: str
    size: int  # bytes

    def read(self, start: int, size: int) -> bytes:
        """The bytes from `start` on: `size`, or fewer at the end of the file."""

    def stream(self) -> IO[bytes]:
        """The file, to read and seek in."""

    def fingerprint(self) -> str:
        """Changes with the file; the same in another process."""

    def check(self) -> None:
        """Raises RunStopped if the file is not the one that was opened any more, or has changed."""

    def close(self) -> None:
        """Nothing is read afterwards."""


class Folder(Protocol):
    """Keeps the parts of a run beside its output. Only one process at a time holds a folder."""

    address: str

    def exists(self) -> bool:
        """Whether an earlier run has left it."""

    def hold(self) -> None:
        """Make it if need be, and keep other processes out of it. Raises InputError."""

    def names(self) -> list[str]:
        """What is in it."""

    def read(self, name: str) -> bytes | None:
        """A whole file; None if it is not there."""

    def write(self, name: str, data: bytes, *, safe: bool = True) -> None:
        """Write a whole file, or none of it. `safe`: it will be there after the machine has stopped at once."""

    def join(self, name: str, pieces: Iterable[bytes]) -> None:
        """Write a large file from its pieces, safely."""

    def stream(self, name: str) -> IO[bytes]:
        """A new file, to be written in pieces; `keep` makes it safe."""

    def keep(self, name: str) -> None:
        """Make a file that was written as a stream safe."""

    def publish(self, name: str, address: str) -> None:
        """Give a file its final name, if it is still here: an earlier process may have done so."""

    def remove(self, last: str) -> None:
        """Remove it with all that is in it. As long as anything is there, so is the file `last`, if it was."""

    def release(self) -> None:
        """Let others hold it."""


def is_url(address: str) -> bool:
    """Whether an address is for fsspec. A `file://` URL is not: it is a path."""
    return _URL.match(address) is not None and not address.startswith("file://")


def path_of(address: str) -> str:
    """The path that an address of this machine means."""
    return os.path.abspath(address.removeprefix("file://"))  # noqa: PTH100 - no links are followed


def open_input(address: str) -> Input:
    """Raises InputError, with the reason."""
    if is_url(address):
        require("files", f"reading {address}")
        from mlq.files.remote import RemoteInput

        return RemoteInput(address)
    from mlq.files.local import LocalInput

    return LocalInput(path_of(address))


def folder_for(output: str) -> Folder:
    """The folder of the run that writes `output`; nothing is made yet. Raises InputError."""
    if is_url(output):
        require("files", f"writing {output}")
        from mlq.files.remote import RemoteFolder

        return RemoteFolder(output + SUFFIX)
    from mlq.files.local import LocalFolder

    return LocalFolder(path_of(output) + SUFFIX)


def check_free(address: str, what: str) -> None:
    """Check that a file can be written at an address where none is yet. Raises InputError."""
    if is_url(address):
        from mlq.files.remote import check_free as check
    else:
        from mlq.files.local import check_free as check

        address = path_of(address)
    check(address, what)


def check_apart(addresses: Iterable[tuple[str, str]]) -> None:
    """Check that pairs of a word and an address name different files. Raises InputError."""
    seen: dict[str, str] = {}
    for word, address in addresses:
        real = address if is_url(address) else os.path.realpath(path_of(address))
        if real in seen:
            raise InputError(f"{address} is the {seen[real]} and the {word}: they must be different files")
        seen[real] = word


def check_together(output: str, errors: str) -> None:
    """Check that both are on one system of files, where the run has its folder. Raises InputError."""
    if is_url(output) != is_url(errors) or (
        is_url(output) and output.split(":", maxsplit=1)[0] != errors.split(":", maxsplit=1)[0]
    ):
        raise InputError(f"the output {output} and the errors file {errors} must be in the same store")
