"""Schedules: declared, fired once, paused, removed, listed; garbage in their keys, and a clock that is set back."""

import time

import pytest
import redis

from mlq import server
from mlq.core import codec
from mlq.core.job import Record
from mlq.core.keys import Keys
from mlq.core.schedule import BY_CODE, BY_PERSON, MOST, Firing, Schedule, schedule_of
from mlq.core.tick import Tick
from mlq.errors import InputError, OutOfMemory, ScheduleConflict, UnknownSchedule
from mlq.ops import jobs as job_ops
from mlq.ops import schedules as schedule_ops
from mlq.ops.schedules import Known
from tests.scripts.conftest import About

DUE = 1_700_000_000.0  # long ago
NEXT = 4_000_000_000.0


def schedule(name="s", every=60.0, overlap="queue", missed="once", msg="m", functions=("f",), **options) -> Schedule:
    return schedule_of(name, None, every, None, missed, overlap, msg, None, list(functions), options)


def declare(world, made=None, due=DUE, owner=BY_CODE):
    return world.run(schedule_ops.declare(world.keys, made or schedule(), due, owner))


def known(world, name="s") -> Known:
    return world.run(schedule_ops.one(world.keys, name))[1]


def fire(world, found: Known, ticks=(DUE,), following=NEXT, missed=0, by_person=False, number=None):
    """The op that posts the jobs of a schedule."""
    firing = Firing(list(ticks), following, missed)
    call = "worker", world.number() if number is None else number
    return schedule_ops.fire(world.keys, found, found.schedule(), firing, call, "", by_person=by_person)


def state(world, name="s"):
    return world.run(schedule_ops.one(world.keys, name))[2]


# Declaring


def test_a_new_schedule(world):
    """It is due when the caller says; nothing is posted."""
    word, changes = world.changes(schedule_ops.declare(world.keys, schedule(), NEXT, BY_CODE))
    course = changes.pop("schedule:s")
    assert (word, changes.pop("schedules").keys()) == ("new", {"s"})
    assert changes == {"schedule-due": {"s": NEXT}}
    assert course["declared"] == course["changed"] == About()
    assert (course["lane"], course["owner"], float(course["anchor"])) == ("default:f", "code", NEXT)


@pytest.mark.parametrize("owner", [BY_CODE, BY_PERSON])
def test_the_same_again(world, owner):
    """Only when that was is noted: a deploy, by whichever of 200 workers, changes nothing."""
    declare(world, due=DUE)
    before = world.look()
    word, changes = world.changes(schedule_ops.declare(world.keys, schedule(), NEXT, owner))
    assert (word, changes.keys()) == ("same", {"schedule:s"})
    old, new = before["schedule:s"], changes["schedule:s"]
    assert {name for name in new if new[name] != old.get(name)} == {"declared"}


def test_another_message_or_option_leaves_it_due_when_it_was(world):
    declare(world, due=DUE)
    for changed in (schedule(msg="n"), schedule(priority=5), schedule(functions=["g"]), schedule(overlap="skip")):
        assert declare(world, changed, NEXT) == "changed"
        assert world.raw.zscore(world.keys.schedule_due, "s") == DUE
        assert known(world).schedule() == changed


def test_other_times(world):
    """It is due by the new ones, and its counts stay."""
    declare(world)
    world.run(fire(world, known(world)))
    assert declare(world, schedule(every=61.0), NEXT + 5) == "changed"
    assert world.raw.zscore(world.keys.schedule_due, "s") == NEXT + 5
    assert (state(world).posted, state(world).every) == (1, 61.0)


def test_a_person_does_not_change_one_of_the_code(world):
    """But the code changes one of a person."""
    declare(world, owner=BY_CODE)
    with world.unchanged(), pytest.raises(ScheduleConflict, match="declared in code"):
        declare(world, schedule(msg="n"), owner=BY_PERSON)
    declare(world, schedule("t"), owner=BY_PERSON)
    assert declare(world, schedule("t", msg="n"), owner=BY_CODE) == "changed"
    assert state(world, "t").owner == BY_CODE


def test_as_many_as_there_may_be(world):
    world.raw.hset(world.keys.schedules, mapping={f"n{i}": "" for i in range(MOST)})
    with world.unchanged(), pytest.raises(InputError, match="the most that there may be"):
        declare(world)


