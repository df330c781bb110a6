"""One run in a child process, and what its listeners may ask of the worker."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from mlq.core.job import Claimed
from mlq.running.context import lost

if TYPE_CHECKING:
    from collections.abc import Callable

    from mlq.pools.child import Child


class ChildRun:
    """One run in a child, and the channel of its listeners to the worker."""

    def __init__(self, child: "Child", number: int, claimed: Claimed, *, together: bool = False) -> None:
        """The run holds its job until the worker says otherwise. `together`: it is part of a batch."""
        self.together = together
        self._child = child
        self.number = number
        self.claimed = claimed
        self.held = True
        self.end: Callable[[], None] | None = None  # how a cooperative runtime ends it

    def holds(self) -> bool:
        """Whether the worker still holds the job, as far as it has told this child."""
        self._child.read_from_now_on()
        return self.held

    def report(self, packed: bytes) -> None:
        """Have progress recorded soon."""
        self._check()
        self._child.wire.send("report", self.number, packed)

    def add_entry(self, kind: str, data: bytes) -> None:
        """Add an entry to the job's stream; if the worker can't keep up, the wire fills up and sending waits."""
        self._check()
        self._child.wire.send("entry", self.number, kind, data)

    def full(self) -> bool:
        """Whether many frames wait for another thread to send them."""
        return self._child.wire.crowded()

    def store(self, key: str, packed: bytes, expiry: float | None) -> None:
        """Keep a value for other jobs."""
        self._child.ask(self.number, "store", key, packed, expiry)

    def fetch(self, key: str) -> bytes | None:
        """The value that `store` kept."""
        return self._child.ask(self.number, "fetch", key)  # type: ignore[no-any-return]

    def post(self, lane: str, body: bytes, needs: str = "", when: str = "", keyed: str = "") -> str:
        """Post another job; returns its id."""
        self._check()
        return str(self._child.ask(self.number, "post", lane, body, needs, when, keyed))

    def post_parts(self, lane: str, bodies: Sequence[bytes]) -> str:
        """Post the next parts of a split; returns the id of the first."""
        self._check()
        return str(self._child.ask(self.number, "post_parts", lane, bodies))

    def parts(self) -> list[tuple[int, int]]:
        """The parts of the split whose join this run is."""
        return [(first, last) for first, last in self._child.ask(self.number, "parts")]

    def outcomes(self, job_ids: Sequence[str]) -> list[dict[str, bytes]]:
        """The fields of the first of these jobs."""
        return list(self._child.ask(self.number, "outcomes", job_ids))

    def wait(self, job_id: str, timeout: float | None) -> dict[str, bytes]:
        """Wait until another job has ended; returns its fields."""
        return self._child.ask(self.number, "wait", job_id, timeout)  # type: ignore[no-any-return]

    def leave(self) -> None:
        """Release the slot."""
        self._child.ask(self.number, "leave")

    def go_on(self) -> None:
        """Take a slot again."""
        self._child.ask(self.number, "go_on")

    def _check(self) -> None:
        if not self.held:
            raise lost(self.claimed)
