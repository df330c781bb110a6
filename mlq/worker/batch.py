"""Attempts that run together: a listener that declares `batch` is called once for the messages of all of them.

Each of these attempts has its own lease, outcome, retries, progress and callback.
"""

import threading
from collections.abc import Iterable, Iterator, Sequence

from mlq.core.job import Claimed
from mlq.pools.contract import Together
from mlq.running.listeners import Listener
from mlq.worker.attempt import Attempt, Stage


class Batch(Together):
    """Takes one slot."""

    members: list[Attempt]

    def __init__(self, members: list[Attempt]) -> None:
        """`members`: attempts of one lane, in the order of their jobs."""
        self.members = members
        self.holding = len(members)  # how many of them still hold the slot, as `slots` counts it
        self._unfetched = sum(not member.claimed.record for member in members)
        self._lock = threading.Lock()
        self.runs = False  # as `slots` counts it
        for member in members:
            member.batch = self

    @property
    def stage(self) -> Stage:
        """CLAIMED while it may begin."""
        return Stage.CLAIMED if any(one.stage is Stage.CLAIMED for one in self.members) else Stage.ENDED

    @property
    def listener(self) -> str:
        """The name of the listener that takes them; empty if no record could be read."""
        return next((one.listeners[0].name for one in self.members if one.listeners), "")

    def is_complete(self) -> bool:
        """Whether the records of all members are here."""
        return not self._unfetched

    def is_last_fetched(self) -> bool:
        """A record has been fetched; returns whether it was the last one."""
        with self._lock:
            self._unfetched -= 1
            return not self._unfetched

    def is_over(self) -> bool:
        """Whether no member holds its job any more: nothing that the listener returns would count."""
        return all(one.is_over() for one in self.members)

    def is_done(self) -> bool:
        """Whether the listener has ended for all members."""
        return all(one.is_done for one in self.members)


Unit = Attempt | Batch  # what takes a slot


def batch_of(listeners: Sequence[Listener]) -> int:
    """How many jobs these listeners take in one call; 0: job by job, as if there are several of them."""
    return listeners[0].batch if len(listeners) == 1 else 0


def slots_of(claimed: Iterable[Claimed]) -> int:
    """How many slots a claim has filled. A batch whose jobs were all broken has a number, but takes none."""
    several = list(claimed)
    return sum(not one.batch for one in several) + len({one.batch for one in several if one.batch})


def units(attempts: Iterable[Attempt]) -> Iterator[Unit]:
    """The batches of what one claim got, and the attempts that run by themselves.

    A batch that was lost with its process is run again in halves: of 32 jobs, one that was lost n times together with
    others runs in a batch of 32 / 2**n, until the job that kills its process is lost alone.
    """
    batches: dict[int, list[Attempt]] = {}
    for attempt in attempts:
        if attempt.claimed.batch:
            batches.setdefault(attempt.claimed.batch, []).append(attempt)
        else:
            yield attempt
    for members in batches.values():
        yield from map(Batch, _parts(members))


def goes_on(unit: Unit) -> bool:
    """Whether it is a batch that others of its members are still part of."""
    return isinstance(unit, Batch) and not unit.is_over()


def parts_but_one(found: Iterable[Unit]) -> list[Batch]:
    """The parts of halved batches but for the last ones, lost most often: `per_worker` has no room for them."""
    several = [unit for unit in found if isinstance(unit, Batch)]
    last = {part.members[0].claimed.batch: part for part in several}
    return [part for part in several if last[part.members[0].claimed.batch] is not part]


def _parts(members: list[Attempt]) -> Iterator[list[Attempt]]:
    part: list[Attempt] = []
    room = len(members)
    for member in sorted(members, key=lambda one: one.claimed.together):  # stable: in the order of the jobs
        most = max(1, len(members) >> member.claimed.together)
        room = min(room, most)
        if len(part) >= room:
            yield part
            part, room = [], most
        part.append(member)
    yield part
