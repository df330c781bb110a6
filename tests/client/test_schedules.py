"""Schedules of clients, blocking and asyncio; the decorator; what is refused, by name."""

import asyncio
import time
from datetime import timedelta

import msgspec
import pytest

from mlq import MLQ, AsyncMLQ, InputError, ScheduleConflict, UnknownSchedule, ValidationError


class Blocking:
    """The methods of `mlq.schedules`, by way of the blocking client."""

    def __init__(self, url: str, namespace: str) -> None:
        self._mlq = MLQ(namespace, url=url)

    def __getattr__(self, name):
        return getattr(self._mlq.schedules, name)

    def close(self):
        self._mlq.close()


class Awaited:
    """The same, by way of the asyncio client."""

    def __init__(self, url: str, namespace: str) -> None:
        self._loop = asyncio.Runner()
        self._mlq = self._loop.run(self._make(url, namespace))

    async def _make(self, url, namespace):
        return AsyncMLQ(namespace, url=url)

    def __getattr__(self, name):
        method = getattr(self._mlq.schedules, name)
        return lambda *args, **given: self._loop.run(method(*args, **given))

    def close(self):
        self._loop.run(self._mlq.close())
        self._loop.close()


@pytest.fixture(params=[Blocking, Awaited])
def schedules(request, server_url, namespace):
    made = request.param(server_url, namespace)
    yield made
    made.close()


def test_from_the_beginning_to_the_end(schedules, mlq):
    """Added, listed, run, paused, resumed and removed."""
    made = schedules.add("digest", "0 8 * * 1-5", tz="Europe/Berlin", msg={"to": "all"}, functions=["digest"],
                         priority=3, missed="skip", overlap="queue")  # fmt: skip
    assert (made.cron, made.tz, made.every, made.words) == (
        "0 8 * * 1-5", "Europe/Berlin", None, "At 08:00 on Monday through Friday (Europe/Berlin)")  # fmt: skip
    assert (made.missed, made.overlap, made.queue, made.functions) == ("skip", "queue", "default", ["digest"])
    assert (made.msg, made.options, made.owner) == ({"to": "all"}, {"priority": 3}, "run time")
    assert (made.posted, made.job, made.outcome, made.last, made.paused) == (0, None, None, None, None)
    assert 0 < made.next - time.time() < 4 * 86400
    schedules.add("beat", every=timedelta(hours=1))
    assert [one.name for one in schedules.all()] == ["beat", "digest"]

    job = schedules.run("digest")
    assert mlq.get_job(job.id)["msg"] == {"to": "all"}
    assert (schedules.get("digest").job, schedules.get("digest").outcome) == (job.id, "queued")
    assert schedules.get("digest").next == made.next
    mlq.delete(job.id)
    assert schedules.get("digest").outcome is None

    schedules.pause("digest")
    assert (schedules.get("digest").next, schedules.get("digest").paused) == (None, pytest.approx(time.time(), abs=60))
    schedules.resume("digest")
    assert (schedules.get("digest").next, schedules.get("digest").paused) == (made.next, None)

    schedules.remove("digest")
    assert [one.name for one in schedules.all()] == ["beat"]


def test_an_interval_goes_on_in_its_rhythm(schedules, mlq):
    """After a pause, and after a change of its message."""
    made = schedules.add("s", every=100)
    assert made.next - time.time() == pytest.approx(100, abs=20)
    assert schedules.add("s", every=100, msg=1).next == made.next
    schedules.pause("s")
    mlq._redis.hset(mlq._keys.schedule + "s", "anchor", made.next - 1000)  # it was paused for long
    schedules.resume("s")
    assert schedules.get("s").next == pytest.approx(made.next, abs=1e-3)


def test_run_while_the_last_job_runs(schedules, mlq):
    """Not unless its ticks may overlap, too."""
    schedules.add("s", every=3600)
    job = schedules.run("s")
    with pytest.raises(ScheduleConflict, match=f"last job of schedule 's', {job.id}, has not ended"):
        schedules.run("s")
    mlq.cancel(job.id)
    assert schedules.run("s").id != job.id
    schedules.add("s", every=3600, overlap="queue")
    schedules.run("s")


