"""Inputs and folders on this machine. What a folder writes safely is on its disk before anything goes on."""

import contextlib
import errno
import fcntl
import hashlib
import os
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO

from mlq.errors import FolderHeld, InputError, RunStopped

SAMPLE = 64 * 1024  # bytes at both ends of a file that its fingerprint is made of, beside its size and time
LOCK = "lock"


class LocalInput:
    """A file on this machine."""

    def __init__(self, path: str) -> None:
        """Opens it. Raises InputError."""
        self.address = path
        if os.path.lexists(path) and not Path(path).is_file():  # a pipe can be read only once: no run could go on
            raise InputError(f"can't read {path}: it is not a regular file")
        try:
            self._file = open(path, "rb", buffering=0)  # noqa: SIM115 - closed by `close`
        except OSError as error:
            raise InputError(f"can't read {path}: {error.strerror}") from None
        self._known = os.fstat(self._file.fileno())
        self.size = self._known.st_size
        self._streams: list[IO[bytes]] = []

    def read(self, start: int, size: int) -> bytes:
        """As in `places.Input`."""
        return os.pread(self._file.fileno(), size, start)

    def stream(self) -> IO[bytes]:
        """As in `places.Input`."""
        self._streams.append(stream := open(self.address, "rb"))  # noqa: SIM115 - closed by `close`
        return stream

    def fingerprint(self) -> str:
        """As in `places.Input`."""
        found = hashlib.sha256(self.read(0, SAMPLE))
        found.update(self.read(max(0, self.size - SAMPLE), SAMPLE))
        return f"{self.size}-{self._known.st_mtime_ns}-{found.hexdigest()}"

    def check(self) -> None:
        """As in `places.Input`."""
        try:
            named = Path(self.address).stat()
        except OSError as error:
            raise RunStopped(
                f"{self.address} is gone ({error.strerror}): put it back, and run the same again"
            ) from None
        for now in (os.fstat(self._file.fileno()), named):
            if _identity(now) != _identity(self._known):
                raise RunStopped(f"{self.address} {_difference(self._known, now)} while it was read: {ANEW}")

    def close(self) -> None:
        """As in `places.Input`."""
        for one in (self._file, *self._streams):
            one.close()


ANEW = "predict it from the beginning (--restart, or restart=True)"


def _identity(found: os.stat_result) -> tuple[int, ...]:
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns


def _difference(known: os.stat_result, now: os.stat_result) -> str:
    if (known.st_dev, known.st_ino) != (now.st_dev, now.st_ino):
        return "was replaced"
    if known.st_size != now.st_size:
        return f"{'grew' if now.st_size > known.st_size else 'shrank'} from {known.st_size:,} to {now.st_size:,} bytes"
    return "was changed"


def check_free(address: str, what: str) -> None:
    """As `places.check_free`."""
    if os.path.isdir(address) or address.endswith(os.sep):  # noqa: PTH112 - as PTH100
        raise InputError(f"the {what} {address} is a folder; name a file in it")
    if os.path.lexists(address):
        raise InputError(f"the {what} {address} exists already: move it away, or choose another name")
    folder = os.path.dirname(address)  # noqa: PTH120
    if not os.path.isdir(folder):  # noqa: PTH112
        raise InputError(f"can't write the {what} {address}: there is no folder {folder}")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise InputError(f"can't write the {what} {address}: this user may not write in {folder}")


class LocalFolder:
    """A folder on this machine."""

    def __init__(self, path: str) -> None:
        """Makes nothing yet."""
        self.address = path
        self._path = Path(path)
        self._lock: int | None = None

    def exists(self) -> bool:
        """As in `places.Folder`."""
        self._check_no_link()
        return self._path.exists()

    def _check_no_link(self) -> None:
        """A link may lead out of the places that an operator has named. Raises InputError."""
        if self._path.is_symlink():
            raise InputError(f"{self._path} is a link, and not the folder of a run: remove it")

    def hold(self) -> None:
        """As in `places.Folder`."""
        self._check_no_link()
        try:
            self._path.mkdir(exist_ok=True)
            lock = os.open(self._path / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        except OSError as error:
            raise InputError(f"can't write in {self._path}: {error.strerror}") from None
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(lock)
            raise FolderHeld(f"another process predicts into {self._path} now") from None
        self._lock = lock

    def names(self) -> list[str]:
        """As in `places.Folder`."""
        return [one.name for one in self._path.iterdir()]

    def read(self, name: str) -> bytes | None:
        """As in `places.Folder`."""
        try:
            return (self._path / name).read_bytes()
        except FileNotFoundError:
            return None

    def write(self, name: str, data: bytes, *, safe: bool = True) -> None:
        """As in `places.Folder`."""
        with self._reported(name), self._renamed(name) as draft, open(draft, "wb") as file:
            file.write(data)
            if safe:
                file.flush()
                os.fsync(file.fileno())
        if safe:
            _sync_folder(self._path)

    def join(self, name: str, pieces: Iterable[bytes]) -> None:
        """As in `places.Folder`."""
        with self._reported(name), open(self._path / name, "wb") as file:
            file.writelines(pieces)
            file.flush()
            os.fsync(file.fileno())

    def stream(self, name: str) -> IO[bytes]:
        """As in `places.Folder`."""
        return open(self._path / name, "wb")

    def keep(self, name: str) -> None:
        """As in `places.Folder`."""
        with self._reported(name), open(self._path / name, "rb") as file:
            os.fsync(file.fileno())

    def publish(self, name: str, address: str) -> None:
        """As in `places.Folder`."""
        path = address.removeprefix("file://")
        if not (self._path / name).exists():
            return
        if os.path.lexists(path):
            raise RunStopped(f"{path} has appeared meanwhile: move it away, and run the same again")
        with self._reported(name):
            try:
                (self._path / name).rename(path)
            except OSError as error:
                if error.errno != errno.EXDEV:
                    raise
                _copy(self._path / name, Path(path))
            _sync_folder(Path(path).parent)

    def remove(self, last: str) -> None:
        """As in `places.Folder`."""
        with contextlib.suppress(OSError):
            for one in self._path.iterdir():
                if one.name not in (last, LOCK):
                    one.unlink()
        shutil.rmtree(self._path, ignore_errors=True)

    def release(self) -> None:
        """As in `places.Folder`."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    @contextlib.contextmanager
    def _renamed(self, name: str) -> Iterator[Path]:
        """A name under which to write a file, which gets its own one afterwards."""
        draft = self._path / f"{name}.draft"
        try:
            yield draft
            draft.replace(self._path / name)
        except OSError:
            with contextlib.suppress(OSError):
                draft.unlink()
            raise

    @contextlib.contextmanager
    def _reported(self, name: str) -> Iterator[None]:
        """Raises RunStopped for what the disk refuses."""
        try:
            yield
        except OSError as error:
            is_full = error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
            then = "make room, and run the same again: it goes on" if is_full else "run the same again to go on"
            raise RunStopped(f"can't write {self._path / name}: {error.strerror}; {then}") from None


def _copy(source: Path, target: Path) -> None:
    """Move a file to another disk, where it appears whole."""
    draft = target.with_name(f"{target.name}.draft")
    shutil.copyfile(source, draft)
    with draft.open("rb") as file:
        os.fsync(file.fileno())
    draft.replace(target)
    source.unlink()


def _sync_folder(path: Path) -> None:
    """Have the names in a folder on its disk, too."""
    number = os.open(path, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)
