"""One batch as it is kept: what was asked for, which the service writes, and how far it is, which its job writes."""

import time
from typing import Any, NamedTuple, Self

from mlq.batches.store import BATCH, FILE, STATE, Store, made_at, new_id

WINDOW = 86400  # seconds in which a batch must be completed: OpenAI's API knows no other
FINAL = ("completed", "failed", "expired", "cancelled")
OUTPUT = "batch_output"  # the purpose of the files that a batch writes


class Wanted(NamedTuple):
    """What a batch is about."""

    input: str  # the id of a file
    endpoint: str
    model: str
    version: str  # of the model: it stays the same
    metadata: dict[str, str] | None
    output: str  # the ids under which files will be kept, if there is something to write
    errors: str
    job: str | None = None  # the reference of its job; None if the service stopped before it could write that down
    cancelling: int | None = None  # when somebody wanted it to stop

    @classmethod
    def made(
        cls, source: str, endpoint: str, model: str, version: str, metadata: dict[str, str] | None, lifetime: int
    ) -> Self:
        """A batch that is made now; `lifetime`: seconds that what it writes is kept, from the end of its window."""
        now, lifetime = time.time(), lifetime + WINDOW
        return cls(source, endpoint, model, version, metadata, new_id(FILE, now, lifetime), new_id(FILE, now, lifetime))


class Batch:
    """A batch in a store."""

    def __init__(self, store: Store, name: str, wanted: Wanted, state: dict[str, Any]) -> None:
        """`state`: what is kept of how far it is; nothing yet if it is empty."""
        self.id, self.wanted, self.state = name, wanted, state
        self._store = store

    @classmethod
    def find(cls, store: Store, name: str) -> Self | None:
        """The batch with this id; None if there is none, or it has expired."""
        now = time.time()
        found = store.read(name, now) if name.startswith(BATCH) else None
        return None if found is None else cls(store, name, Wanted(**found), store.read(name, now, STATE) or {})

    @classmethod
    def add(cls, store: Store, name: str, wanted: Wanted) -> Self:
        """Keep a new batch under its id. Raises OSError."""
        made = cls(store, name, wanted, {})
        made.want()
        return made

    @property
    def status(self) -> str:
        """How far it is, as its job wrote it down."""
        return str(self.state.get("status", "validating"))

    @property
    def deadline(self) -> float:
        """When it expires, unless it is completed."""
        return made_at(self.id) + WINDOW

    def want(self, **changes: Any) -> None:
        """Write down what is wanted, with changes; for the service. Raises OSError."""
        self.wanted = self.wanted._replace(**changes)
        self._store.write(self.id, self.wanted._asdict())

    def is_cancelled(self) -> bool:
        """Whether somebody wants it to stop."""
        found = self._store.read(self.id, time.time())
        return found is None or found["cancelling"] is not None

    def note(self, status: str, **more: Any) -> None:
        """Write down how far it is; for its job. Raises OSError."""
        self.state = self.state | {"status": status, f"{status}_at": int(time.time())} | more
        self._store.write(self.id, self.state, STATE)

    def remove(self) -> None:
        """Remove it, with what is known of it. Raises OSError."""
        self._store.remove(self.id)