def test_soon_due(world):
    """Workers are told, since their next look may be later."""
    for name in ("w1", "w2"):
        world.raw.zadd(world.keys.workers, {name: time.time() + 60})
    world.raw.expire(world.keys.workers, 60)
    declare(world, due=time.time() + 1)
    assert [item.split()[0] for item in world.raw.lrange(world.keys.inbox + "w1", 0, -1)] == [b"due"]
    declare(world, schedule("t"), due=time.time() + 60)
    assert world.raw.llen(world.keys.inbox + "w2") == 1


# Firing


def test_a_tick(world):
    """One job, as if it was posted, that knows its tick; and it is due at the next one."""
    declare(world, schedule(priority=7, queue="q"))
    [found] = world.run(schedule_ops.due(world.keys))[1]
    fired, changes = world.changes(fire(world, found, missed=2))
    assert (fired.word, fired.posted.id, fired.tick_in) == ("posted", "1", pytest.approx(NEXT - time.time(), abs=20))
    lane, posted, _ = changes.pop("post:1")
    record = Record.parse(world.raw.get(world.keys.post + "1"))
    assert (lane, record.options.tick, record.options.priority) == ("q:f", Tick("s", DUE), 7)
    assert codec.unpack(record.message) == "m"
    course = changes.pop("schedule:s")
    assert {name: course[name] for name in ("job", "posted", "missed", "skipped")} == {
        "job": f"1 {posted}", "posted": "1", "missed": "2", "skipped": "0"}  # fmt: skip
    assert float(course["last"]) == DUE
    assert changes.pop("schedule-due") == {"s": NEXT}
    assert changes.keys() == {"counter", "lane:q:f", "lanes", "replay:worker"}


def test_who_comes_second(world):
    """Changes nothing, whether it saw the same tick, or is the same call sent again."""
    declare(world)
    found = known(world)
    first = world.run(fire(world, found, number=1))
    with world.unchanged():
        again = world.run(fire(world, found, number=1))
        other = world.run(fire(world, found, number=2))
    assert again.posted == first.posted
    assert (other.word, other.posted) == ("other", None)


def test_a_call_that_arrives_late(world):
    """After its caller gave up, and others fired later ticks."""
    declare(world)
    found = known(world)
    world.run(fire(world, found, following=DUE + 60, number=1))
    world.run(fire(world, known(world), following=NEXT, number=2))
    with world.unchanged():
        assert world.run(fire(world, found, number=1)).word == "other"


@pytest.mark.parametrize("change", ["declare", "pause", "remove", "remove and declare"])
def test_what_was_changed_since(world, change):
    """The job of an earlier declaration is not posted."""
    declare(world)
    found = known(world)
    if change == "pause":
        world.run(schedule_ops.pause(world.keys, "s"))
    if "remove" in change:
        world.run(schedule_ops.remove(world.keys, "s"))
    if "declare" in change:
        declare(world, schedule(msg="n"), due=DUE)
    with world.unchanged():
        assert world.run(fire(world, found)).word == "other"


def test_several_ticks(world):
    """A job for each, in order; the last one is that of the schedule."""
    declare(world, schedule(missed="all"))
    world.run(fire(world, known(world), ticks=[DUE, DUE + 60, DUE + 120]))
    ticks = [Record.parse(world.raw.get(world.keys.post + str(i))).options.tick.at - DUE for i in (1, 2, 3)]
    assert (ticks, state(world).job, state(world).posted, state(world).last) == ([0, 60, 120], "3", 3, DUE + 120)


def test_nothing_to_post(world):
    """The ticks were missed; it is due at the next one."""
    declare(world)
    fired, changes = world.changes(fire(world, known(world), ticks=[], missed=4))
    assert (fired.word, changes.keys()) == ("none", {"schedule:s", "schedule-due"})
    assert (state(world).missed_ticks, state(world).posted, state(world).last) == (4, 0, None)


ENDS = {"queued": False, "running": False, "scheduled": False, "blocked": False,
        "succeeded": True, "failed": True, "cancelled": True, "gone": True}  # fmt: skip


@pytest.mark.parametrize(("last", "has_ended"), ENDS.items())
@pytest.mark.parametrize("by_person", [False, True])
def test_overlap(world, last, has_ended, by_person):
    """By the state of the last job: there is no lock that could be left behind."""
    declare(world, schedule(overlap="skip"))
    world.run(fire(world, known(world), following=DUE + 60))
    if last == "gone":
        world.run(job_ops.delete(world.keys, "1"))
    elif last != "queued":
        world.raw.hset(world.keys.job + "1", "state", last)
    fired, changes = world.changes(fire(world, known(world), ticks=[DUE + 60], by_person=by_person))
    assert fired.word == ("posted" if has_ended else "overlaps")
    if not has_ended:
        assert changes.keys() == (set() if by_person else {"schedule:s", "schedule-due"})
        assert state(world).skipped_ticks == (not by_person)
    assert world.raw.zscore(world.keys.schedule_due, "s") == (DUE + 60 if by_person else NEXT)


