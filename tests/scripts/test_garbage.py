"""What workers do time and again goes on, whatever one key of the namespace holds."""

import time

import pytest

from mlq.core.identity import JobId
from mlq.core.states import State
from mlq.ops import deliveries as delivery_ops
from mlq.ops import jobs as job_ops
from mlq.ops import presence as presence_ops
from mlq.ops import stats as stats_ops
from mlq.ops import uploads as upload_ops
from mlq.ops import work as work_ops

pytestmark = pytest.mark.slow

BYTES = (b"", b"\xff\xfe", b"nan", b"-1e999", b"a\nb\nc", b"9" * 40)


def of_another_type(raw, name):
    if raw.type(name) == b"list":
        raw.delete(name)
        raw.set(name, b"\xff")
    else:
        raw.delete(name)
        raw.rpush(name, b"\xff")


def damages(raw, name, *, own):
    """Functions that damage a key, each in another way; one that is of a job or worker alone may change its type."""
    kind = raw.type(name)
    if own:
        yield "another type", lambda: of_another_type(raw, name)
    for value in BYTES:
        if kind == b"string":
            yield f"{value!r}", lambda value=value: raw.set(name, value)
        elif kind == b"hash":
            for field in raw.hkeys(name):
                yield f"{field!r}={value!r}", lambda field=field, value=value: raw.hset(name, field, value)
        elif kind in (b"zset", b"set") and not own:
            add = raw.zadd if kind == b"zset" else lambda name, members: raw.sadd(name, *members)
            yield f"member {value!r}", lambda value=value, add=add: add(name, {value: time.time() - 100})


@pytest.fixture
def scene(world, raw, keys):
    """A lapsed lease and a due retry of healthy jobs, and beside each a job to be damaged; all keys, to be put back."""
    lapsed, lapsed_beside = world.running(webhook="http://localhost/"), world.running(webhook="http://localhost/")
    due, due_beside = world.scheduled(), world.scheduled()
    running, dead, queued = world.running(), world.failed(webhook="http://localhost/"), world.post()[0]
    world.run(presence_ops.alive(keys, "w", 60, {"slots": 1, "queues": "default"}))
    world.lapse(lapsed)
    world.lapse(lapsed_beside)
    world.come_due()
    world.watched()
    beside = {lapsed_beside.id, due_beside.id, running.id, dead.id, queued}
    names = list(raw.scan_iter("*" + keys.root.replace("-", "\\-")[1:] + "*", count=1000))
    kept = [(name, max(0, raw.pttl(name)), raw.dump(name)) for name in names]
    return (lapsed.id, due.id), beside, kept


def put_back(raw, keys, kept):
    for name in set(raw.scan_iter("*" + keys.root.replace("-", "\\-")[1:] + "*", count=1000)) - {
        one[0] for one in kept
    }:
        raw.delete(name)
    for name, milliseconds, dumped in kept:
        raw.restore(name, milliseconds, dumped, replace=True)


def test_recovery_goes_on(world, raw, keys, scene):
    """Healthy jobs whose lease ran out or whose retry is due wait again after one look; all other duties answer."""
    healthy, beside, kept = scene
    own_stems = tuple((stem + job_id).encode() for stem in (keys.post, keys.job) for job_id in beside)
    not_ours = tuple((stem + job_id).encode() for stem in (keys.post, keys.job) for job_id in healthy)
    duties = [
        presence_ops.alive(keys, "w", 60, {"slots": 1}),
        work_ops.overrun(keys, 1e6, 1),
        work_ops.apart(keys, "w", 1.0),
        stats_ops.tally(keys, "w", 1, []),
        stats_ops.stats(keys),
        delivery_ops.take(keys, "webhook", 10, 20.0, 3),
        delivery_ops.take(keys, "callback", 10, 20.0, 3),
    ]
    for name, _, _ in kept:
        if name in not_ours or name.endswith(b":format") or b":replay:" in name:
            # another layout is said, and no reason to go on; a caller's last call is the caller's own
            continue
        own = name.endswith(own_stems)
        for how, damage in damages(raw, name, own=own):
            world.watched()
            damage()
            what = f"{name!r} is {how}"
            world.reap()
            world.watched()
            world.reap()
            for job_id in healthy:
                assert raw.hget(keys.job + job_id, "state") == b"queued", (what, job_id)
            for duty in duties:
                world.run(duty)
            claimed = world.claim(20)
            assert {one.id for one in claimed} >= set(healthy), what
            for one in claimed:
                if one.id in healthy:
                    assert world.settle(one, State.SUCCEEDED), what
            put_back(raw, keys, kept)


def test_a_lane_of_another_type_stops_nobody(world, raw, keys):
    """Workers that serve it register and claim what else there is; counts leave it out."""
    (good,) = world.post()
    raw.sadd(keys.lanes, "gpu", "default:f")
    raw.set(keys.lane + "gpu", "text")
    raw.rpush(keys.lane + "default:f", "text")
    assert world.run(job_ops.counts(keys)).lanes == {"default": 1}
    assert world.run(stats_ops.stats(keys)).waiting == 1
    assert [one.id for one in world.claim(9)] == [good]
    assert raw.smembers(keys.lanes) == set()


