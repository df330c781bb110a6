"""Inputs and folders behind URLs, through fsspec. A file there appears whole, when its writer is closed."""

import contextlib
import sys
from collections.abc import Iterable, Iterator
from typing import IO, Any, cast

from fsspec.core import url_to_fs  # type: ignore[import-untyped]

from mlq.errors import InputError, MLQError, RunStopped
from mlq.files.local import ANEW

PIECE = 1 << 20  # bytes that are compared at a time


def _is_patched() -> bool:
    """Whether gevent has replaced threads in this process: the event loop that fsspec runs on one hangs then."""
    if "gevent" not in sys.modules:
        return False
    from gevent.monkey import is_module_patched  # type: ignore[import-untyped]

    return bool(is_module_patched("threading"))


def opened(url: str) -> tuple[Any, str]:
    """The file system of a URL, and the path in it. Raises InputError."""
    if _is_patched():
        raise InputError(f"can't use {url} where gevent has replaced threads: give URLs to workers of another pool")
    try:
        system, path = url_to_fs(url, use_listings_cache=False)
    except Exception as error:  # noqa: BLE001 - each of fsspec's file systems has errors of its own
        raise InputError(f"can't use {url}: {_words(error)}") from None
    return system, path


def _words(error: Exception) -> str:
    return str(error) or type(error).__name__


@contextlib.contextmanager
def _reported(doing: str) -> Iterator[None]:
    """Raises RunStopped for any error of a file system."""
    try:
        yield
    except MLQError:
        raise
    except Exception as error:  # noqa: BLE001 - as above
        raise RunStopped(f"{doing} failed: {_words(error)}; run the same again to go on") from None


class RemoteInput:
    """A file behind a URL."""

    def __init__(self, url: str) -> None:
        """Opens it. Raises InputError."""
        self.address = url
        self._system, self._path = opened(url)
        try:
            found = self._system.info(self._path)
            if found.get("type") == "directory":
                raise InputError(f"{url} is a folder, not a file")
            if found.get("size") is None:
                raise InputError(f"{url} does not tell its size, so that it can't be read in parts: download it first")
            self.size = int(found["size"])
            self._known = self._system.ukey(self._path)
            self._file = self._system.open(self._path, "rb")
        except InputError:
            raise
        except FileNotFoundError:
            raise InputError(f"can't read {url}: there is no such file") from None
        except Exception as error:  # noqa: BLE001 - as above
            raise InputError(f"can't read {url}: {_words(error)}") from None

    def read(self, start: int, size: int) -> bytes:
        """As in `places.Input`."""
        with _reported(f"reading {self.address}"):
            self._file.seek(start)
            return bytes(self._file.read(size))

    def stream(self) -> IO[bytes]:
        """As in `places.Input`."""
        with _reported(f"reading {self.address}"):
            return cast("IO[bytes]", self._system.open(self._path, "rb"))

    def fingerprint(self) -> str:
        """As in `places.Input`."""
        return f"{self.size}-{self._known}"

    def check(self) -> None:
        """As in `places.Input`."""
        with _reported(f"reading {self.address}"):
            self._system.invalidate_cache()
            now = self._system.ukey(self._path)
        if now != self._known:
            raise RunStopped(f"{self.address} was changed or replaced while it was read: {ANEW}")

    def close(self) -> None:
        """As in `places.Input`."""
        self._file.close()


def check_free(address: str, what: str) -> None:
    """As `places.check_free`."""
    system, path = opened(address)
    try:
        is_there = system.exists(path)
    except Exception as error:  # noqa: BLE001 - as above
        raise InputError(f"can't write the {what} {address}: {_words(error)}") from None
    if is_there:
        raise InputError(f"the {what} {address} exists already: move it away, or choose another name")


class RemoteFolder:
    """A folder behind a URL. Nothing keeps a second process out of it: few stores have locks."""

    def __init__(self, url: str) -> None:
        """Makes nothing yet. Raises InputError."""
        self.address = url
        self._system, self._path = opened(url)

    def _in(self, name: str) -> str:
        return f"{self._path}/{name}"

    def exists(self) -> bool:
        """As in `places.Folder`."""
        with _reported(f"looking for {self.address}"):
            return bool(self._system.exists(self._path))

    def hold(self) -> None:
        """As in `places.Folder`."""
        try:
            self._system.makedirs(self._path, exist_ok=True)
        except Exception as error:  # noqa: BLE001 - as above
            raise InputError(f"can't write in {self.address}: {_words(error)}") from None

    def names(self) -> list[str]:
        """As in `places.Folder`."""
        with _reported(f"listing {self.address}"):
            self._system.invalidate_cache()
            return [str(one).rpartition("/")[2] for one in self._system.ls(self._path, detail=False)]

    def read(self, name: str) -> bytes | None:
        """As in `places.Folder`."""
        with _reported(f"reading {self.address}/{name}"):
            try:
                return bytes(self._system.cat_file(self._in(name)))
            except FileNotFoundError:
                return None

    def write(self, name: str, data: bytes, *, safe: bool = True) -> None:  # noqa: ARG002 - always safe
        """As in `places.Folder`."""
        with _reported(f"writing {self.address}/{name}"):
            self._system.pipe_file(self._in(name), data)

    def join(self, name: str, pieces: Iterable[bytes]) -> None:
        """As in `places.Folder`."""
        with _reported(f"writing {self.address}/{name}"), self._system.open(self._in(name), "wb") as file:
            for piece in pieces:
                file.write(piece)

    def stream(self, name: str) -> IO[bytes]:
        """As in `places.Folder`."""
        with _reported(f"writing {self.address}/{name}"):
            return cast("IO[bytes]", self._system.open(self._in(name), "wb"))

    def keep(self, name: str) -> None:
        """As in `places.Folder`: nothing to do, since it was closed."""

    def publish(self, name: str, address: str) -> None:
        """As in `places.Folder`."""
        with _reported(f"writing {address}"):
            _, path = opened(address)
            if not self._system.exists(self._in(name)):
                return
            if not self._system.exists(path):
                self._system.mv(self._in(name), path)
            elif not self._is_copied(self._in(name), path):
                raise RunStopped(f"{address} has appeared meanwhile: move it away, and run the same again")

    def _is_copied(self, source: str, target: str) -> bool:
        """Whether an earlier process was killed between the two steps that a move is in most stores."""
        if self._system.size(source) != self._system.size(target):
            return False
        with self._system.open(source, "rb") as one, self._system.open(target, "rb") as other:
            while piece := one.read(PIECE):
                if other.read(len(piece)) != piece:
                    return False
        return True

    def remove(self, last: str) -> None:
        """As in `places.Folder`."""
        with _reported(f"removing {self.address}"):
            for name in self.names():
                if name != last:
                    self._system.rm(self._in(name), recursive=True)
            self._system.rm(self._path, recursive=True)

    def release(self) -> None:
        """As in `places.Folder`: it is not held."""
