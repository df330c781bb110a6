"""Keeps uploaded and written files, and the records of batches, until they expire.

Each has an id that nobody can guess, and which tells when it was made and when it expires: so a list of names is enough
to find what comes next in order, and what has expired. What `ID.json` describes is complete; `ID.jsonl` is its content,
and other names that begin with an id belong to what is still being written.
"""

import json
import re
import secrets
import time
from contextlib import suppress
from typing import IO, Any, NamedTuple

from mlq.batches.disks import DRAFT, Disk
from mlq.batches.roots import check_root, disk_at, folder_of
from mlq.files.places import SUFFIX

FILE, BATCH = "file-", "batch_"  # how ids begin
LIFETIME = 30 * 86400  # seconds that files are kept, unless an upload says otherwise
CONTENT, RECORD = ".jsonl", ".json"
STATE = ".state"  # of a batch: what its job writes down, while `RECORD` is what the service does
UPLOADING = 86400  # seconds after which what is still a draft was left behind
LOOKS, PAUSE = 4, 0.05  # times that a record is read that is not whole, since some stores show it while it is written
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
    """The files of one namespace, which several services and workers may share."""

    def __init__(self, disk: Disk) -> None:
        """Reaches nothing yet."""
        self._disk = disk
        self.where = disk.where

    def address(self, name: str) -> str:
        """The path or URL of a file's content. Raises KeyError if this is no id: no other text ever becomes a path."""
        return self._disk.address(_named(name, CONTENT))

    def open(self, name: str) -> IO[bytes]:
        """The content of a file, to be read in order. Raises KeyError, OSError."""
        return self._disk.open(_named(name, CONTENT))

    def create(self, name: str) -> IO[bytes]:
        """The content of a file that is not complete yet, to be written in pieces. Raises KeyError, OSError."""
        return self._disk.create(_named(name, DRAFT))

    def add_draft(self, draft: str, name: str, shown: str, purpose: str) -> Stored:
        """Keep the draft with one id under another; `shown` is the name that people see. Raises OSError."""
        self._disk.move(_named(draft, DRAFT), _named(name, CONTENT))
        return self.add(name, shown, purpose)

    def drop_draft(self, draft: str) -> None:
        """Remove a draft, if it is there. Raises OSError."""
        self._disk.remove(_named(draft, DRAFT))

    def add(self, name: str, shown: str, purpose: str) -> Stored:
        """Keep the file whose content is at its place already. Raises OSError."""
        size = self._disk.size(_named(name, CONTENT))
        self.write(name, {"name": shown, "purpose": purpose, "size": size})
        return Stored(name, shown, purpose, size)

    def content_size(self, name: str) -> int | None:
        """Bytes of a content that may not be kept yet; None if there is none. Raises OSError."""
        with suppress(FileNotFoundError):
            return self._disk.size(_named(name, CONTENT))
        return None

    def write(self, name: str, record: dict[str, Any], ending: str = RECORD) -> None:
        """Keep a record under an id, instead of an earlier one: readers see one or the other. Raises OSError."""
        self._disk.write(_named(name, ending), json.dumps(record).encode())

    def read(self, name: str, now: float, ending: str = RECORD) -> dict[str, Any] | None:
        """The record of this id; None if there is none, or it has expired or is damaged. Raises OSError."""
        if _ID.fullmatch(name) is None or _times(name)[1] <= now:
            return None
        with suppress(FileNotFoundError):
            for _ in range(LOOKS):
                with suppress(ValueError):
                    found = json.loads(self._disk.read(f"{name}{ending}"))
                    return found if isinstance(found, dict) else None
                time.sleep(PAUSE)
        return None

    def find(self, name: str, now: float) -> Stored | None:
        """A file that is kept; None if there is none with this id, or it has expired. Raises OSError."""
        found = self.read(name, now) if name.startswith(FILE) else None
        if found is None:
            return None
        try:
            return Stored(name, str(found["name"]), str(found["purpose"]), int(found["size"]))
        except (LookupError, ValueError, TypeError):  # somebody else wrote it
            return None

    def ids(self, kind: str, now: float) -> list[str]:
        """The ids of all files or all batches, oldest first. Raises OSError."""
        found = (name.removesuffix(RECORD) for name in self._disk.names() if name.endswith(RECORD))
        return sorted(one for one in found if one.startswith(kind) and _ID.fullmatch(one) and _times(one)[1] > now)

    def remove(self, name: str) -> None:
        """Remove a file or a batch with all that belongs to it. Raises KeyError, OSError."""
        self._disk.remove(_named(name, RECORD))  # first: what it describes is complete
        for ending in (CONTENT, STATE, CONTENT + SUFFIX):
            self._disk.remove(_named(name, ending))

    def total(self) -> int:
        """Bytes of all that is kept. Raises OSError."""
        return self._disk.total()

    def sweep(self, now: float) -> None:
        """Remove what has expired, and drafts that nobody writes any more. Raises OSError."""
        for name in self._disk.names():
            made, expires = _times(name)
            if made and (expires <= now or (name.endswith(DRAFT) and made + UPLOADING <= now)):
                with suppress(OSError):  # another service removes it at the same time
                    self._disk.remove(name)


def _named(name: str, ending: str) -> str:
    """The name of what belongs to an id. Raises KeyError."""
    if _ID.fullmatch(name) is None:
        raise KeyError(name)
    return f"{name}{ending}"


def kept_at(root: str, namespace: str) -> Store:
    """The store of a namespace below a directory or a URL, for a process that reaches it itself. Raises InputError."""
    check_root(root)
    return Store(disk_at(folder_of(root, namespace)))
