"""Keeps uploaded and written files, and the records of batches, in a directory until they expire.

Each has an id that nobody can guess, and which tells when it was made and when it expires: so a list of names is enough
to find what comes next in order, what has expired, and how much room is taken. What `ID.json` describes is complete;
`ID.jsonl` is its content, and other names that begin with an id belong to what is still being written.
"""

import hashlib
import json
import os
import re
import secrets
import shutil
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

from mlq.core.file_job import KEPT_IN
from mlq.errors import InputError

FILE, BATCH = "file-", "batch_"  # how ids begin
LIFETIME = 30 * 86400  # seconds that files are kept, unless an upload says otherwise
CONTENT, RECORD, DRAFT = ".jsonl", ".json", ".part"
STATE = ".state"  # of a batch: what its job writes down, while `RECORD` is what the service does
LONGEST_NAME = 200  # characters of a directory's name; a namespace with a longer one is known by its hash
UPLOADING = 86400  # seconds after which what is still a draft was left behind
_ID = re.compile(r"(?:file-|batch_)(?P<made>[0-9a-f]{8})(?P<expires>[0-9a-f]{8})[0-9a-f]{24}")


class Stored(NamedTuple):
    """A file that is kept. Times are in seconds since 1970."""

    id: str
    name: str  # as whoever uploaded it calls it
    purpose: str
    size: int  # bytes

    @property
    def made(self) -> int:
        """When it was stored."""
        return made_at(self.id)

    @property
    def expires(self) -> int:
        """When it will be removed."""
        return _times(self.id)[1]


def new_id(kind: str, now: float, lifetime: int = LIFETIME) -> str:
    """An id for a file or a batch that is made now."""
    return f"{kind}{int(now):08x}{int(now) + lifetime:08x}{secrets.token_hex(12)}"


def made_at(name: str) -> int:
    """When what has this id was made."""
    return _times(name)[0]


def _times(name: str) -> tuple[int, int]:
    """When what has this id was made, and when it expires."""
    found = _ID.match(name)
    return (int(found["made"], 16), int(found["expires"], 16)) if found else (0, 0)


class Store:
    """The files of one namespace in a directory, which several services and workers may share."""

    def __init__(self, root: str, namespace: str) -> None:
        """Makes nothing yet. Raises InputError if the path is not absolute, or a URL."""
        if "://" in root or not Path(root).is_absolute():
            raise InputError(f"{KEPT_IN} takes the absolute path of a directory, not {root!r:.200}")
        name = quote(namespace, safe="")
        name = name if len(name) <= LONGEST_NAME else hashlib.sha256(namespace.encode()).hexdigest()
        self.folder = Path(root) / f"of-{name}"

    def content(self, name: str) -> Path:
        """Where the content of a file is. Raises KeyError if this is no id: no other text ever becomes a path."""
        return self._path(name, CONTENT)

    def draft(self, name: str) -> Path:
        """Where the content of a file is written until it is complete; the directory exists then. Raises KeyError."""
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        return self._path(name, DRAFT)

    def add_draft(self, name: str, shown: str, purpose: str) -> Stored:
        """Keep the draft of a file; `shown` is the name that people see. Raises OSError."""
        self.draft(name).replace(self.content(name))
        return self.add(name, shown, purpose)

    def add(self, name: str, shown: str, purpose: str) -> Stored:
        """Keep the file whose content is at its place already. Raises OSError."""
        with open(self.content(name), "rb") as opened:
            os.fsync(opened.fileno())
            size = os.fstat(opened.fileno()).st_size
        self.write(name, {"name": shown, "purpose": purpose})
        return Stored(name, shown, purpose, size)

    def write(self, name: str, record: dict[str, Any], ending: str = RECORD) -> None:
        """Keep a record under an id, instead of an earlier one: readers see one or the other. Raises OSError."""
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        place = self._path(name, ending)
        draft = place.with_name(f"{name}.{secrets.token_hex(4)}{DRAFT}")
        with open(draft, "wb") as opened:
            opened.write(json.dumps(record).encode())
            opened.flush()
            os.fsync(opened.fileno())
        draft.replace(place)
        folder = os.open(self.folder, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    def read(self, name: str, now: float, ending: str = RECORD) -> dict[str, Any] | None:
        """The record of this id; None if there is none, or it has expired."""
        if _ID.fullmatch(name) is None or _times(name)[1] <= now:
            return None
        with suppress(FileNotFoundError):
            found: dict[str, Any] = json.loads(self._path(name, ending).read_bytes())
            return found
        return None

    def find(self, name: str, now: float) -> Stored | None:
        """A file that is kept; None if there is none with this id, or it has expired."""
        found = self.read(name, now) if name.startswith(FILE) else None
        if found is None:
            return None
        with suppress(FileNotFoundError):
            return Stored(name, found["name"], found["purpose"], self.content(name).stat().st_size)
        return None

    def ids(self, kind: str, now: float) -> list[str]:
        """The ids of all files or all batches, oldest first."""
        found = (name.removesuffix(RECORD) for name in self._names() if name.endswith(RECORD))
        return sorted(one for one in found if one.startswith(kind) and _ID.fullmatch(one) and _times(one)[1] > now)

    def remove(self, name: str) -> bool:
        """Remove a file with all that belongs to it; whether there was one. Raises OSError."""
        place = self._path(name, RECORD)
        there = place.exists()
        place.unlink(missing_ok=True)  # first: what it describes is complete
        for other in [one for one in self._names() if one.startswith(f"{name}.")]:
            self._remove(other)
        return there

    def size(self) -> int:
        """Bytes of all that is kept or being written."""
        return sum(map(_size, self._entries(self.folder)))

    def sweep(self, now: float) -> None:
        """Remove what has expired, and drafts that nobody writes any more."""
        for name in self._names():
            made, expires = _times(name)
            if made and (expires <= now or (name.endswith(DRAFT) and made + UPLOADING <= now)):
                with suppress(OSError):  # another service removes it at the same time
                    self._remove(name)

    def _path(self, name: str, ending: str) -> Path:
        if _ID.fullmatch(name) is None:
            raise KeyError(name)
        return self.folder / f"{name}{ending}"

    def _names(self) -> list[str]:
        return [one.name for one in self._entries(self.folder)]

    @staticmethod
    def _entries(folder: Path | str) -> Iterator["os.DirEntry[str]"]:
        with suppress(FileNotFoundError), os.scandir(folder) as found:
            yield from found

    def _remove(self, name: str) -> None:
        place = self.folder / name
        if place.is_dir() and not place.is_symlink():
            shutil.rmtree(place, ignore_errors=True)
        else:
            place.unlink(missing_ok=True)


def _size(entry: "os.DirEntry[str]") -> int:
    """Bytes of a file, or of all files in a directory."""
    with suppress(FileNotFoundError):
        if entry.is_dir(follow_symlinks=False):
            return sum(map(_size, os.scandir(entry.path)))
        return entry.stat(follow_symlinks=False).st_size
    return 0
