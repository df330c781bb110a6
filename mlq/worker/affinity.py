"""Which models a worker holds, so that their jobs go to it first; and how long it leaves jobs of others to others.

A worker holds a model while a process of it has the model loaded or loads it, and while it has jobs of it. The claim of
a job says so at once (lua/shared/affinity.lua); this finds out what has changed since.
"""

import random
import threading
from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

from mlq.running.listeners import Listener
from mlq.running.loads import Load
from mlq.worker.attempt import Attempt

JITTER = 0.25  # of the wait: workers that wait for the same job do not look again at the same moment
AGAIN = 30.0  # seconds after which the server is told everything once more: it forgets after 100, or may have lost it


class Holding(NamedTuple):
    """What to tell the server, by the names of listeners."""

    held: frozenset[str]
    gone: frozenset[str]


class Affinity:
    """What the server knows of one worker's models. Safe to use from any thread."""

    def __init__(self, wait: float, chance: Callable[[float, float], float] = random.uniform) -> None:
        """`wait`: seconds for which jobs are for workers that hold their model; 0 if this worker never waits."""
        self._wait = wait
        self._chance = chance
        self._models: frozenset[str] = frozenset()
        self._told: frozenset[str] = frozenset()  # what the server may think that this worker holds
        self._told_at = 0.0
        self._lock = threading.Lock()

    def __bool__(self) -> bool:
        """Whether there is anything to tell; else nothing here needs to be called."""
        return bool(self._models or self._told)

    def declare(self, listeners: Iterable[Listener]) -> None:
        """These are the listeners now."""
        self._models = frozenset(one.name for one in listeners if one.about) if self._wait else frozenset()

    def wait(self) -> float:
        """For how many seconds the next claim leaves jobs to others; 0 if there are no models."""
        return self._wait * self._chance(1 - JITTER, 1 + JITTER) if self._models else 0.0

    def claimed(self, listeners: Iterable[Listener]) -> None:
        """A job for these was claimed: the server thinks that this worker holds the models among them."""
        if not self._models:
            return
        named = {one.name for one in listeners if "@" in one.name}  # what the server takes for models
        if not named <= self._told:  # else each job would copy the set
            with self._lock:
                self._told |= named

    def news(self, loads: Iterable[Mapping[str, Load]], attempts: Iterable[Attempt], now: float) -> Holding | None:
        """What to tell the server, given what became of models in each process and what runs; None if nothing is new.

        Call `told` when that was told.
        """
        held = {name for each in loads for name, load in each.items() if load.state in ("loading", "ready")}
        held |= {one.name for attempt in attempts for one in attempt.listeners}
        held &= self._models
        with self._lock:
            if held == self._told and (not held or now - self._told_at < AGAIN):
                return None
            return Holding(frozenset(held), self._told - held)

    def told(self, holding: Holding, now: float) -> None:
        """The server knows that now."""
        with self._lock:
            self._told, self._told_at = self._told - holding.gone | holding.held, now

    def end(self) -> Holding:
        """The worker claims no more: others need not wait for it. The last thing to tell."""
        with self._lock:
            told, self._models, self._told = self._told, frozenset(), frozenset()
        return Holding(frozenset(), told)
