"""Ops on schedules: declare, list, pause and remove them, ask which are due, and post their jobs."""

from typing import Any, NamedTuple

from mlq.core.checks import functions_of, queue_of
from mlq.core.identity import JobId
from mlq.core.job import number, or_none
from mlq.core.keys import Keys
from mlq.core.schedule import MOST, Firing, Schedule, ScheduleState
from mlq.errors import InputError, ScheduleConflict, UnknownSchedule
from mlq.ops import Op, call
from mlq.ops.posting import Posted, post
from mlq.ops.scripts import script

DUE = 20  # schedules of one call: each may have a message of 64 KiB


class Known(NamedTuple):
    """A schedule as it is kept."""

    name: str
    due: str  # when, as the server tells it; empty while it is paused
    declared: bytes
    lane: bytes
    body: bytes
    anchor: float | None  # a tick of its interval
    last: float | None  # the last tick that a job was posted for
    changed: str  # when it was declared otherwise than before

    def schedule(self) -> Schedule:
        """What was declared. Raises Undecodable."""
        return Schedule.read(self.name, self.declared, self.lane, self.body)


def clock(keys: Keys) -> Op[float]:
    """The server's time."""
    return Op(("TIME",), lambda reply: int(reply[0]) + int(reply[1]) / 1e6, about=f"the time of {keys.namespace!r}")


def _own(keys: Keys, name: str) -> tuple[str, ...]:
    return keys.schedules, keys.schedule + name, keys.schedule_due


def declare(keys: Keys, schedule: Schedule, due: float, owner: str) -> Op[str]:
    """Declare a schedule, due first at `due`: "new", "changed" or "same". Raises ScheduleConflict, InputError."""
    name = schedule.name

    def parse(reply: list[bytes]) -> str:
        if reply[0] == b"code":
            raise ScheduleConflict(
                f"schedule {name!r} is declared in code, and differs from this: change it there, or choose another name"
            )
        if reply[0] == b"full":
            raise InputError(f"there are {MOST:,} schedules in this namespace, the most that there may be")
        return reply[0].decode()

    args = (
        name,
        schedule.declared,
        schedule.options.lane,
        schedule.body,
        schedule.timing.text,
        _time(due),
        owner,
        MOST,
    )
    return call(script("declare_schedule"), (*_own(keys, name), keys.workers, keys.inbox), args, parse, _about(name))


def due(keys: Keys) -> Op[tuple[float, list[Known]]]:
    """The server's time, and the schedules that are due, earliest first; up to 20 of them."""

    def parse(reply: list[bytes]) -> tuple[float, list[Known]]:
        rows = (reply[i : i + 8] for i in range(1, len(reply), 8))
        return number(reply[0]) or 0.0, [_known(*row) for row in rows]

    return call(script("due_schedules"), (keys.schedule_due, keys.schedules, keys.schedule), (DUE,), parse)


def _known(
    name: bytes, due: bytes, declared: bytes, lane: bytes, body: bytes, anchor: bytes, last: bytes, changed: bytes
) -> Known:
    texts = [value.decode("utf-8", "replace") for value in (name, due, changed)]
    return Known(texts[0], texts[1], declared, lane, body, or_none(_number, anchor), or_none(_number, last), texts[2])


class Fired(NamedTuple):
    """What became of a try to post the jobs of a schedule."""

    word: str  # "posted", "overlaps", "none", "other", "refused"; see fire.lua
    tick_in: float | None  # seconds until a schedule is due
    posted: Posted | None = None
    why: str = ""  # the post was refused


def fire(
    keys: Keys, known: Known, schedule: Schedule | None, firing: Firing, caller: tuple[str, int], epoch: str,
    *, by_person: bool = False,
) -> Op[Fired | None]:  # fmt: skip
    """Post the jobs of a schedule. The result is None if the epoch is out of date, as for `posting.post`.

    `schedule`: None if it can't be read: it has no jobs then, and is due anew once it is declared again. `caller`: name
    and number of the call; the same one sent again posts no second job. `by_person`: it is due when it was before.
    """
    bodies = [schedule.job(tick) for tick in firing.ticks] if schedule else []
    lane, when = (schedule.options.lane, schedule.options.when) if schedule else ("", "")
    posts = post(keys, *caller, lane, bodies, epoch=epoch, when=when, of=0).command  # also if the queue is full

    def parse(reply: list[Any]) -> Fired | None:
        word, left, job = reply[0].decode(), reply[1], reply[2]
        tick_in = None if left < 0 else left / 1e6
        if word == "refused" and job == b"stale":
            return None
        if word != "posted":
            return Fired(word, tick_in, why=job.decode("utf-8", "replace"))
        first, stamp = job.decode().split()
        return Fired(word, tick_in, Posted(int(first), len(bodies), stamp))

    own = (
        known.name, "{} {}".format(*caller), "" if by_person else known.due, known.changed, _time(firing.next),
        firing.missed, _time(firing.ticks[-1]) if bodies else "", len(bodies),
        schedule.overlap if schedule else "damaged",
    )  # fmt: skip
    names, args = posts[3 : 3 + int(posts[2])], posts[3 + int(posts[2]) :]
    all_names = (*_own(keys, known.name), keys.job, keys.post, *map(str, names))
    return call(script("fire"), all_names, (*own, *args), parse, _about(known.name))


