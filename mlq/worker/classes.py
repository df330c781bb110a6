"""The classes that one worker serves: one for each set of its listeners that is open; and which the server knows."""

import time
from collections.abc import Collection

from mlq.core.checks import functions_of
from mlq.ops.work import WorkerClass
from mlq.running.listeners import Listeners


class Classes:
    """A worker whose listeners have no limits is always of the same class."""

    def __init__(self) -> None:
        """None is known."""
        self._made: dict[tuple[frozenset[str], tuple[str, ...]], WorkerClass] = {}  # by what is closed, and queues
        self._known: dict[str, tuple[WorkerClass, float]] = {}  # with the time of the last use

    def declare(self) -> None:
        """The listeners changed: their classes are others."""
        self._made = {}

    def without(self, closed: frozenset[str], listeners: Listeners, queues: tuple[str, ...]) -> WorkerClass:
        """The class that serves what these listeners run, but for the lanes of those that are `closed`."""
        found = self._made.get((closed, queues))
        if found is None:
            chosen = {queue: listeners.chosen(queue) for queue in queues}
            plain = [queue for queue, run in chosen.items() if run and closed.isdisjoint(one.name for one in run)]
            open_ = [name for name in listeners.names() if name not in closed]
            own = [lane for lane in listeners.own_lanes(queues) if functions_of(lane).isdisjoint(closed)]
            found = self._made[closed, queues] = WorkerClass.of(plain, queues, open_, own)
        if found.name in self._known:
            self.registered(found)
        return found

    def registered(self, served: WorkerClass) -> None:
        """The server knows that class, or it is used again."""
        self._known[served.name] = served, time.monotonic()

    def forget(self) -> None:
        """The server may know none of them."""
        self._known.clear()

    def knows(self, served: WorkerClass) -> bool:
        """Whether the server knows it."""
        return served.name in self._known

    def knows_none(self) -> bool:
        """Whether the server knows none of them."""
        return not self._known

    def in_use(self, served: Collection[WorkerClass], seconds: float) -> list[WorkerClass]:
        """`served`, and what was used within so many seconds: to be registered again. Others lapse on the server."""
        now = time.monotonic()
        for name, (one, used) in tuple(self._known.items()):
            if one not in served and now - used > seconds:
                self._known.pop(name, None)
        return [one for one, _ in tuple(self._known.values())]
