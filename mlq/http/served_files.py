"""What the routes of files and of batches share: the store of one service, and pages of lists."""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any, NamedTuple, Self, TypeVar

import gevent.pool  # type: ignore[import-untyped]
from flask import request

from mlq import MLQ
from mlq.batches.roots import check_form, disk_at, folder_of
from mlq.batches.store import Store, Stored
from mlq.http.problems import Refused
from mlq.http.room import Coming, Room
from mlq.http.service_disk import ServiceDisk
from mlq.http.settings import Settings
from mlq.http.turns import Places
from mlq.http.waiting import is_number

T = TypeVar("T")

GROUP = "Files and batches"
LISTS = Places(2, most_waiting=20)  # each reads the names of all files, on one of ten threads that uploads need, too
AT_ONCE = 8  # records of a page that are read at a time
SWEEP = 600.0  # seconds between two looks at what has expired
NO_FILES = "this service keeps no files: start it with --files PLACE, and its workers, too"


class ServedFiles:
    """The files of one service."""

    def __init__(self, mlq: MLQ, settings: Settings) -> None:
        """Touches no file yet. Raises InputError if no files can be kept there."""
        self._on_threads = True
        self._store = None if settings.files is None else self._opened(settings.files, mlq.namespace)
        self._room = Room(settings.files_limit)
        self._swept = -SWEEP

    def _opened(self, root: str, namespace: str) -> Store:
        check_form(root)  # the packages are of no concern here: the other process imports them
        folder = folder_of(root, namespace)
        self._on_threads = "://" not in root  # a disk may be slow; what is behind a URL is reached by another process
        return Store(disk_at(folder) if self._on_threads else ServiceDisk(folder))

    @property
    def store(self) -> Store:
        """The store. Raises Refused if there is none."""
        if self._store is None:
            raise Refused(404, NO_FILES)
        return self._store

    def aside(self, call: Callable[..., T], *given: Any) -> T:
        """Call what uses the store, while this process serves other requests. Raises Refused if it can't be used."""
        try:
            return self.called(call, *given)
        except FileNotFoundError:
            raise
        except OSError as error:
            raise unusable(error) from None

    def called(self, call: Callable[..., T], *given: Any) -> T:
        """The same, but raises OSError."""
        if not self._on_threads:
            return call(*given)
        result: T = gevent.get_hub().threadpool.apply(call, given)
        return result

    def each(self, call: Callable[[str], T], names: Sequence[str]) -> Iterator[T]:
        """What a call gives for each name; for `aside`. Several at a time, where each waits for a store."""
        yield from (
            map(call, names) if self._on_threads else gevent.pool.Pool(AT_ONCE).imap(call, names, maxsize=AT_ONCE)
        )

    def found(self, file_id: str) -> Stored:
        """A file. Raises Refused."""
        found = self.aside(self.store.find, file_id, time.time())
        if found is None:
            raise Refused(404, f"no file {file_id:.100}: it may have expired")
        return found

    @contextmanager
    def uploading(self) -> Iterator[Coming]:
        """What an upload brings, piece by piece: one that is slow keeps no room from others."""
        with self._room.coming() as coming:
            yield coming

    def check_room(self, size: int) -> None:
        """Check that there is room for so many bytes more. Raises Refused."""
        if time.monotonic() - self._swept > SWEEP:
            self._swept = time.monotonic()
            threading.Thread(target=self._sweep, args=(self.store,), daemon=True).start()
        if not self._room.has(size, lambda: self.aside(self.store.total)):
            raise full(self._room.most)

    def _sweep(self, store: Store) -> None:
        with suppress(OSError):  # the next time
            self.called(store.sweep, time.time())

    def added(self, size: int) -> None:
        """So many bytes more are kept now; fewer, if it is below 0."""
        self._room.add(size)


def full(most: int) -> Refused:
    """The refusal of a file for which there is no room."""
    reason = f"all files together may have {most:,} bytes: delete some first"
    return Refused(507, reason, headers={"Connection": "close"})


def unusable(error: OSError) -> Refused:
    """The refusal of a request for which the store could not be used."""
    return Refused(
        503, f"the store of files can't be used now: {error.strerror or error}", headers={"Retry-After": "1"}
    )


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