def test_a_job_that_took_the_id_of_the_last_one(world):
    """After a loss of data: it is not that job."""
    declare(world, schedule(overlap="skip"))
    world.run(fire(world, known(world), following=DUE + 60))
    world.raw.set(world.keys.post + "1", "default\n5.000000\n0\n\xc0")
    assert state(world).outcome is None
    assert world.run(fire(world, known(world))).word == "posted"


def test_a_run_by_a_person(world):
    """It posts the job, also of a paused one, and is due when it was before."""
    declare(world, due=NEXT)
    fired = world.run(fire(world, known(world), by_person=True, number=1))
    with world.unchanged():
        assert world.run(fire(world, known(world), by_person=True, number=1)).posted == fired.posted
    assert (state(world).next, state(world).job, state(world).last) == (NEXT, "1", None)
    world.run(schedule_ops.pause(world.keys, "s"))
    assert world.run(fire(world, known(world), by_person=True)).word == "posted"
    assert state(world).next is None


def test_a_post_that_is_refused(world):
    """The schedule stays due, and the caller learns why."""
    declare(world)
    found = known(world)
    firing = Firing([DUE], NEXT, 0)
    stale = schedule_ops.fire(world.keys, found, found.schedule(), firing, ("worker", 1), "another epoch")
    with world.unchanged():
        assert world.run(stale) is None


def test_a_full_server(on_server, world_type):
    """Nothing is skipped: the tick is fired when there is room."""
    with (
        server.scratch(appendfsync=None, port=0) as small,
        on_server("sync", small.url) as run,
        redis.Redis.from_url(small.url) as raw,
    ):
        world = world_type(Keys("full"), raw, run)
        declare(world)
        found = known(world)
        raw.config_set("maxmemory", 1)
        with world.unchanged(), pytest.raises(OutOfMemory):
            run(fire(world, found, number=1))
        raw.config_set("maxmemory", 0)
        assert run(fire(world, found, number=1)).word == "posted"


# Asking what is due


def test_due(world):
    """The earliest first, 20 at a time; not those that are paused, or of the future."""
    for i in range(25):
        declare(world, schedule(f"n{i}"), due=DUE - i)
    declare(world, schedule("later"), due=NEXT)
    world.run(schedule_ops.pause(world.keys, "n24"))
    now, found = world.run(schedule_ops.due(world.keys))
    assert now == About()
    assert [one.name for one in found] == [f"n{i}" for i in range(23, 3, -1)]
    assert found[0].schedule() == schedule("n23")


def test_the_look_says_when(world):
    world.watched()
    assert world.reap().tick_in is None
    declare(world, due=time.time() + 30)
    assert world.reap().tick_in == pytest.approx(30, abs=10)
    declare(world, schedule("t"), due=DUE)
    assert world.reap().tick_in == 0


def test_a_clock_that_is_set_back(world):
    """Every schedule is looked at again; by a small step, none is."""
    declare(world, due=NEXT)
    for ahead, due in ((1, NEXT), (100, 0)):
        world.watched()
        world.raw.hset(world.keys.reaping, "at", time.time() + ahead)
        world.reap()
        assert world.raw.zscore(world.keys.schedule_due, "s") == due
    assert state(world).next is None
    [found] = world.run(schedule_ops.due(world.keys))[1]
    assert (found.due, world.run(fire(world, found, ticks=[])).word) == ("0", "none")
    assert state(world).next == NEXT


# Pausing and removing


def test_paused(world):
    """It is not due; a deploy does not change that, and neither does a second pause."""
    declare(world)
    world.run(schedule_ops.pause(world.keys, "s"))
    paused = state(world).paused
    assert (paused, state(world).next) == (About(), None)
    assert declare(world) == "same"
    assert declare(world, schedule(every=61.0), due=NEXT) == "changed"
    with world.unchanged():
        world.run(schedule_ops.pause(world.keys, "s"))
    assert world.run(schedule_ops.due(world.keys))[1] == []


def test_resumed(world):
    """It is due when the caller says; again, nothing changes."""
    declare(world)
    world.run(schedule_ops.pause(world.keys, "s"))
    assert known(world).anchor == DUE
    assert world.run(schedule_ops.resume(world.keys, known(world), NEXT))
    with world.unchanged():
        assert world.run(schedule_ops.resume(world.keys, known(world), NEXT + 5))
    assert (state(world).paused, state(world).next) == (None, NEXT)


