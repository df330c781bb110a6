"""When schedules are due: cron lines in zones whose clocks change, intervals, what has passed; what is refused."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlq.core.timing import COUNTED, Timing
from mlq.errors import InputError

ZONES = ["UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Africa/Casablanca", "Asia/Kathmandu"]
MOMENTS = st.floats(min_value=1.7e9, max_value=2.0e9)
LINES = st.sampled_from([
    "30 2 * * *", "0 3 * * *", "*/20 * * * *", "15 */6 * * *", "0,30 1-3 * * *", "59 23 31 12 *", "0 0 * * 1-5",
    "0 9 1 * 5", "5 4 L * *", "0 12 * 2 SUN", "* * * * *", "0 2 29 2 *", "*/7 1,2,3 * * 7",
])  # fmt: skip


def at(text: str, zone: str = "UTC") -> float:
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).timestamp()


def ticks(line: str, zone: str, begin: str, count: int) -> list[str]:
    """The first ticks after a local time, as local times with their offsets."""
    timing, moment, found = Timing.of(line, None, zone), datetime.fromisoformat(begin).timestamp(), []
    for _ in range(count):
        moment = timing.after(moment, 0.0)
        found.append(datetime.fromtimestamp(moment, ZoneInfo(zone)).strftime("%m-%d %H:%M%z"))
    return found


@pytest.mark.parametrize(
    ("line", "zone", "begin", "expected"),
    [
        # clocks are set forward, 02:00 to 03:00: what is due at a fixed time of that hour comes right after it
        ("30 2 * * *", "Europe/Berlin", "2026-03-28T12:00+01:00", ["03-29 03:00+0200", "03-30 02:30+0200"]),
        ("0 3 * * *", "Europe/Berlin", "2026-03-28T12:00+01:00", ["03-29 03:00+0200", "03-30 03:00+0200"]),
        ("0,30 1-3 * * *", "Europe/Berlin", "2026-03-29T01:10+01:00", ["03-29 01:30+0100", "03-29 03:00+0200",
                                                                        "03-29 03:30+0200", "03-30 01:00+0200"]),
        # what is due every so many minutes, or every hour, goes by real time
        ("*/30 * * * *", "Europe/Berlin", "2026-03-29T01:10+01:00", ["03-29 01:30+0100", "03-29 03:00+0200"]),
        ("*/30 2 * * *", "Europe/Berlin", "2026-03-28T12:00+01:00", ["03-30 02:00+0200", "03-30 02:30+0200"]),
        # set back, 03:00 to 02:00: a fixed time of the doubled hour comes once
        ("30 2 * * *", "Europe/Berlin", "2026-10-24T12:00+02:00", ["10-25 02:30+0200", "10-26 02:30+0100"]),
        ("0 * * * *", "Europe/Berlin", "2026-10-25T01:30+02:00", ["10-25 02:00+0200", "10-25 02:00+0100",
                                                                    "10-25 03:00+0100"]),
        # ... also for who begins within the hour that comes again
        ("30 2 * * *", "Europe/Berlin", "2026-10-25T02:10+01:00", ["10-26 02:30+0100", "10-27 02:30+0100"]),
        ("30 2 * * *", "America/New_York", "2026-03-07T12:00-05:00", ["03-08 03:00-0400", "03-09 02:30-0400"]),
        ("30 1 * * *", "America/New_York", "2026-10-31T12:00-04:00", ["11-01 01:30-0400", "11-02 01:30-0500"]),
        # half an hour
        ("15 2 * * *", "Australia/Lord_Howe", "2026-10-03T12:00+10:30", ["10-04 02:30+1100", "10-05 02:15+1100"]),
        ("45 1 * * *", "Australia/Lord_Howe", "2026-04-04T12:00+11:00", ["04-05 01:45+1100", "04-06 01:45+1030"]),
        ("*/30 * * * *", "Australia/Lord_Howe", "2026-04-05T01:10+11:00", ["04-05 01:30+1100", "04-05 01:30+1030",
                                                                             "04-05 02:00+1030"]),
        # days of the week and of the month: either, unless one is a star
        ("0 8 * * 1-5", "UTC", "2026-11-27T09:00+00:00", ["11-30 08:00+0000", "12-01 08:00+0000"]),
        ("0 0 29 2 *", "UTC", "2026-01-01T00:00+00:00", ["02-29 00:00+0000"]),
    ],
)  # fmt: skip
def test_ticks(line, zone, begin, expected):
    assert ticks(line, zone, begin, len(expected)) == expected


@given(line=LINES, zone=st.sampled_from(ZONES), moment=MOMENTS)
def test_ticks_rise(line, zone, moment):
    """Each is after the one before, and they are the same from wherever one begins between two of them."""
    timing = Timing.of(line, None, zone)
    found = [moment]
    for _ in range(4):
        found.append(timing.after(found[-1], 0.0))
    for one, other in pairwise(found):
        assert one < other == timing.after((one + other) / 2, 0.0)


@given(line=LINES, zone=st.sampled_from(ZONES), moment=MOMENTS, count=st.integers(0, 30), more=st.floats(0, 0.999))
def test_what_has_passed(line, zone, moment, count, more):
    """Looking back gives the ticks that looking forward gives."""
    timing = Timing.of(line, None, zone)
    found = [timing.after(moment, 0.0)]
    for _ in range(count):
        found.append(timing.after(found[-1], 0.0))
    now = min(found[-1] + more, timing.after(found[-1], 0.0) - 0.001)
    assert timing.passed(found[0], now) == found


@given(every=st.floats(1, 1e6), moment=MOMENTS, count=st.integers(0, 50), more=st.floats(0, 0.99))
def test_intervals(every, moment, count, more):
    timing = Timing.of(None, every)
    now = moment + (count + more) * every
    passed, following = timing.passed(moment, now), timing.after(now, moment)
    assert len(passed) == count + 1
    assert now < following <= now + every * 1.001
    assert following - passed[-1] == pytest.approx(every, abs=1e-3)


def test_after_months():
    """Neither the time nor the memory depends on how many ticks nobody was there for."""
    for timing in (Timing.of(None, 1.0), Timing.of("* * * * *")):
        due = at("2026-01-01T00:00")
        passed = timing.passed(due, due + 1e8)
        assert (len(passed), passed[-1]) == (COUNTED, due + 1e8 - (0 if timing.every else 40))


def test_every_takes_timedeltas_too():
    assert Timing.of(None, timedelta(minutes=5)) == Timing.of(None, 300) == Timing(every=300.0)


@pytest.mark.parametrize(
    ("back", "line", "expected"),
    [
        (60, "0 * * * *", "10:00"),  # it was fired at 09:00 by the clock before; it comes once
        (7200, "0 * * * *", "10:00"),
        (4 * 3600, "0 * * * *", "06:00"),  # that clock was wrong
        (60, "*/30 * * * *", "09:30"),
    ],
)
def test_a_clock_that_is_set_back(back, line, expected):
    last, now = at("2026-06-01T09:00"), at("2026-06-01T09:10") - back
    assert Timing.of(line).after_set_back(now, last, 0.0) == at(f"2026-06-01T{expected}")


def test_an_interval_goes_by_real_time():
    """A clock that is set back does not make it wait for longer than its length."""
    for every in (60.0, 86400.0):
        last, now = at("2026-06-01T09:00"), at("2026-06-01T07:30")
        assert now < Timing.of(None, every).after_set_back(now, last, last) <= now + every


WRONG = ["", "* * * *", "* * * * * *", "60 * * * *", "* 24 * * *", "0 0 0 * *", "0 0 * 13 *", "0 0 * * 8", "a * * * *",
         "*/0 * * * *", "5-1 * * * *", "0 0 31 2 *", "0 0 30 2 *", "0 0 31 4,6,9,11 *", "@daily", "0 0 * * 5L/2",
         "1" * 201, "0 0 * *\x00 *", "½ * * * *", "² * * * *", "0 0 * * 1#6", b"* * * * *", 5, True]  # fmt: skip


@pytest.mark.parametrize("line", WRONG)
def test_wrong_lines(line):
    with pytest.raises(InputError, match="cron"):
        Timing.of(line)


@given(st.text(alphabet="0123456789*/-,#LW ", max_size=60) | st.text(max_size=60))
def test_any_text_is_a_line_or_is_refused(line):
    try:
        timing = Timing.of(line)
    except InputError:
        return
    assert timing.after(1.8e9, 0.0) > 1.8e9
    assert timing.words()


@pytest.mark.parametrize(
    "zone", ["Europe/Berlim", "", "../../etc/passwd", "/etc/passwd", "Europe", "x" * 65, 5, "Eu\x00"]
)
def test_wrong_zones(zone):
    with pytest.raises(InputError, match=r"zone|tz"):
        Timing.of("0 3 * * *", None, zone)


def test_a_zone_as_an_object():
    assert Timing.of("0 3 * * *", None, ZoneInfo("Europe/Berlin")).tz == "Europe/Berlin"


@pytest.mark.parametrize(
    "every", [0, 0.999, -1, float("nan"), float("inf"), 1e10, "1", True, timedelta(milliseconds=1)]
)
def test_wrong_intervals(every):
    with pytest.raises(InputError, match="every must be"):
        Timing.of(None, every)


@pytest.mark.parametrize(("cron", "every", "tz"), [(None, None, None), ("* * * * *", 5, None), (None, 5, "UTC")])
def test_one_of_both(cron, every, tz):
    with pytest.raises(InputError):
        Timing.of(cron, every, tz)


@pytest.mark.parametrize(
    ("timing", "words"),
    [
        (Timing.of("0 3 * * *", None, "Europe/Berlin"), "At 03:00 every day (Europe/Berlin)"),
        (Timing.of(None, 90), "Every 90 seconds"),
        (Timing.of(None, 300), "Every 5 minutes"),
        (Timing.of(None, 86400), "Every day"),
        (Timing.of(None, 1), "Every second"),
    ],
)
def test_words(timing, words):
    assert timing.words() == words


def test_lines_are_the_same_however_they_are_spaced():
    assert Timing.of(" 0  3 * *  *") == Timing.of("0 3 * * *")


def test_the_longest_search_is_short():
    """A line that is due once in decades costs no more than some milliseconds."""
    began = datetime.now(UTC)
    Timing.of("0 0 29 2 1").after(at("2026-03-01T00:00"), 0.0)
    assert datetime.now(UTC) - began < timedelta(seconds=1)