@pytest.mark.parametrize("name", ["get", "run", "pause", "resume", "remove"])
def test_unknown(schedules, name):
    with pytest.raises(UnknownSchedule, match="there is no schedule 'x'"):
        getattr(schedules, name)("x")
    with pytest.raises(InputError, match="a schedule's name"):
        getattr(schedules, name)("a/b")


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"cron": "0 0 31 2 *"}, "never due"),
        ({"cron": "* * * *"}, "it has 4 fields"),
        ({"cron": "0 25 * * *"}, "the field hour is wrong. It has"),
        ({"cron": "0 3 * * *", "tz": "Europe/Berlim"}, "no time zone 'Europe/Berlim'"),
        ({"every": 0}, "every must be"),
        ({"every": 0.5}, "every must be"),
        ({}, "a cron line or an interval"),
        ({"every": 5, "at": 5.0}, "no option 'at'"),
        ({"every": 5, "after": ["1"]}, "no option 'after'"),
        ({"every": 5, "missed": "all"}, "needs overlap='queue'"),
        ({"every": 5, "functions": "f"}, "functions must be a list"),
    ],
)
def test_refused(schedules, mlq, given, words):
    """Nothing is written."""
    with pytest.raises(InputError, match=words):
        schedules.add("s", **given)
    assert list(mlq._redis.scan_iter(f"{{{mlq.namespace}}}:sched*")) == []


# The decorator


def declared(mlq):
    return mlq.listeners.scheduled.of(mlq.listeners.names())


def test_on_a_listener(mlq):
    """It stays what it was, and the jobs go where its own do."""

    @mlq.schedule("0 3 * * *", tz="Europe/Berlin", msg=2, retries=3)
    @mlq.listener(queue="slow")
    def nightly(value):
        return value * 2

    assert nightly(4) == 8
    made = declared(mlq)["nightly"]
    assert (made.options.lane, made.options.retries, made.shown_message) == ("slow:nightly", 3, 2)


def test_two_on_one_listener(mlq):
    """Each has a name of its own."""

    @mlq.listener
    def work(_msg): ...

    mlq.schedule(every=5, name="often")(work)
    mlq.schedule(every=500)(work)
    assert declared(mlq).keys() == {"often", "work"}
    with pytest.raises(InputError, match="two schedules are named 'work'"):
        mlq.schedule(every=5)(work)
    mlq.schedule(every=500)(work)


def test_a_cell_that_is_run_again(mlq):
    """The function is a new one, and its schedule replaces that of the old one."""
    for every in (5, 6):

        @mlq.schedule(every=every)
        @mlq.listener
        def work(_msg): ...

    assert declared(mlq)["work"].timing.every == 6


def test_without_its_listener(mlq):
    """A worker of other functions does not declare it; neither does one whose listener was removed."""

    @mlq.schedule(every=5)
    @mlq.listener
    def work(_msg): ...

    mlq.listener(name="other")(lambda message: message)
    assert mlq.listeners.only(["other"]).scheduled.of(["other"]) == {}
    mlq.remove_listener("work")
    assert declared(mlq) == {}


def test_decorators_in_the_wrong_order(mlq):
    with pytest.raises(InputError, match=r"above @mlq\.listener"):

        @mlq.listener
        @mlq.schedule(every=5)
        def work(_msg): ...

    with pytest.raises(InputError, match="no listener of this queue"):
        mlq.schedule(every=5)(MLQ("another").listener(name="elsewhere")(lambda message: message))


class Report(msgspec.Struct):
    day: str


def test_a_message_that_the_listener_would_refuse(mlq):
    """Is refused when the program starts, and not each night."""

    def report(msg: Report) -> None: ...

    listener = mlq.listener(report)
    with pytest.raises(ValidationError):
        mlq.schedule(every=5)(listener)
    mlq.schedule(every=5, msg={"day": "monday"})(listener)


def test_functions_are_those_of_the_listener(mlq):
    with pytest.raises(InputError, match="leave functions= out"):
        mlq.schedule(every=5, functions=["f"])
