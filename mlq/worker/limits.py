"""Counts how many units of listeners with `per_worker` a worker holds, and so which listeners are open to more of them.

A unit is an attempt that runs by itself, or a batch. It counts from its claim until its slot is given back, for each
listener of its lane; while its listener waits for another job, too, since what that keeps in memory stays there. What
counts is found anew from the attempts that are held, so that no way to end an attempt can leave the count wrong.
"""

import threading
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from mlq.running.listeners import Listener
from mlq.worker.attempt import Attempt, Stage

if TYPE_CHECKING:
    from mlq.worker.batch import Unit


class Limits:
    """The limits of one worker's listeners. False if there are none: then nothing here needs to be called."""

    def __init__(self) -> None:
        """No limits yet."""
        self._most: Mapping[str, int] = {}
        self._resting: Counter[str] = Counter()
        self._lock = threading.Lock()

    def __bool__(self) -> bool:
        """Whether there is any limit."""
        return bool(self._most)

    def declare(self, listeners: Iterable[Listener]) -> None:
        """Take the limits of these listeners, instead of earlier ones."""
        self._most = {one.name: one.per_worker for one in listeners if one.per_worker}

    def rest(self, listener: str, change: int) -> None:
        """The slot of a batch that ended begins (1) or ends (-1) a pause, in which the batch still counts."""
        with self._lock:
            self._resting[listener] += change

    def rooms(self, held: Iterable[Attempt]) -> dict[str, int]:
        """How many more units of each limited listener this worker may claim, beside the attempts that it holds."""
        units: dict[Unit, set[str]] = {}
        for attempt in held:
            if attempt.counts():
                units.setdefault(attempt.batch or attempt, set()).update(self._names(attempt))
        taken = Counter(name for names in units.values() for name in names)
        return {name: max(0, most - taken[name] - self._resting[name]) for name, most in self._most.items()}

    def _names(self, attempt: Attempt) -> Iterable[str]:
        """The limited listeners of an attempt: any of them while its record, and so its lane, is not known here."""
        if not attempt.listeners and attempt.stage is Stage.CLAIMED:
            return self._most
        return (one.name for one in attempt.listeners if one.name in self._most)
