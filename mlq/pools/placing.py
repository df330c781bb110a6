"""Decides which child of a process pool runs which task, and which program the next child gets."""

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple, Protocol

from mlq.core.job import Outcome
from mlq.pools.child_process import Child, Program
from mlq.pools.contract import Supervisor, Task, Together
from mlq.running.loads import Load

Key = tuple[str, ...]  # the models that a child is for; empty for listeners that are no models


class Start(NamedTuple):
    """A child to start."""

    program: Program
    key: Key | None  # what it is for, if that is known


class Placing(Protocol):
    """Used with the pool's lock held. It keeps the tasks that wait for a child."""

    slots: int  # tasks at a time, if children don't have slots of their own
    refused: deque[tuple[Task, Outcome]]  # what no child is to run, with the outcomes of its runs if they still count

    def places(self, child: Child) -> int:
        """The slots that a child has by itself."""

    def add(self, tasks: Iterable[Task]) -> None:
        """Tasks wait from now on."""

    def look(self, children: Sequence[Child], changed: Child | None) -> Sequence[Child]:
        """Something changed, perhaps of this child alone; returns the children that may have room for what waits."""

    def take(self, child: Child) -> Task | None:
        """The next task for a child; None if it has no room, or nothing waits for it."""

    def missing(self, children: Sequence[Child]) -> Start | None:
        """The next child to start."""

    def is_complete(self, children: Sequence[Child]) -> bool:
        """Whether all children that there should be are ready."""

    def heard(self, child: Child) -> None:
        """A child is ready, or said what became of a model in it."""

    def is_short(self) -> bool:
        """Whether a child is to be started, or something is refused."""

    def broken(self) -> dict[str, Load]:
        """The models that no child can host."""


class AnyChild:
    """There is a child for each program, and each child runs every task."""

    slots = 0

    def __init__(self, programs: Sequence[Program]) -> None:
        """`programs`: of the children."""
        self.programs = programs
        self.refused: deque[tuple[Task, Outcome]] = deque()
        self._waiting: deque[Task] = deque()

    def places(self, child: Child) -> int:
        """As many as it has."""
        return child.places()

    def add(self, tasks: Iterable[Task]) -> None:
        """They run in the order of their coming."""
        self._waiting.extend(tasks)

    def look(self, children: Sequence[Child], changed: Child | None) -> Sequence[Child]:
        """A change of one child concerns no other."""
        return children if changed is None else (changed,)

    def take(self, child: Child) -> Task | None:
        """The first one."""
        return self._waiting.popleft() if self._waiting and child.room() > 0 else None

    def missing(self, children: Sequence[Child]) -> Start | None:
        """A child for a program that no child runs."""
        if len(children) >= len(self.programs):
            return None
        return Start(_unused(self.programs, children)[0], None)

    def is_complete(self, children: Sequence[Child]) -> bool:
        """Whether there is a ready child for each program."""
        return sum(child.ready for child in children) == len(self.programs)

    def heard(self, child: Child) -> None:
        """It changes nothing."""

    def is_short(self) -> bool:
        """A child that is missing has died, which the pool knows."""
        return False

    def broken(self) -> dict[str, Load]:
        """Children tell by themselves."""
        return {}


def key_of(task: Task) -> Key:
    """The models that a task needs."""
    run: Any = task.members[0] if isinstance(task, Together) else task
    return tuple(sorted(one.name for one in run.listeners if one.about))


def end_refused(refused: deque[tuple[Task, Outcome]], supervisor: Supervisor[Any]) -> Iterator[Task]:
    """End tasks that no child can run, with these outcomes; yields what may run instead."""
    while refused:
        task, outcome = refused.popleft()
        if supervisor.begin(task):
            runs = list(task.members) if isinstance(task, Together) else [task]
            yield from filter(None, [supervisor.ended(run, outcome) for run in runs])


def _unused(programs: Iterable[Program], children: Iterable[Child]) -> list[Program]:
    """The programs that no child runs. Equal programs count as often as they are listed."""
    left = list(programs)
    for child in children:
        left.remove(child.program)
    return left
