"""The adversary: a schedule that follows from the seed alone, and how its steps are carried out."""

import heapq
import itertools
import random
import time
from collections.abc import Callable
from typing import NamedTuple

from benchmarks.chaos.fleet import Fleet, Member
from benchmarks.chaos.proxy import Proxy
from benchmarks.chaos.refusals import Refusals
from benchmarks.chaos.trouble import Trouble, Troubles
from mlq.server import Scratch

# How often each comes in a deck, and how long it lasts. A lease lasts 6 s.
DECK: dict[str, tuple[int, float, float]] = {
    "kill": (3, 0.0, 0.0),
    "kill of a child": (3, 0.0, 0.0),
    "freeze": (2, 6.5, 10.0),
    "restart": (2, 0.1, 3.0),
    "cut": (2, 0.0, 3.0),
    "mute": (1, 0.2, 2.0),
    "delay": (1, 2.0, 5.0),
    "deploy": (2, 0.0, 0.0),
    "kill of a helper": (2, 0.0, 0.0),
    "misconf": (1, 1.0, 5.0),
    "noreplicas": (1, 1.0, 5.0),
    "noperm": (1, 1.0, 5.0),
    "full": (1, 1.0, 5.0),
    "crowd": (1, 1.0, 3.0),
}
REFUSALS = ("misconf", "noreplicas", "noperm", "full", "crowd")  # a server that answers, and refuses
PAUSES = (0.6, 2.4)  # seconds between two steps
LONGEST_DELAY = 0.4  # seconds that each portion is held
FROZEN_AT_ONCE = 1


class Step(NamedTuple):
    """One thing to do."""

    at: float  # seconds from the start
    action: str
    pick: float  # 0 to 1: which of the workers that there are
    seconds: float
    flavour: float  # 0 to 1: chooses among the ways to do it


def schedule(seed: int, seconds: float) -> list[Step]:
    """All steps. The deck is dealt out before it is shuffled again, so that a short run has some of each, too."""
    chance = random.Random(f"adversary:{seed}")
    cards = [action for action, (count, _, _) in DECK.items() for _ in range(count)]
    steps: list[Step] = []
    at = 1.5  # the workers are starting
    while at < seconds:
        for action in chance.sample(cards, len(cards)):
            _, shortest, longest = DECK[action]
            steps.append(Step(at, action, chance.random(), chance.uniform(shortest, longest), chance.random()))
            at += chance.uniform(*PAUSES)
    return [step for step in steps if step.at < seconds]


class Adversary:
    """Carries the steps out as their time comes. For one thread, the fleet's."""

    def __init__(self, steps: list[Step], fleet: Fleet, server: Scratch, proxy: Proxy, troubles: Troubles) -> None:
        """Begins now."""
        self._refusals = Refusals(server.url, server.home)
        self._began = time.monotonic()
        self._steps = iter(steps)
        self._next = next(self._steps, None)
        self._fleet, self._server, self._proxy, self._troubles = fleet, server, proxy, troubles
        self._heals: list[tuple[float, int, Callable[[], None]]] = []
        self._numbers = itertools.count()  # two heals at one time are not compared
        self._down = False

    def turn(self) -> None:
        """Do what is due."""
        while self._heals and self._heals[0][0] <= time.monotonic():
            heapq.heappop(self._heals)[2]()
        while self._next and self._next.at <= time.monotonic() - self._began:
            step, self._next = self._next, next(self._steps, None)
            self._do(step)

    def heal(self) -> None:
        """Undo all that lasts, now, and do nothing more."""
        self._next = None
        while self._heals:
            heapq.heappop(self._heals)[2]()
        self._proxy.heal()
        self._refusals.close()

    def _later(self, seconds: float, heal: Callable[[], None]) -> None:
        heapq.heappush(self._heals, (time.monotonic() + seconds, next(self._numbers), heal))

    def _do(self, step: Step) -> None:
        if step.action == "restart":
            return self._restart(step)
        if step.action in ("cut", "mute", "delay"):
            return self._disturb(step)
        if step.action in REFUSALS:
            return self._refuse(step)
        if step.action == "kill of a helper":
            return self._fleet.kill_helper(step.pick)
        wanted = "process" if step.action == "kill of a child" else None
        victims = [member for member in self._fleet.well() if wanted in (None, member.place.pool)]
        if victims:
            self._strike(step, victims[int(step.pick * len(victims))])
        return None

    def _strike(self, step: Step, victim: Member) -> None:
        if step.action == "kill":
            self._fleet.kill(victim)
        elif step.action == "kill of a child":
            self._fleet.kill_child(victim, step.flavour)
        elif step.action == "deploy":
            self._fleet.deploy(victim)
        elif sum(bool(member.frozen) for member in self._fleet.members) < FROZEN_AT_ONCE:
            trouble = self._fleet.freeze(victim, children=step.flavour < 0.5)
            self._later(step.seconds, lambda: self._fleet.thaw(victim, trouble))

    def _restart(self, step: Step) -> None:
        if self._down:
            return
        trouble, self._down = self._troubles.begin("restart"), True
        in_order = step.flavour >= 0.5 and self._refusals.end()  # one with too many clients hears no word to stop
        (self._server.stop if in_order else self._server.kill)()
        self._later(step.seconds, lambda: self._up(trouble))

    def _up(self, trouble: Trouble) -> None:
        self._server.restart()
        self._down = False
        self._troubles.over(trouble)

    def _refuse(self, step: Step) -> None:
        """The server is in trouble, but there. It may be down at this moment; then it is spared this."""
        if self._down or not self._refusals.begin(step.action):
            return
        trouble = self._troubles.begin(step.action)

        def heal() -> None:
            if not (self._refusals.end() or self._down):  # others took the one place that there was for a client
                self._server.restart()
                self._troubles.note("restart")
            self._troubles.over(trouble)

        self._later(step.seconds, heal)

    def _disturb(self, step: Step) -> None:
        trouble = self._troubles.begin(step.action, self._fleet.proxied)
        self._proxy.order(step.action, step.seconds, step.flavour * LONGEST_DELAY)
        self._later(step.seconds, lambda: self._troubles.over(trouble))
