"""Declarations of schedules: what is refused, how they are stored, and which ticks get jobs."""

import pytest

from mlq.core import codec
from mlq.core.job import LARGE, Record
from mlq.core.schedule import MOST_AT_ONCE, Schedule, schedule_of
from mlq.core.tick import Tick
from mlq.core.timing import UnknownZone
from mlq.errors import InputError, TooLarge, Undecodable, Unserializable


def made(name="s", cron=None, every=10, tz=None, missed=None, overlap="queue", msg=None, **options) -> Schedule:
    return schedule_of(name, cron, every, tz, missed, overlap, msg, options.pop("callback", None),
                       options.pop("functions", None), options)  # fmt: skip


FULL = {"functions": ["f", "g"], "queue": "q", "ttl": 5.0, "timeout": 2.5, "retries": 3, "backoff": 1.0, "delay": 1.0,
        "expires": 9.0, "priority": -3, "then": ["h"], "webhook": "http://localhost/hook",
        "callback": "http://localhost/done"}  # fmt: skip


@pytest.mark.parametrize("options", [{}, FULL])
@pytest.mark.parametrize("msg", [None, {"a": [1, "ü"]}, b"\x00", 1.5])
def test_read_as_stored(options, msg):
    schedule = made(cron="0 3 * * *", every=None, tz="Europe/Berlin", msg=msg, **options)
    read = Schedule.read("s", schedule.declared, schedule.options.lane.encode(), schedule.body)
    assert read == schedule
    assert read.shown_message == msg
    given = {name: value for name, value in options.items() if name not in ("functions", "queue")}
    assert read.shown_options == given


def test_a_job_knows_its_tick():
    """And has the options of its schedule."""
    schedule = made(msg=[1], **FULL)
    record = Record.parse(schedule.options.lane.encode() + b"\n5.0\n" + schedule.job(1234.5))
    assert record.options.tick == Tick("s", 1234.5)
    assert record.options == schedule.options.of_tick(Tick("s", 1234.5))
    assert codec.unpack(record.message) == [1]


@pytest.mark.parametrize("tick", [None, 5, [], ["s"], ["s", "5"], [1, 2.0], {"s": 1}, ["s", 1.0, 2]])
def test_damaged_ticks(tick):
    with pytest.raises(ValueError, match="tick"):
        Tick.read(tick)


@pytest.mark.parametrize("name", ["", "a/b", "x" * 101, "a\nb", None, 5, b"s"])
def test_wrong_names(name):
    with pytest.raises(InputError, match="name"):
        made(name)


@pytest.mark.parametrize("option", ["at", "after"])
def test_options_that_schedules_have_not(option):
    with pytest.raises(InputError, match=option):
        made(**{option: "1"})


@pytest.mark.parametrize(
    ("given", "error", "words"),
    [
        ({"missed": "never"}, InputError, "missed must be one of 'once', 'skip', 'all'"),
        ({"overlap": True}, InputError, "overlap must be one of"),
        ({"missed": "all", "overlap": "skip"}, InputError, "needs overlap='queue'"),
        ({"msg": object()}, Unserializable, "cannot serialise"),
        ({"msg": "x" * LARGE}, TooLarge, "store it elsewhere"),
        ({"priority": 101}, InputError, "priority"),
        ({"delay": 5, "expires": 5}, InputError, "expires must be later"),
        ({"queu": "x"}, TypeError, "did you mean 'queue'"),
    ],
)
def test_refused(given, error, words):
    with pytest.raises(error, match=words):
        made(**given)


@pytest.mark.parametrize("declared", [b"", b"\xc1", codec.pack(5), codec.pack(["x", "UTC", 0.0, "once", "skip"]),
                                      codec.pack(["", "", 0.5, "once", "skip"]),
                                      codec.pack(["", "UTC", 5.0, "x", "skip"]),
                                      codec.pack([["*"], "UTC", 0.0, "once", "skip"])])  # fmt: skip
def test_damaged_declarations(declared):
    with pytest.raises(Undecodable):
        Schedule.read_rules(declared)


def test_a_zone_that_is_unknown_here():
    """It is not damaged: another machine may know it."""
    with pytest.raises(UnknownZone, match="Mars/Base"):
        Schedule.read_rules(codec.pack(["* * * * *", "Mars/Base", 0.0, "once", "skip"]))


def test_damaged_bodies():
    with pytest.raises(Undecodable):
        Schedule.read("s", made().declared, b"default", b"junk")


@pytest.mark.parametrize(
    ("missed", "late", "ticks", "count"),
    [
        ("once", 0.1, [0], 0),
        ("once", 35, [30], 3),
        ("once", 1e6, [1e6], 999),  # no more than a thousand are counted
        ("skip", 0.1, [0], 0),
        ("skip", 35, [30], 3),  # the last one is hardly late
        ("all", 0.1, [0], 0),
        ("all", 35, [0, 10, 20, 30], 0),
        ("all", 10_005, list(range(10_000 - 10 * (MOST_AT_ONCE - 1), 10_001, 10)), 900),
    ],
)
def test_which_ticks_get_jobs(missed, late, ticks, count):
    due = 1_700_000_000.0
    firing = made(missed=missed).firing(due, due + late)
    assert [tick - due for tick in firing.ticks] == ticks
    assert firing.missed == count
    assert firing.next == due + (late // 10 + 1) * 10


@pytest.mark.parametrize(("late", "ticks"), [(59, 1), (61, 0)])
def test_a_tick_that_is_too_late(late, ticks):
    """The workers start again within that time after a deploy."""
    firing = made(every=86400, missed="skip").firing(1_700_000_000.0, 1_700_000_000.0 + late)
    assert (len(firing.ticks), firing.missed, firing.next) == (ticks, 1 - ticks, 1_700_086_400.0)
