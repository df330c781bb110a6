"""What the routes of files and of batches share: the store of one service, and pages of lists."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple, Self, TypeVar

import gevent  # type: ignore[import-untyped]
from flask import request

from mlq import MLQ
from mlq.batches.store import Store, Stored
from mlq.http.problems import Refused
from mlq.http.settings import Settings
from mlq.http.turns import Places
from mlq.http.waiting import is_number

T = TypeVar("T")

GROUP = "Files and batches"
LISTS = Places(2, most_waiting=20)  # each reads the names of all files, on one of ten threads that uploads need, too
SWEEP = 600.0  # seconds between two looks at what has expired
NO_FILES = "this service keeps no files: start it with --files DIRECTORY, and its workers, too"


class ServedFiles:
    """The files of one service; its store is used in threads, since a disk may be slow."""

    def __init__(self, mlq: MLQ, settings: Settings) -> None:
        """Touches no file yet. Raises InputError if the directory can't be used."""
        self._store = None if settings.files is None else Store(settings.files, mlq.namespace)
        self._most = settings.files_limit
        self._swept = 0.0
        self._coming = 0  # bytes that uploads may still bring

    @property
    def store(self) -> Store:
        """The store. Raises Refused if there is none."""
        if self._store is None:
            raise Refused(404, NO_FILES)
        return self._store

    def found(self, file_id: str) -> Stored:
        """A file. Raises Refused."""
        found = aside(self.store.find, file_id, time.time())
        if found is None:
            raise Refused(404, f"no file {file_id:.100}: it may have expired")
        return found

    @contextmanager
    def room(self, size: int) -> Iterator[None]:
        """Keep room for an upload of up to `size` bytes. Raises Refused."""
        self.check_room(size)
        self._coming += size
        try:
            yield
        finally:
            self._coming -= size

    def check_room(self, size: int) -> None:
        """Check that there is room for so many bytes more. Raises Refused."""
        if time.monotonic() - self._swept > SWEEP or not self._swept:
            self._swept = time.monotonic()
            aside(self.store.sweep, time.time())
        if aside(self.store.size) + self._coming + size > self._most:
            raise Refused(507, f"all files together may have {self._most:,} bytes: delete some first",
                          headers={"Connection": "close"})  # fmt: skip


def aside(call: Callable[..., T], *given: Any) -> T:
    """Call it in a thread, while this process serves other requests."""
    result: T = gevent.get_hub().threadpool.apply(call, given)
    return result


class Asked(NamedTuple):
    """Which part of a list is asked for."""

    after: str
    limit: int
    newest_first: bool

    @classmethod
    def of_query(cls, limit: int, most: int) -> Self:
        """As the query says; `limit` if it says none, and `most` at most. Raises Refused."""
        given, order = request.args.get("limit", str(limit)), request.args.get("order", "desc")
        if not is_number(given) or not int(given):
            raise Refused(400, f"limit must be a number from 1, not {given:.80}")
        if order not in ("asc", "desc"):
            raise Refused(400, f"order must be asc or desc, not {order:.80}")
        return cls(request.args.get("after", ""), min(int(given), most), order == "desc")

    def of(self, ids: list[str]) -> list[str]:
        """From the page on: ids tell their order, so the one that it begins behind need not be there any more."""
        if self.newest_first:
            return [one for one in reversed(ids) if not self.after or one < self.after]
        return [one for one in ids if one > self.after]
