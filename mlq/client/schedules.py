"""Schedules that are made and looked after at run time."""

from collections.abc import Iterable
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Literal, Unpack

from mlq.client.handle import AsyncJobHandle, JobHandle
from mlq.core.job_options import PostOptions
from mlq.core.schedule import BY_PERSON, Firing, ScheduleState, check_schedule_name, schedule_of
from mlq.errors import MLQError, ScheduleConflict
from mlq.ops import schedules as schedule_ops
from mlq.ops.schedules import Fired, Known
from mlq.shell.known_ids import in_epoch, in_epoch_aio

if TYPE_CHECKING:
    from mlq.client.aio import AsyncMLQ
    from mlq.client.blocking import Client
    from mlq.ops import Op

TRIES = 10  # to act on a schedule that is declared anew all the time


class Schedules:
    """The schedules of a namespace. Workers post their jobs; any number of workers posts each once."""

    def __init__(self, client: "Client") -> None:
        """Does not contact the server."""
        self._client = client
        self._keys, self._shell = client._keys, client._shell  # noqa: SLF001 - a part of the client

    def add(
        self,
        name: str,
        cron: str | None = None,
        *,
        every: timedelta | float | None = None,
        tz: str | None = None,
        msg: Any = None,
        callback: str | None = None,
        functions: Iterable[str] | None = None,
        missed: Literal["once", "skip", "all"] = "once",
        overlap: Literal["skip", "queue"] = "skip",
        **options: Unpack[PostOptions],
    ) -> ScheduleState:
        """Add a schedule, or change the one of this name; the same one again changes nothing.

        `cron`: a line of five fields, as "0 8 * * 1-5", in the time zone `tz` ("Europe/Berlin"; UTC if left out). Or
        `every`: an interval, of at least a second, from now on. `missed`, `overlap`: as for `MLQ.schedule`. `functions`
        and `options`: those of its jobs, as for `post`; without functions, the listeners of the queue run it. Raises
        InputError, ScheduleConflict if it is declared in code and differs from this.
        """
        made = schedule_of(name, cron, every, tz, missed, overlap, msg, callback, functions, options)
        now = self._shell.run(schedule_ops.clock(self._keys))
        self._shell.run(schedule_ops.declare(self._keys, made, made.timing.after(now, now), BY_PERSON))
        return self.get(name)

    def all(self) -> list[ScheduleState]:
        """All schedules, by name; without messages and options of their jobs, and without those that are damaged."""
        cursor, found = self._shell.run(schedule_ops.page(self._keys))
        while cursor != "0":
            cursor, more = self._shell.run(schedule_ops.page(self._keys, cursor))
            found += more
        return in_order(found)

    def get(self, name: str) -> ScheduleState:
        """One schedule. Raises UnknownSchedule."""
        return self._read(name)[2]

    def run(self, name: str) -> JobHandle:
        """Post its job now; it is due when it was before. Raises UnknownSchedule, ScheduleConflict if one runs."""
        for _ in range(TRIES):
            now, known, _state = self._read(name)
            fired = self._fire(known, Firing([now], now, 0))
            if fired.posted is not None:
                return JobHandle(self._client, fired.posted.id)
            check_fired(name, fired)
        raise unstable(name)

    def _fire(self, known: Known, firing: Firing) -> Fired:
        schedule = known.schedule()
        with self._shell.callers.borrow() as caller:
            call = caller.name, caller.number

            def make(epoch: str) -> "Op[Fired | None]":
                return schedule_ops.fire(self._keys, known, schedule, firing, call, epoch, by_person=True)

            return in_epoch(self._shell, self._keys, make)

    def pause(self, name: str) -> None:
        """Have it post no jobs until `resume`, also if its code is deployed again. Raises UnknownSchedule."""
        self._shell.run(schedule_ops.pause(self._keys, check_schedule_name(name)))

    def resume(self, name: str) -> None:
        """Let a schedule that was paused go on; ticks of the pause are left out. Raises UnknownSchedule."""
        for _ in range(TRIES):
            now, known, _state = self._read(name)
            if self._shell.run(schedule_ops.resume(self._keys, known, after_pause(known, now))):
                return
        raise unstable(name)

    def remove(self, name: str) -> None:
        """Remove a schedule. Its jobs stay. Raises UnknownSchedule."""
        self._shell.run(schedule_ops.remove(self._keys, check_schedule_name(name)))

    def _read(self, name: str) -> tuple[float, Known, ScheduleState]:
        return self._shell.run(schedule_ops.one(self._keys, check_schedule_name(name)))


