"""Places tasks in children that are for one model each, so that models can be unloaded: by ending their children.

Frameworks give memory back only when their process ends. A child that runs something is never ended for that. The
worker's slots are those of the pool, and children are as many as the budget has room for.
"""

import logging
import math
import time
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from mlq.errors import NotLoaded
from mlq.pools.child_process import Child, Program
from mlq.pools.contract import Task
from mlq.pools.placing import Key, Start, key_of
from mlq.running.loads import Load, LoadCount, LoadCounts, Residency
from mlq.running.outcomes import failure

if TYPE_CHECKING:
    from mlq.core.job import Outcome

log = logging.getLogger("mlq.worker")

TURN = (
    1.0  # seconds for which a model that was used is kept, or as long as loading it took, while others need its place
)


class Waiting(NamedTuple):
    """A task that waits for a child."""

    task: Task
    key: Key
    since: float


class ModelChildren:
    """Which child is for which model, and when it ends."""

    def __init__(
        self, programs: Sequence[Program], residencies: Mapping[str, Residency], budget: int | None, most: int,
        counts: LoadCounts,
    ) -> None:  # fmt: skip
        """`residencies`: of the models; `budget`: bytes; `most`: children; `counts` hears of evictions."""
        self.slots = len(programs)
        self._programs = programs
        self._residencies = residencies
        self._budget = math.inf if budget is None else budget
        self._most = most
        self._counts = counts
        self._waiting: list[Waiting] = []
        self._starts: list[Key] = []  # of children that the last look found missing
        self.refused: deque[tuple[Task, Outcome]] = deque()
        self._empty = 0  # bytes of a child that has loaded no model
        self._measured: dict[Key, int] = {}  # bytes of a child that has just loaded these models
        self._broken: dict[str, Load] = {}
        self.spare = self._budget  # bytes that the children left of it, as of the last look
        self._to_warm = [(name,) for name, one in residencies.items() if one.warm]
        for name in residencies:
            self._check((name,))

    def places(self, child: Child) -> int:  # noqa: ARG002 - part of the contract
        """Slots are the pool's."""
        return 0

    def add(self, tasks: Iterable[Task]) -> None:
        """They run in the order of their coming, but for those whose model is loaded."""
        now = time.monotonic()
        self._waiting += [Waiting(task, key_of(task), now) for task in tasks]

    def take(self, child: Child) -> Task | None:
        """The first one for the child's model."""
        if child.room() > 0:
            for place, one in enumerate(self._waiting):
                if one.key == child.key:
                    return self._waiting.pop(place).task
        return None

    def missing(self, children: Sequence[Child]) -> Start | None:
        """A child for a model that waits, of the program that the fewest children run."""
        self.look(children, None)
        if not self._starts:
            return None
        used = Counter(id(child.program) for child in children)
        return Start(min(self._programs, key=lambda program: used[id(program)]), self._starts[0])

    def is_complete(self, children: Sequence[Child]) -> bool:
        """Whether none is starting."""
        return all(child.ready for child in children)

    def heard(self, child: Child) -> None:
        """Measure it: before it has loaded models, and when it has."""
        if child.key is None:
            self._empty = child.weight
        elif child.key and _is_loaded(child) and child.met > child.used:
            self._measured[child.key] = child.weight
            self._check(child.key)

    def is_short(self) -> bool:
        """Whether a child is to be started, or something is refused."""
        return bool(self._starts or self.refused)

    def broken(self) -> dict[str, Load]:
        """The models that need more than the whole budget."""
        return self._broken

    def look(self, children: Sequence[Child], changed: Child | None) -> Sequence[Child]:  # noqa: ARG002
        """End children that are unused, or too much; find children for what waits, or make place for new ones."""
        now = time.monotonic()
        self._starts = []
        self._refuse()
        self._end_unused(children, now)
        self._end_excess(children)
        self._warm(children)
        self._place(children, now)
        self.spare = self._budget - self._used(children)
        return children

    # What does not fit

    def _need(self, key: Key) -> int:
        """What a child for these models is expected to hold."""
        return max(self._declared(key), self._measured.get(key, self._empty))

    def _declared(self, key: Key) -> int:
        return sum(self._residencies[name].memory or 0 for name in key if name in self._residencies)

    def _size(self, child: Child) -> int:
        if child.key is None:
            return max(child.weight, self._empty)
        return max(child.weight, self._declared(child.key) if _is_settled(child) else self._need(child.key))

    def _used(self, children: Iterable[Child]) -> int:
        return sum(map(self._size, children)) + sum(map(self._need, self._starts))

    def _wanted(self) -> set[Key]:
        """What tasks wait for."""
        return {one.key for one in self._waiting}

    def _check(self, key: Key) -> None:
        """Note if these models need more than the whole budget."""
        if (need := self._need(key)) > self._budget:
            why = f"it needs {_megabytes(need)}, more than the memory budget of {_megabytes(self._budget)}"
            log.error("model %s is not available: %s", " with ".join(key), why)
            if len(key) == 1:
                self._broken[key[0]] = Load("broken", time.time(), why=why)

    def _refuse(self) -> None:
        for one in [one for one in self._waiting if one.task.is_over() or self._need(one.key) > self._budget]:
            self._waiting.remove(one)
            what, need = " with ".join(one.key) or "a child", _megabytes(self._need(one.key))
            why = f"{what} needs {need}, more than the memory budget of {_megabytes(self._budget)}"
            self.refused.append((one.task, failure(NotLoaded(why))))

    # Children that end

    def _end_unused(self, children: Sequence[Child], now: float) -> None:
        wanted = self._wanted()
        for child in _idle(children):
            limits = [self._residencies[name].idle for name in child.key or () if name in self._residencies]
            longest = min((limit for limit in limits if limit is not None), default=math.inf)
            if child.key not in wanted and now - child.used >= longest:
                self._end(child, f"was not used for {longest:g} s")

    def _end_excess(self, children: Sequence[Child]) -> None:
        """Models grow: those first that alone hold more than the budget, then the least recently used ones."""
        staying = [child for child in children if not child.retiring]
        alone = [child for child in staying if self._size(child) > self._budget]
        left, wanted = self._used(child for child in staying if child not in alone), self._wanted()
        for child in _idle(children):
            is_new = child.key in wanted and not _is_settled(child)  # it ran nothing yet, and would be started again
            if not is_new and (child in alone or left > self._budget):
                left -= 0 if child in alone else self._size(child)
                self._end(child, "is unloaded, as children hold more than the memory budget")

    def _end(self, child: Child, why: str) -> None:
        names = [name for name, load in child.loads.all().items() if load.state == "ready"]
        if names:
            log.info("model %s %s: child %d ends", ", ".join(names), why, child.pid)
        for name in names:
            self._counts.add(name, LoadCount(evictions=1))
        child.retire()

    # Children for what waits

    def _warm(self, children: Sequence[Child]) -> None:
        for key in list(self._to_warm):
            theirs = [child for child in children if child.key == key]
            if any(child.ready for child in theirs):
                next(child for child in theirs if child.ready).send("warm", key)
                self._to_warm.remove(key)
            elif not theirs and not self._found_room(key, children):
                log.warning("model %s is not loaded before its first job: the memory budget is used up", key[0])
                self._to_warm.remove(key)

    def _place(self, children: Sequence[Child], now: float) -> None:
        rooms = Counter({child.key: 0 for child in children})
        for child in children:
            rooms[child.key] += max(0, child.room())
        for one in self._waiting:
            if rooms[one.key] > 0:
                rooms[one.key] -= 1
            elif self._lacks_child(one, children, now) and not self._found_room(one.key, children):
                self._make_place(one, children, now)
                return  # none of those behind it takes the place

    def _lacks_child(self, one: Waiting, children: Sequence[Child], now: float) -> bool:
        """Whether a task needs one more child for its model.

        A model that is being loaded is waited for. One that is loaded is loaded once more when a task has waited for
        as long as that takes.
        """
        theirs = [child for child in children if child.key == one.key and not child.retiring]
        if not theirs:
            return one.key not in self._starts
        if not all(map(_is_settled, theirs)):
            return False
        return now - max(one.since, *(child.met for child in theirs)) >= max(map(_took, theirs))

    def _found_room(self, key: Key, children: Sequence[Child]) -> bool:
        """Have a child for these models, unless others would have to go for it."""
        spare = next((child for child in children if child.key is None and not child.retiring), None)
        more = self._need(key) - (0 if spare is None else self._size(spare))
        if self._used(children) + more > self._budget or (spare is None and len(children) >= self._most):
            return False
        if spare is None:
            self._starts.append(key)
        else:
            spare.key, spare.used = key, time.monotonic()
        return True

    def _make_place(self, one: Waiting, children: Sequence[Child], now: float) -> None:
        """End children that were used least recently, but give each a turn."""
        staying, idle = [child for child in children if not child.retiring], list(_idle(children))
        if not idle and len(staying) == len(children) and all(_only_waits(child) for child in children):
            self._starts.append(one.key)  # what they wait for may be this task
        wanted, before = self._wanted(), {other.key for other in self._waiting[: self._waiting.index(one)]}
        waited = now - one.since
        left, chosen = self._used(staying) + self._need(one.key), list[Child]()
        for child in idle:
            is_free = child.key not in wanted and (now - child.used >= TURN or len(self._waiting) >= self.slots)
            fits = left <= self._budget and len(staying) - len(chosen) < self._most
            had_turn = now - max(one.since, child.met) >= max(TURN, _took(child))  # since it was loaded: not before
            if not fits and child.key not in before and (is_free or had_turn):
                chosen.append(child)
                left -= self._size(child)
        if left <= self._budget or waited >= TURN:
            for child in chosen:
                self._end(child, f"makes place for {', '.join(one.key) or 'listeners'}")


def _idle(children: Iterable[Child]) -> Iterator[Child]:
    """Those that can end now, the least recently used ones first."""
    free = (child for child in children if child.ready and not (child.runs or child.retiring or _is_loading(child)))
    yield from sorted(free, key=lambda child: child.used)


def _is_loading(child: Child) -> bool:
    return any(load.state == "loading" for load in child.loads.all().values())


def _is_loaded(child: Child) -> bool:
    known = child.loads.all()
    return all(name in known and known[name].state == "ready" for name in child.key or ())


def _is_settled(child: Child) -> bool:
    """Whether it has loaded its models, or tried to."""
    known = child.loads.all()
    return child.ready and all(name in known and known[name].state != "loading" for name in child.key or ())


def _only_waits(child: Child) -> bool:
    return bool(child.runs) and child.runs.keys() == child.away


def _took(child: Child) -> float:
    """Seconds that its models took to load."""
    return max((load.took for load in child.loads.all().values()), default=0.0)


def _megabytes(size: float) -> str:
    return f"{size / 2**20:,.0f} MiB"
