"""Whoever can write to Redis may put anything there: every answer is a value or an MLQError, and the rest goes on."""

import contextlib
import json

import pytest

from mlq import MLQError
from mlq.core.states import State
from mlq.http.app import make_app
from mlq.http.settings import Settings

pytestmark = pytest.mark.slow

BYTES = (b"", b"\xff\xfe", b"nan", b"-1e999", b"a\nb\nc", b"9" * 40)
OTHER_TYPES = ("string", "list", "set", "hash", "zset")


@pytest.fixture
def full(mlq):
    """A namespace with a job in every state, a waiting callback, logs, and the sign of a worker's life."""

    @mlq.listener
    def good(msg, ctx):
        ctx.update_progress(50)
        ctx.emit("part")
        return msg

    @mlq.listener
    def bad(msg):
        raise ValueError(msg)

    jobs = {
        State.SUCCEEDED: good.submit("x"),
        State.FAILED: mlq.submit("x", functions=["bad"], webhook="http://localhost:9/"),
    }
    mlq.create_listener()
    for job in jobs.values():
        with contextlib.suppress(ValueError):
            job.result(60)
    jobs[State.QUEUED] = mlq.submit("waits", functions=["nobody"])
    jobs[State.CANCELLED] = mlq.submit("waits", functions=["nobody"])
    jobs[State.CANCELLED].cancel()
    mlq.shutdown(grace=5)
    return mlq, {state: str(job.id) for state, job in jobs.items()}  # as a person names them


class Kept:
    """All keys of a namespace as they are, to be put back after each piece of garbage."""

    def __init__(self, raw, namespace):
        self._raw, self._pattern = raw, f"{{{namespace}}}:*".replace("-", "\\-")
        self.names = sorted(raw.scan_iter(self._pattern, count=1000))
        self._values = {name: (max(0, raw.pttl(name)), raw.dump(name)) for name in self.names}

    def put_one_back(self, name):
        self._raw.restore(name, *self._values[name], replace=True)

    def put_back(self):
        for name in set(self._raw.scan_iter(self._pattern, count=1000)) - set(self.names):
            self._raw.delete(name)
        for name in self.names:
            self.put_one_back(name)


@pytest.fixture
def kept(full, raw, namespace):
    found = Kept(raw, namespace)
    yield found
    found.put_back()


def of_type(raw, name, kind):
    raw.delete(name)
    {
        "string": lambda: raw.set(name, b"\xff"),
        "list": lambda: raw.rpush(name, b"\xff"),
        "set": lambda: raw.sadd(name, b"\xff"),
        "hash": lambda: raw.hset(name, b"\xff", b"\xff"),
        "zset": lambda: raw.zadd(name, {b"\xff": "inf"}),
    }[kind]()


def damages(raw, name):
    """Functions that damage this key, each in another way."""
    kind = raw.type(name).decode()
    for other in OTHER_TYPES:
        yield f"a {other}", lambda other=other: of_type(raw, name, other)
    for value in BYTES:
        if kind == "string":
            yield f"{value!r}", lambda value=value: raw.set(name, value)
        elif kind == "hash":
            for field in raw.hkeys(name):
                yield f"{field!r}={value!r}", lambda field=field, value=value: raw.hset(name, field, value)
            yield f"field {value!r}", lambda value=value: raw.hset(name, value, value)
        elif kind == "zset":
            yield f"member {value!r}", lambda value=value: raw.zadd(name, {value: "inf"})


READS = ("get_job", "get_info", "get_progress", "get_job_progress", "get_state", "get_result", "get_logs", "position")
CHANGES = ("redeliver", "cancel", "requeue", "discard", "delete")
OF_ALL = ("counts", "stats", "workers", "unserved", "dead_letters", "job_count", "last_id", "uploads", "list_jobs")
CHANGES_OF_ALL = ("requeue_all", "discard_all")


def is_answered(what, ask, *args):
    """Whether it gives a value or says in our own words what is wrong; a listener's own error is an answer, too."""
    try:
        ask(*args)
    except MLQError:
        pass
    except ValueError as error:
        if str(error) != "x":
            pytest.fail(f"{what} {args}: {error!r}")