class AsyncSchedules:
    """The schedules of a namespace, for asyncio."""

    def __init__(self, client: "AsyncMLQ") -> None:
        """Does not contact the server."""
        self._client = client
        self._keys, self._shell = client._keys, client._shell  # noqa: SLF001 - a part of the client

    async def add(
        self,
        name: str,
        cron: str | None = None,
        *,
        every: timedelta | float | None = None,
        tz: str | None = None,
        msg: Any = None,
        callback: str | None = None,
        functions: Iterable[str] | None = None,
        missed: Literal["once", "skip", "all"] = "once",
        overlap: Literal["skip", "queue"] = "skip",
        **options: Unpack[PostOptions],
    ) -> ScheduleState:
        """Add a schedule, or change the one of this name; as the sync twin."""
        made = schedule_of(name, cron, every, tz, missed, overlap, msg, callback, functions, options)
        now = await self._shell.run(schedule_ops.clock(self._keys))
        await self._shell.run(schedule_ops.declare(self._keys, made, made.timing.after(now, now), BY_PERSON))
        return await self.get(name)

    async def all(self) -> list[ScheduleState]:
        """All schedules, by name; without messages and options of their jobs, and without those that are damaged."""
        cursor, found = await self._shell.run(schedule_ops.page(self._keys))
        while cursor != "0":
            cursor, more = await self._shell.run(schedule_ops.page(self._keys, cursor))
            found += more
        return in_order(found)

    async def get(self, name: str) -> ScheduleState:
        """One schedule. Raises UnknownSchedule."""
        return (await self._read(name))[2]

    async def run(self, name: str) -> AsyncJobHandle:
        """Post its job now; it is due when it was before. Raises UnknownSchedule, ScheduleConflict if one runs."""
        for _ in range(TRIES):
            now, known, _state = await self._read(name)
            fired = await self._fire(known, Firing([now], now, 0))
            if fired.posted is not None:
                return AsyncJobHandle(self._client, fired.posted.id)
            check_fired(name, fired)
        raise unstable(name)

    async def _fire(self, known: Known, firing: Firing) -> Fired:
        schedule = known.schedule()
        with self._shell.callers.borrow() as caller:
            call = caller.name, caller.number

            def make(epoch: str) -> "Op[Fired | None]":
                return schedule_ops.fire(self._keys, known, schedule, firing, call, epoch, by_person=True)

            return await in_epoch_aio(self._shell, self._keys, make)

    async def pause(self, name: str) -> None:
        """Have it post no jobs until `resume`, also if its code is deployed again. Raises UnknownSchedule."""
        await self._shell.run(schedule_ops.pause(self._keys, check_schedule_name(name)))

    async def resume(self, name: str) -> None:
        """Let a schedule that was paused go on; ticks of the pause are left out. Raises UnknownSchedule."""
        for _ in range(TRIES):
            now, known, _state = await self._read(name)
            if await self._shell.run(schedule_ops.resume(self._keys, known, after_pause(known, now))):
                return
        raise unstable(name)

    async def remove(self, name: str) -> None:
        """Remove a schedule. Its jobs stay. Raises UnknownSchedule."""
        await self._shell.run(schedule_ops.remove(self._keys, check_schedule_name(name)))

    async def _read(self, name: str) -> tuple[float, Known, ScheduleState]:
        return await self._shell.run(schedule_ops.one(self._keys, check_schedule_name(name)))


def in_order(states: list[ScheduleState]) -> list[ScheduleState]:
    """By name, each once: a scan may tell of one twice."""
    by_name = {state.name: state for state in states}
    return [by_name[name] for name in sorted(by_name)]


def after_pause(known: Known, now: float) -> float:
    """When a schedule that goes on is due."""
    return known.schedule().timing.after(now, known.anchor or now)


def check_fired(name: str, fired: Fired) -> None:
    """Raises ScheduleConflict if its job can't be posted now; passes if it was changed and must be read again."""
    if fired.word == "overlaps":
        job = fired.why.partition(" ")[0]
        raise ScheduleConflict(
            f"the last job of schedule {name!r}, {job}, has not ended: wait for it, cancel it, or declare "
            "overlap='queue'"
        )
    if fired.word == "refused":
        raise ScheduleConflict(f"the job of schedule {name!r} can't be posted now ({fired.why:.80})")


def unstable(name: str) -> MLQError:
    """The error about a schedule that changes all the time."""
    return ScheduleConflict(f"schedule {name!r} is declared again and again, by code of two versions or by a person")