def test_a_job_of_another_type_does_not_hold_up_those_that_wait_to_run_apart(world, raw, keys):
    """Neither the look for them nor the claim of one."""
    jobs = [world.running(), world.running()]
    for one in jobs:
        raw.hset(keys.job + one.id, "losses", 1)
        assert world.die(one)
    damaged, healthy = (one.id for one in jobs)
    of_another_type(raw, keys.job + damaged)
    assert [job_id for job_id, *_ in world.run(work_ops.apart(keys, "w", 0)).jobs] == [damaged, healthy]
    for number, job_id in enumerate((damaged, healthy), 1):
        (claimed,) = world.run(work_ops.claim_apart(keys, "w", number, job_id, 60))
        assert world.settle(claimed, State.SUCCEEDED)


def test_a_worker_of_another_type_hides_no_other(world, raw, keys):
    """Nor does it keep an upload from being told."""
    world.run(presence_ops.alive(keys, "w", 60, {"slots": 2, "queues": "default", "uploads": "accepted"}))
    world.run(presence_ops.alive(keys, "damaged", 60, {"slots": 1}))
    of_another_type(raw, keys.worker + "damaged")
    assert world.run(stats_ops.stats(keys)).slots == 2
    world.run(upload_ops.put(keys, "f", b"head", b"code"))
    assert raw.lrange(keys.inbox + "w", 0, -1) == [b"uploads"]
    raw.delete(keys.worker + "damaged")


def test_a_set_of_lanes_of_another_type_stops_nobody(world, raw, keys):
    """Jobs are posted, claimed, handed back and settled; the set is there again with the next post."""
    world.serving()
    (first,) = world.post()
    raw.delete(keys.lanes)
    raw.set(keys.lanes, "text")
    assert world.run(job_ops.counts(keys)).waiting == world.run(stats_ops.stats(keys)).waiting == 0
    claimed = world.claim()[0]
    assert world.run(work_ops.hand_back(keys, [(claimed, False)])) == [True]
    assert raw.type(keys.lanes) == b"set"
    raw.delete(keys.lanes)
    raw.set(keys.lanes, "text")
    (second,) = world.post()
    taken = world.claim(5)
    assert [one.id for one in taken] == [first, second]
    assert all(world.settle(one) for one in taken)


def test_a_lane_of_another_type_takes_jobs_again(world, raw, keys):
    """Those that are posted, and those that come back: none is lost."""
    back, again = world.running(), world.failed()
    raw.set(keys.lane + "default", "text")
    (posted,) = world.post()
    raw.set(keys.lane + "default", "text")
    assert world.run(work_ops.hand_back(keys, [(back, False)])) == [True]
    world.run(job_ops.requeue(keys, JobId(again.id)))
    assert world.settle(world.claim()[0])
    raw.set(keys.lane + "default", "text")
    world.run(job_ops.cancel(keys, JobId(again.id)))
    raw.delete(keys.lane + "default")
    assert world.raw_job(again.id)["state"] == b"cancelled"
    assert raw.exists(keys.post + posted)


def test_a_dead_letter_of_another_type_is_requeued(world, raw, keys):
    """It does not stop those behind it."""
    dead = world.failed()
    of_another_type(raw, keys.job + dead.id)
    world.run(job_ops.requeue(keys, JobId(dead.id)))
    (claimed,) = world.claim()
    assert claimed.id == dead.id
    assert world.settle(claimed)


def test_lapsed_leases_are_taken_though_the_note_of_their_worker_is_of_another_type(world, raw, keys):
    """It counts as one that is not there."""
    lapsed = [world.running(), world.running()]
    for one in lapsed:
        world.lapse(one)
    raw.rpush(keys.lost + "worker", "text")
    world.watched()
    assert world.reap().taken == 2
    assert {one.id for one in world.claim(5)} == {one.id for one in lapsed}


def test_what_waits_for_a_job_may_be_of_another_type(world, raw, keys):
    """The job is settled all the same, and waiters whose inbox is whole are told."""
    for job_id, name in (("1", keys.waiters + "1"), ("2", keys.inbox + "damaged"), ("3", keys.stream + "3")):
        one = world.running()
        world.run(job_ops.wait(keys, JobId(job_id), "damaged", 10))
        world.run(job_ops.wait(keys, JobId(job_id), "whole", 10))
        of_another_type(raw, name)
        world.run(work_ops.report(keys, one, b"\x01", [(1, "chunk", b"\x01")]))
        assert world.settle(one)
        assert (raw.llen(keys.inbox + "whole") > 0) is (job_id != "1")
        raw.delete(keys.inbox + "whole", keys.inbox + "damaged")