def test_every_question_is_answered_whatever_a_key_holds(full, raw, kept):
    """Hundreds of pieces of garbage, one at a time."""
    mlq, ids = full
    for name in kept.names:
        asked = [job_id for job_id in ids.values() if of_job(name, [job_id])] or list(ids.values())
        changes = [(getattr(mlq, verb), (job_id,)) for verb in CHANGES for job_id in asked]
        changes += [(getattr(mlq, verb), ()) for verb in CHANGES_OF_ALL] + [(mlq.post, ("more",))]
        for how, damage in damages(raw, name):
            damage()
            for verb in OF_ALL:
                is_answered((name, how), getattr(mlq, verb))
            for job_id in asked:
                for verb in READS:
                    is_answered((name, how, verb), getattr(mlq, verb), job_id)
            for change, args in changes:
                damage()
                is_answered((name, how, change.__name__), change, *args)
            kept.put_back()


def of_job(name, ids):
    """Whether a key is of one job alone."""
    return name.rpartition(b":")[0].endswith((b":post", b":job")) and name.rpartition(b":")[2].decode() in ids


def test_lists_hold_the_others(full, raw, kept):
    """One damaged job does not hide the rest."""
    mlq, ids = full
    for name in (name for name in kept.names if of_job(name, ids.values())):
        victim = name.rpartition(b":")[2].decode()
        for how, damage in damages(raw, name):
            damage()
            assert {job.id for job in mlq.list_jobs()[0]} >= set(ids.values()) - {victim}, (name, how)
            assert [letter.id for letter in mlq.dead_letters()] == [ids[State.FAILED]], (name, how)
            kept.put_back()


def test_a_damaged_lane_does_not_hide_the_numbers_of_all(full, raw, namespace):
    mlq, _ = full
    mlq.post("waits", queue="other")
    of_type(raw, f"{{{namespace}}}:lane:default:nobody", "hash")
    assert mlq.counts().lanes == {"other": 1}
    assert mlq.stats().queues["other"].waiting == mlq.stats().waiting == 1


def test_a_dead_letter_of_garbage_can_be_discarded(full, raw, kept):
    """However it is damaged; `discard_all` takes it along."""
    mlq, ids = full
    dead = ids[State.FAILED]
    for name in (name for name in kept.names if of_job(name, [dead])):
        for how, damage in damages(raw, name):
            damage()
            mlq.discard(dead)
            assert mlq.dead_letters() == [], (name, how)
            kept.put_back()
            damage()
            assert mlq.discard_all() == 1, (name, how)
            kept.put_back()


def test_what_is_no_id_among_the_dead_letters_goes_too(full, raw, namespace):
    mlq, _ = full
    raw.zadd(f"{{{namespace}}}:dead", {b"\xff\xfe": 1, b"abc": 2, b"": 3})
    assert mlq.discard_all() == 4
    assert mlq.dead_letters() == []


def test_requeue_of_a_damaged_dead_letter_says_what_to_do(full, raw, namespace):
    mlq, ids = full
    raw.set(f"{{{namespace}}}:post:{ids[State.FAILED]}", b"\xff\xfe")
    with pytest.raises(MLQError, match="missing or damaged; delete or discard it"):
        mlq.requeue(ids[State.FAILED])
    assert mlq.requeue_all() == 0


def test_http_never_answers_with_500(full, raw, kept):
    mlq, ids = full
    client = make_app(mlq, Settings()).test_client()
    for name in kept.names:
        asked = [job_id for job_id in ids.values() if of_job(name, [job_id])] or list(ids.values())
        paths = ["/jobs", "/jobs/count", "/metrics", "/scale", "/readyz"]
        paths += [f"/jobs/{job_id}{tail}" for job_id in asked for tail in ("", "/result", "/progress")]
        for how, damage in damages(raw, name):
            damage()
            for path in paths:
                answer = client.get(path, headers={"Accept": "application/json"})
                assert answer.status_code != 500, (name, how, path, answer.text)
                if answer.is_json:
                    json.loads(answer.text, parse_constant=pytest.fail)  # NaN and Infinity are no JSON
            kept.put_back()


def test_a_worker_goes_on_whatever_the_keys_of_other_jobs_hold(full, raw, kept):
    """The same worker runs the next job after each piece of garbage."""
    mlq, ids = full
    mlq.create_listener()
    for name in kept.names:
        own = of_job(name, ids.values())
        for how, damage in damages(raw, name):
            if how.startswith("a ") and not own:
                continue  # a key of the whole namespace that has another type is said, and mended by a person
            damage()
            try:
                assert mlq.submit("y", functions=["good"]).result(60) == "y", (name, how)
            except MLQError as error:
                pytest.fail(f"{name!r} is {how}: {error!r}")
            kept.put_one_back(name)
    assert mlq.workers()
