"""How pools get uploaded listeners: loaded in this process, or in the children, one upload at a time.

A child is sent the code when it reads: while it has nothing to run, or while its run waits for another job. A busy
child would seem to hang. Until it has answered it gets no runs, so its next run finds everything uploaded before.
"""

import logging
import time
from collections import Counter
from typing import TYPE_CHECKING, Any, NamedTuple

from mlq.errors import InputError
from mlq.pools.contract import Told
from mlq.running.listeners import Listener
from mlq.running.outcomes import failure
from mlq.uploads import functions

if TYPE_CHECKING:
    from mlq.pools.child_process import Child

log = logging.getLogger("mlq.worker")

LOAD_TIME = 60.0  # seconds that a child has to load an upload before it is replaced
DEATHS = 2  # deaths of children while they load an upload, after which no child must load it


def described(error: BaseException) -> str:
    """Describe what user code raised, safely even if the exception's own methods fail."""
    return failure(error).hint


def load_listener(name: str, code: bytes) -> Listener:
    """The listener in an upload; raises InputError with the reason if it can't be loaded or has another name."""
    try:
        found, function = functions.load(code)
    except InputError:
        raise
    except BaseException as error:  # user code: loading a pickle may raise anything
        raise InputError(described(error)) from error
    if found != name:
        raise InputError(f"it is named {found!r:.100} now")
    return Listener.of(function)


class LocalLoader:
    """Loads uploads in this process, for pools that run them here."""

    def load_upload(self, name: str, code: bytes, told: Told) -> None:
        """Load it now."""
        try:
            told(name, load_listener(name, code), "")
        except InputError as error:
            told(name, None, str(error))

    def unload(self, name: str) -> None:
        """Nothing to do: only the worker's listeners hold an upload."""


class Upload(NamedTuple):
    """An upload that children must load."""

    number: int
    code: bytes
    told: Told


class ChildUploads:
    """The uploads that the children of a pool must load. Used with the pool's lock held."""

    def __init__(self) -> None:
        """No uploads yet."""
        self.number = 0  # of the last change: a child whose `uploads_sent` equals it has all uploads
        self._wanted: dict[str, Upload] = {}
        self._told: set[int] = set()  # uploads whose result the worker knows
        self._deaths: Counter[int] = Counter()

    def load_upload(self, name: str, code: bytes, told: Told) -> None:
        """Have children load this from now on."""
        self.number += 1
        self._wanted[name] = Upload(self.number, code, told)

    def unload(self, name: str) -> None:
        """Have children forget this upload."""
        if self._wanted.pop(name, None) is not None:
            self.number += 1

    def send_next(self, child: "Child") -> bool:
        """Have a child load the next upload that it lacks; returns whether it lacks any, and so gets no runs yet."""
        if child.ready and child.loading is None and child.reads():
            self._next(child)
        return child.uploads_sent != self.number

    def _next(self, child: "Child") -> None:
        for name in child.known.keys() - self._wanted.keys():
            del child.known[name]
            child.send("unload", name)
        for name, upload in self._wanted.items():
            if child.known.get(name) != upload.number:
                child.known[name] = upload.number
                child.loading = name
                child.load_by = time.monotonic() + LOAD_TIME
                child.send("load", name, upload.code)
                return
        child.uploads_sent = self.number

    def heard(self, child: "Child", word: str, rest: list[Any]) -> bool:
        """A child has loaded an upload, or can't; False if the frame is about something else."""
        if word in ("loaded", "refused"):
            name = rest[0]
            self._loaded(child, name, *((_listener_of(rest), "") if word == "loaded" else (None, rest[1])))
        return word in ("loaded", "refused")

    def _loaded(self, child: "Child", name: str, listener: Listener | None, why: str) -> None:
        """The worker is told only the first child's result."""
        child.loading = None
        upload = self._wanted.get(name)
        if upload is None or child.known.get(name) != upload.number:  # it has changed since
            return
        if upload.number not in self._told:
            self._told.add(upload.number)
            upload.told(name, listener, why)
        elif listener is None:
            log.error("child %d can't load the uploaded listener %r: %s", child.pid, name, why)

    def died(self, child: "Child") -> None:
        """A child died. An upload that kills children is given up, so that the worker can run other listeners."""
        name = child.loading
        upload = self._wanted.get(name) if name is not None else None
        if name is None or upload is None or child.known.get(name) != upload.number:
            return
        self._deaths[upload.number] += 1
        if self._deaths[upload.number] >= DEATHS:
            self.unload(name)
            upload.told(name, None, f"{DEATHS} child processes died, or hung, while they loaded it")


def _listener_of(told: list[Any]) -> Listener:
    """The listener that a child has loaded, as its frame describes it."""
    name, takes_context, is_async = told
    return Listener(name, None, takes_context, is_async)