def pause(keys: Keys, name: str) -> Op[None]:
    """Pause a schedule. Raises UnknownSchedule."""
    return _pause(keys, name, "", "", lambda _: None)


def resume(keys: Keys, known: Known, due: float) -> Op[bool]:
    """Let a schedule go on, due at `due`; False if it was declared again meanwhile. Raises UnknownSchedule."""
    return _pause(keys, known.name, _time(due), known.changed, lambda word: word == b"ok")


def _pause(keys: Keys, name: str, due: str, changed: str, done: Any) -> Op[Any]:
    def parse(reply: list[bytes]) -> Any:
        _check_there(name, reply[0])
        return done(reply[0])

    names = (*_own(keys, name), keys.workers, keys.inbox)
    return call(script("pause_schedule"), names, (name, due, changed), parse, _about(name))


def remove(keys: Keys, name: str) -> Op[None]:
    """Remove a schedule. Raises UnknownSchedule."""
    return call(script("remove_schedule"), _own(keys, name), (name,), lambda reply: _check_there(name, reply[0]),
                _about(name))  # fmt: skip


def _check_there(name: str, word: bytes) -> None:
    if word == b"gone":
        raise unknown_schedule(name)


def unknown_schedule(name: str) -> UnknownSchedule:
    """The error of a name that no schedule has."""
    return UnknownSchedule(f"there is no schedule {name!r:.80}: mlq schedule list shows those that there are")


_COLUMNS = 16  # of shared/schedule_row.lua


def page(keys: Keys, cursor: str = "0") -> Op[tuple[str, list[ScheduleState]]]:
    """Some schedules, and the cursor of the next page ("0" at the end). Those that are damaged are left out."""

    def parse(reply: list[bytes]) -> tuple[str, list[ScheduleState]]:
        rows = [reply[i : i + _COLUMNS] for i in range(2, len(reply), _COLUMNS)]
        return reply[0].decode(), [state for row in rows if (state := _state_or_none(row)) is not None]

    return call(script("schedules"), _told(keys), (cursor, ""), parse, "the schedules")


def one(keys: Keys, name: str) -> Op[tuple[float, Known, ScheduleState]]:
    """The server's time, a schedule, and what became of it. Raises UnknownSchedule."""

    def parse(reply: list[bytes]) -> tuple[float, Known, ScheduleState]:
        if len(reply) == 2:
            raise unknown_schedule(name)
        row = reply[2:]
        known = _known(row[0], row[2], row[1], row[5], row[6], row[7], row[12], row[8])
        return number(reply[1]) or 0.0, known, _state(row, known.schedule())

    return call(script("schedules"), _told(keys), ("", name), parse, _about(name))


def _told(keys: Keys) -> tuple[str, ...]:
    return keys.schedules, keys.schedule_due, keys.schedule, keys.job, keys.post


def _state_or_none(row: list[bytes]) -> ScheduleState | None:
    try:
        return _state(row, None)
    except ValueError:
        return None


def _state(row: list[bytes], schedule: Schedule | None) -> ScheduleState:
    """A row as people see it; with message and options if the whole `schedule` is there. Raises ValueError."""
    name, declared, due, outcome, job, lane, _, _, _, owner, at, paused, last, posted, missed, skipped = row
    timing, on_missed, on_overlap = Schedule.read_rules(declared)
    where = lane.decode()
    if not where:
        raise ValueError("it has no lane")
    job_id, _, stamp = job.decode().partition(" ")
    return ScheduleState(
        name.decode(), timing.cron or None, timing.every or None, timing.tz if timing.cron else None, timing.words(),
        on_missed, on_overlap, queue_of(where), sorted(functions_of(where)) or None, owner.decode(), _number(at),
        _number(paused), _number(due) or None, _number(last), JobId(job_id, stamp) if job else None,
        outcome.decode() or None, int(posted or b"0"), int(missed or b"0"), int(skipped or b"0"),
        schedule and schedule.shown_message, schedule and schedule.shown_options,
    )  # fmt: skip


def _number(stored: bytes) -> float | None:
    return number(stored) if stored else None


def _time(at: float) -> str:
    return f"{at:.6f}"


def _about(name: str) -> str:
    return f"schedule {name!r:.80}"
