"""Schedules that are declared in code: the decorator, and what a worker has of them."""

import threading
from collections.abc import Callable, Iterable
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Literal, TypeVar, Unpack

from mlq.core.destination import declared_with
from mlq.core.job_options import PostOptions
from mlq.core.schedule import Schedule, schedule_of
from mlq.errors import InputError

if TYPE_CHECKING:
    from mlq.running.listeners import Listeners

F = TypeVar("F", bound=Callable[..., Any])


class Scheduled:
    """The schedules of a worker's code, by name. Safe to use from any thread."""

    def __init__(self) -> None:
        """None yet."""
        self._all: dict[str, tuple[Schedule, object]] = {}  # with the function that each was declared on
        self._lock = threading.Lock()

    def add(self, schedule: Schedule, function: object = None) -> None:
        """Declare a schedule on `function`. Raises InputError if that has another one of this name."""
        with self._lock:
            known = self._all.get(schedule.name)
            # another function of the same name replaces it, as when the cell of a notebook is run again
            if known is not None and known[1] is function and known[0] != schedule:
                raise InputError(f"two schedules are named {schedule.name!r}: give one of them another name=")
            self._all = {**self._all, schedule.name: (schedule, function)}

    def of(self, listeners: Iterable[str]) -> dict[str, Schedule]:
        """Those of these listeners."""
        names = set(listeners)
        return {
            name: schedule
            for name, (schedule, _) in self._all.items()
            if names.issuperset(schedule.options.functions or ())
        }

    def rows(self, listeners: Iterable[str]) -> list[list[Any]]:
        """As a child describes them to its worker: name, declaration, lane, body."""
        return [[name, one.declared, one.options.lane, one.body] for name, one in self.of(listeners).items()]

    def add_rows(self, rows: Iterable[list[Any]]) -> None:
        """Add what a child has described."""
        for name, declared, lane, body in rows:
            self.add(Schedule.read(name, declared, lane.encode(), body))


class Scheduling:
    """The part of `MLQ` that declares schedules."""

    listeners: "Listeners"

    def schedule(
        self,
        cron: str | None = None,
        *,
        every: timedelta | float | None = None,
        tz: str | None = None,
        name: str | None = None,
        msg: Any = None,
        callback: str | None = None,
        missed: Literal["once", "skip", "all"] = "once",
        overlap: Literal["skip", "queue"] = "skip",
        **options: Unpack[PostOptions],
    ) -> Callable[[F], F]:
        """Post a job for a listener again and again, as a decorator above `listener`.

        Workers that run the listener declare the schedule when they start; all workers of the namespace see to it.
        `cron`: a line of five fields, as "0 3 * * *", in the time zone `tz` ("Europe/Berlin"; UTC if left out). Or
        `every`: an interval, of at least a second, that begins when it is declared first. `name`: the listener's own if
        left out. `msg`: the message of each job. `missed`: what becomes of ticks for which no worker was there: one job
        for all of them ("once"), none ("skip"), or one for each, up to 100 ("all"). `overlap`: whether no job is posted
        while the last one has not ended ("skip"), or all are ("queue"). `options`: those of the jobs. Raises
        InputError.
        """
        if options.get("functions") is not None:
            raise InputError("leave functions= out: the schedule is for the listener that it stands above")

        def declare(function: F) -> F:
            to = declared_with(function)
            if to is None or to.functions[0] not in self.listeners.names():
                raise InputError(
                    f"{getattr(function, '__name__', function)!s:.80} is no listener of this queue: write "
                    "@mlq.schedule(...) above @mlq.listener"
                )
            to.check(msg, callback, {})
            named, given = name or to.functions[0], {"queue": to.queue, **options}
            made = schedule_of(named, cron, every, tz, missed, overlap, msg, callback, to.functions, given)
            self.listeners.schedule(made, function)
            return function

        return declare
