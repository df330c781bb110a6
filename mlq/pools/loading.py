"""How pools come by uploaded listeners: loaded in this process, or by children that are taught one after the other.

A child is sent the code when it reads: while it has nothing to run, or its run waits for another job. A busy one would
be taken for one that hangs. Until it has answered it gets no runs, so the next one finds all that was uploaded before.
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

LOAD_TIME = 60.0  # seconds that a child has to load one; it is replaced then
DEATHS = 2  # of children while they load one, after which no child has to


def described(error: BaseException) -> str:
    """What user code raised, in words that its own methods can't spoil."""
    return failure(error).hint


def load_listener(name: str, code: bytes) -> Listener:
    """The listener that an upload is; raises InputError with the reason where it is none of that name."""
    try:
        found, function = functions.load(code)
    except InputError:
        raise
    except BaseException as error:  # user code: what a pickle does when it is loaded may raise anything
        raise InputError(described(error)) from error
    if found != name:
        raise InputError(f"it is named {found!r:.100} now")
    return Listener.of(function)


class LocalLoader:
    """Loads uploads in this process, where its pool runs them."""

    def load_upload(self, name: str, code: bytes, told: Told) -> None:
        """Load it now."""
        try:
            told(name, load_listener(name, code), "")
        except InputError as error:
            told(name, None, str(error))

    def unload(self, name: str) -> None:
        """The worker's listeners are all there is."""


class Upload(NamedTuple):
    """An upload that children are to load."""

    number: int
    code: bytes
    told: Told


class ChildUploads:
    """What the children of a pool are to have loaded. Used with the pool's lock held."""

    def __init__(self) -> None:
        """Nothing."""
        self.number = 0  # of the last change: a child whose `taught` it is lacks nothing
        self._wanted: dict[str, Upload] = {}
        self._told: set[int] = set()  # those of which the worker knows what came of them
        self._deaths: Counter[int] = Counter()

    def load_upload(self, name: str, code: bytes, told: Told) -> None:
        """Children are to load this from now on."""
        self.number += 1
        self._wanted[name] = Upload(self.number, code, told)

    def unload(self, name: str) -> None:
        """And this no more."""
        if self._wanted.pop(name, None) is not None:
            self.number += 1

    def send_next(self, child: "Child") -> bool:
        """Have a child load what it lacks, one at a time; whether it must do so before its next run."""
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

    def heard(self, child: "Child", name: str, listener: Listener | None, why: str) -> None:
        """A child has loaded an upload, or can't. The first one speaks for all."""
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
        """A child is gone. An upload of which they die is given up: the worker has others to run."""
        name = child.loading
        upload = self._wanted.get(name) if name is not None else None
        if name is None or upload is None or child.known.get(name) != upload.number:
            return
        self._deaths[upload.number] += 1
        if self._deaths[upload.number] >= DEATHS:
            self.unload(name)
            upload.told(name, None, f"{DEATHS} child processes died, or hung, while they loaded it")


def listener_of(told: list[Any]) -> Listener:
    """What a child tells of a listener that it loaded."""
    name, takes_context, is_async = told
    return Listener(name, None, takes_context, is_async)
