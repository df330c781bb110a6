"""Bytes in Redis that no client of ours wrote: one job fails, the queue goes on."""

from typing import Any

import pytest

from mlq import MLQ, UnknownJob

GOOD = b"default\n1.0\n0\n\x01"
OPTIONS = {
    "a number": b"\x01",
    "ttl is a list": b"\x81\xa3ttl\x91\x01",
    "ttl is a text": b"\x81\xa3ttl\xa1x",
    "ttl is negative": b"\x81\xa3ttl\xff",
    "callback is nil": b"\x81\xa8callback\xc0",
    "callback is a number": b"\x81\xa8callback\x05",
    "functions are a number": b"\x81\xa9functions\x05",
    "a list": b"\x91\x01",
}
RECORDS = {
    "empty": b"",
    "no head": b"\x00\xff\xfe",
    "no number": b"default\nnow\n0\n\x01",
    "huge length": b"default\n1.0\n99999999999999\n\x01",
    "negative length": b"default\n1.0\n-5\n\x01",
    "lane is not utf-8": b"\xff\xfe\n1.0\n0\n\x01",
    "message is cut off": b"default\n1.0\n0\n\x92\x01",
    "message is empty": b"default\n1.0\n0\n",
    "message is not MessagePack": b"default\n1.0\n0\n\xc1\xc1",
    "unknown extension": b"default\n1.0\n0\n\xd4\x63\x00",
    "array of objects": b"default\n1.0\n0\n\xc7\x05\x01xxxxx",
    "too deep": b"default\n1.0\n0\n" + b"\x91" * 100_000,
    **{f"options: {name}": b"default\n1.0\n%d\n%b\x01" % (len(options), options) for name, options in OPTIONS.items()},
}


@pytest.mark.parametrize("record", RECORDS.values(), ids=RECORDS)
def test_a_poison_record_stops_nothing(mlq: MLQ, raw: Any, namespace: str, record: bytes) -> None:
    """It ends in some way, and the jobs around it run."""
    before, poison, after = mlq.submit(1), mlq.submit("poison"), mlq.submit(3)
    raw.set(f"{{{namespace}}}:post:{poison.id}", record)
    mlq.create_listener(lambda message: message)
    assert [before.result(60), after.result(60)] == [1, 3]
    assert mlq.submit(4).result(60) == 4
    try:
        poison.result(60)
    except UnknownJob:
        pass  # a time to live below zero: it ran, and was gone
    except Exception:  # noqa: BLE001 - an error of the listener, or that the record can't be read
        assert [letter.id for letter in mlq.dead_letters()] == [poison.id]
        assert mlq.discard_all() == 1
    assert mlq.job_count() == 0
    assert not mlq._worker.stopped.is_set()


@pytest.mark.parametrize("member", ["garbage", "", "-1", "1e3", "7 8", "7:8", "9" * 30, b"\xff\xfe", "0x1", "nan"])
def test_a_garbage_id_in_a_lane_stops_nothing(mlq: MLQ, raw: Any, namespace: str, member: Any) -> None:
    """It becomes a dead letter that can be listed and discarded."""
    mlq.post(1)
    raw.zadd(f"{{{namespace}}}:lane:default", {member: 0})
    mlq.create_listener(lambda message: message)
    assert mlq.submit(2).result(60) == 2
    assert len(mlq.dead_letters()) == 1
    assert mlq.requeue_all() in (0, 1)
    assert mlq.discard_all() in (0, 1)
    assert mlq.submit(3).result(60) == 3
    assert mlq.job_count() == 0
    mlq.clear()


@pytest.mark.parametrize("member", ["garbage", "-1", "1e3", "7 8", "9" * 30, b"\xff\xfe", "0x1", "\u0663"])
def test_a_garbage_id_with_a_message_stops_nothing(mlq: MLQ, raw: Any, namespace: str, member: Any) -> None:
    """It is a dead letter, too; ids go on where they were, even after the server began anew."""
    (job_id,) = mlq.post_many([1])
    name = member if isinstance(member, bytes) else member.encode()
    raw.set(f"{{{namespace}}}:post:".encode() + name, GOOD)
    raw.zadd(f"{{{namespace}}}:lane:default", {member: 0})
    mlq.create_listener(lambda message: message)
    assert mlq.submit(2).result(60) == 2
    assert len(mlq.dead_letters()) == 1
    raw.delete(f"{{{namespace}}}:epoch")
    assert int(mlq.post(3)) < int(job_id) + 10_000_000
    assert mlq.discard_all() == 1
    mlq.clear()


def test_garbage_for_the_number_of_errors_stops_nothing(mlq: MLQ, raw: Any, namespace: str) -> None:
    """It counts as none."""
    spoilt = mlq.submit(1)
    raw.hset(f"{{{namespace}}}:job:{spoilt.id}", mapping={"errors": "many", "attempts": "1"})
    mlq.create_listener(lambda message: message)
    assert [spoilt.result(60), mlq.submit(2).result(60)] == [1, 2]


def test_garbage_among_the_leases_is_swept_away(mlq: MLQ, raw: Any, namespace: str) -> None:
    """By the look for lapsed leases, which goes on."""
    leases = f"{{{namespace}}}:leases"
    raw.zadd(leases, {"garbage": 1, "5:no.job": 1, ":": 1, "::::": 1})
    mlq.create_listener(lambda message: message)
    assert mlq.submit(2).result(60) == 2
    for _ in range(600):
        if not raw.zcard(leases):
            break
        mlq._worker.stopped.wait(0.01)
    assert raw.zcard(leases) == 0
    assert mlq.submit(3).result(60) == 3


def test_a_message_that_vanished_is_told(mlq: MLQ, raw: Any, namespace: str) -> None:
    """The waiting client is not left waiting."""
    job = mlq.submit(1)
    raw.delete(f"{{{namespace}}}:post:{job.id}")
    mlq.create_listener(lambda message: message)
    assert mlq.submit(2).result(60) == 2
    with pytest.raises(Exception, match=r"missing|no job"):
        job.result(60)