def test_resumed_and_changed_meanwhile(world):
    declare(world)
    world.run(schedule_ops.pause(world.keys, "s"))
    before = known(world)
    declare(world, schedule(every=61.0), due=NEXT)
    with world.unchanged():
        assert not world.run(schedule_ops.resume(world.keys, before, NEXT))


def test_removed(world):
    """Nothing is left of it, and its job goes on."""
    declare(world, schedule(overlap="skip"))
    world.run(fire(world, known(world)))
    claimed = world.claim()[0]
    _, changes = world.changes(schedule_ops.remove(world.keys, "s"))
    assert changes == {"schedules": None, "schedule:s": None, "schedule-due": None}
    assert world.settle(claimed)


@pytest.mark.parametrize(
    "op",
    [
        lambda keys: schedule_ops.pause(keys, "s"),
        lambda keys: schedule_ops.remove(keys, "s"),
        lambda keys: schedule_ops.one(keys, "s"),
        lambda keys: schedule_ops.resume(keys, Known("s", "", b"", b"", b"", None, None, ""), 5.0),
    ],
)
def test_unknown(world, op):
    with world.unchanged(), pytest.raises(UnknownSchedule, match="there is no schedule 's'"):
        world.run(op(world.keys))


# Listing


def test_pages(world):
    """All, whatever their number; without messages."""
    names = {f"n{i}" for i in range(600)}
    for name in names:
        declare(world, schedule(name, msg="x" * 100))
    cursor, found = world.run(schedule_ops.page(world.keys))
    while cursor != "0":
        cursor, more = world.run(schedule_ops.page(world.keys, cursor))
        found += more
    assert {one.name for one in found} == names
    assert {(one.queue, one.msg, one.owner) for one in found} == {("default", None, "code")}
    assert world.run(schedule_ops.one(world.keys, "n7"))[2].msg == "x" * 100


# Garbage


@pytest.mark.parametrize("name", ["schedules", "schedule_due", "schedule"])
def test_keys_of_another_type(world, name):
    """Looks, lists and claims go on; whoever declares the schedule puts that right."""
    declare(world)
    key = getattr(world.keys, name) + ("s" if name == "schedule" else "")
    world.raw.delete(key)
    world.raw.rpush(key, "garbage")
    world.watched()
    world.reap()
    world.run(schedule_ops.due(world.keys))
    before = world.look()
    firing = fire(world, Known("s", f"{DUE}", schedule().declared, b"default:f", schedule().body, None, None, "1.0"))
    assert world.run(firing).word == "other"
    assert world.look() == before
    declare(world, due=DUE)
    assert world.run(fire(world, known(world))).word == "posted"


@pytest.mark.parametrize("field", ["declared", "owner", "last", "posted", "missed", "anchor", "job", "paused"])
def test_garbage_in_the_course(world, field):
    """That one is left out of lists, or shown as it is; its jobs are posted."""
    declare(world, schedule(overlap="skip"))
    declare(world, schedule("t"))
    world.raw.hset(world.keys.schedule + "s", field, b"\xffgarbage")
    assert "t" in [one.name for one in world.run(schedule_ops.page(world.keys))[1]]
    found = {one.name: one for one in world.run(schedule_ops.due(world.keys))[1]}
    assert "t" in found


@pytest.mark.parametrize("lost", ["schedules", "schedule", "body", "changed"])
def test_a_part_that_was_lost(world, lost):
    """It is due no more, until it is declared again."""
    declare(world)
    if lost == "schedules":
        world.raw.hdel(world.keys.schedules, "s")
    elif lost == "schedule":
        world.raw.delete(world.keys.schedule + "s")
    else:
        world.raw.hdel(world.keys.schedule + "s", lost)
    assert world.run(schedule_ops.due(world.keys))[1] == []
    assert world.raw.exists(world.keys.schedule_due) == 0
    declare(world)
    assert [one.name for one in world.run(schedule_ops.due(world.keys))[1]] == ["s"]


def test_a_declaration_that_nobody_can_read(world):
    """It is looked at again later; declared again, it is due when its times say, and not then."""
    declare(world)
    op = schedule_ops.fire(world.keys, known(world), None, Firing([], NEXT, 0), ("worker", 1), "")
    world.raw.hset(world.keys.schedules, "s", b"\xc1")
    assert world.run(op).word == "none"
    assert world.raw.zscore(world.keys.schedule_due, "s") == NEXT
    assert declare(world, due=DUE) == "changed"
    assert world.raw.zscore(world.keys.schedule_due, "s") == DUE
