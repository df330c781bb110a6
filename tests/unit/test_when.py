"""The options that say when a job may begin: what is refused, and what becomes of the rest."""

from datetime import UTC, datetime, timedelta, timezone

import pytest

from mlq.core.job_options import PLAIN, JobOptions, options_of
from mlq.core.part import Part
from mlq.core.stored_options import read_options
from mlq.errors import InputError

EVENING = datetime(2026, 12, 1, 20, 0, tzinfo=timezone(timedelta(hours=1)))


@pytest.mark.parametrize(
    ("option", "value", "words"),
    [
        ("delay", -0.001, "at least 0"),
        ("delay", float("nan"), "at least 0"),
        ("delay", "10", "number of seconds"),
        ("delay", True, "number of seconds"),
        ("at", datetime(2026, 12, 1, 20, 0), "must name its time zone"),
        ("at", "2026-12-01T20:00", "must name its time zone"),
        ("at", "2026-12-01", "must name its time zone"),
        ("at", "tomorrow", "must be a datetime"),
        ("at", "2026-12-01T20:00+01:00" + " " * 40, "must be a datetime"),
        ("at", 1_796_000_000_000, "seconds since 1970"),
        ("at", -1.0, "must be a datetime"),
        ("at", float("nan"), "must be a datetime"),
        ("at", "nan", "must be a datetime"),
        ("at", True, "must be a datetime"),
        ("at", timedelta(hours=1), "must be a datetime"),
        ("expires", 0, "above 0"),
        ("expires", -5, "above 0"),
        ("expires", EVENING, "number of seconds"),
        ("priority", 101, "from -100 to 100"),
        ("priority", -101, "from -100 to 100"),
        ("priority", 1.0, "whole number"),
        ("priority", "5", "whole number"),
        ("priority", True, "whole number"),
    ],
)
def test_refused(option, value, words):
    """Before anything is posted, with the option's name."""
    with pytest.raises(InputError, match=f"^{option}.*{words}"):
        options_of(None, None, {option: value})


@pytest.mark.parametrize("expires", [1, 60, 60.0])
def test_expiry_before_the_delay(expires):
    with pytest.raises(InputError, match="expires must be later than delay"):
        options_of(None, None, {"delay": 60, "expires": expires})


def test_delay_and_time():
    with pytest.raises(InputError, match="not both"):
        options_of(None, None, {"delay": 60, "at": EVENING})


@pytest.mark.parametrize(
    "at", [EVENING, EVENING.astimezone(UTC), "2026-12-01T20:00+01:00", "2026-12-01T19:00:00Z", 1796151600, "1796151600"]
)
def test_one_moment(at):
    """However it is given."""
    assert options_of(None, None, {"at": at}).at == EVENING.timestamp()


def test_what_means_nothing_is_not_kept():
    """Such jobs are as cheap as those without these options."""
    given = options_of(None, None, {"delay": 0, "at": None, "expires": None, "priority": 0})
    assert given == PLAIN
    assert (given.when, given.body(1)) == ("", PLAIN.body(1))


@pytest.mark.parametrize(
    ("given", "when"),
    [
        ({"delay": 60}, "- 60.0 - -"),
        ({"at": 1e9, "expires": 0.5}, "- - 1000000000.0 0.5"),
        ({"priority": -100, "delay": 0}, "-100 - - -"),
    ],
)
def test_what_is_sent_and_read(given, when):
    """The script's words, and the record."""
    options = JobOptions.of(given)
    assert options.when == when
    size, _, rest = options.body(None).partition(b"\n")
    assert read_options("default", rest[: int(size)]) == options


def test_steps_keep_the_priority_alone():
    """The rest is over when the root has begun."""
    step = options_of(None, ["f"], {"timeout": 5.0}).of_step(Part("1", 1, "1"), None, 7, None)
    assert (step.priority, step.delay, step.expires, step.timeout) == (7, None, None, 5.0)
    size, _, rest = step.body(None).partition(b"\n")
    assert read_options("default:f", rest[: int(size)]) == step
