"""Ids after losses: the epoch that posts name, and answers about another job of the same id."""

import pytest

from mlq.core.identity import JobId
from mlq.core.job import announced
from mlq.errors import JobLost, UnknownJob
from mlq.ops import deliveries as delivery_ops
from mlq.ops import following as follow_ops
from mlq.ops import jobs as job_ops
from mlq.ops import lists as list_ops
from mlq.ops import posting as post_ops
from mlq.shell.known_ids import KnownIds

FAR = 1_000_000  # ids that are left out at a loss, at least
ELSEWHEN = "1000000000.000001"


def post(world, epoch, caller="me"):
    return world.run(job_ops.post(world.keys, caller, world.number(), "default", [b"0\n\x01"], epoch=epoch))


def test_a_new_namespace_begins_with_1(world, keys):
    epoch, changed = world.changes(post_ops.sync_counter(keys, "run", 0))
    assert changed == {"counter": "0", "epoch": epoch}
    assert epoch.endswith(" run")
    assert post(world, epoch).first == 1


@pytest.mark.parametrize(("counted", "first"), [("iris:loads", 1), ("default:attempts:succeeded", FAR + 1)])
def test_only_attempts_tell_of_earlier_jobs(world, keys, counted, first):
    """A worker counts the loads of its models before there is a job."""
    world.raw.hset(keys.metrics, mapping={"queues": 1, counted.partition(":")[0] + ":": 1, counted: 2})
    assert post(world, world.run(post_ops.sync_counter(keys, "run", 0))).first == first


def test_a_known_epoch_changes_nothing(world, keys):
    epoch = world.run(post_ops.sync_counter(keys, "run", 0))
    post(world, epoch)
    for run in ("run", ""):
        assert world.changes(post_ops.sync_counter(keys, run, 1)) == (epoch, {})


@pytest.mark.parametrize("loss", ["all", "the epoch", "the counter", "nothing, but the epoch is another"])
def test_a_post_under_another_epoch_posts_nothing(world, keys, loss):
    epoch = world.run(post_ops.sync_counter(keys, "run", 0))
    post(world, epoch)
    gone = {"all": world.look(), "the epoch": ["epoch"], "the counter": ["counter"]}.get(loss, [])
    world.raw.delete("nothing", *(keys.root + name for name in gone))
    with world.unchanged():
        assert post(world, epoch if gone else "other run") is None


def test_the_first_answer_stands_though_the_epoch_changed_meanwhile(world, keys):
    """The call was carried out; its reply was lost, and with it the connection."""
    op = job_ops.post(keys, "me", 1, "default", [b"0\n\x01"], epoch=world.run(post_ops.sync_counter(keys, "run", 0)))
    posted = world.run(op)
    world.run(post_ops.sync_counter(keys, "another", 1))
    assert world.changes(op) == (posted, {})


@pytest.mark.parametrize("garbage", [b"\xff\xfe run", b"", b"x", b"a\nb run", b"a b c"])
def test_an_epoch_that_nobody_wrote_is_a_lost_one(world, keys, garbage):
    """Else nobody could ever post again."""
    post(world, world.run(post_ops.sync_counter(keys, "run", 0)))
    world.raw.set(keys.epoch, garbage)
    epoch = world.run(post_ops.sync_counter(keys, "run", 1))
    assert epoch.endswith(" run")
    assert post(world, epoch).first == 2


def test_a_new_run_of_the_server_leaves_ids_out(world, keys):
    """Its last writes may be lost."""
    first = world.run(post_ops.sync_counter(keys, "run", 0))
    post(world, first)
    epoch, changed = world.changes(post_ops.sync_counter(keys, "another", 0))
    assert changed == {"counter": str(1 + FAR), "epoch": epoch, "skipped-ids": {"1": 1.0 + FAR}}
    assert post(world, epoch).first == 2 + FAR
    assert world.run(post_ops.sync_counter(keys, "another", 0)) == epoch


def test_whoever_meets_another_epoch_has_ids_left_out_that_others_may_have_seen(world, keys):
    """Those may be idle, and not have met it yet; once is enough."""
    before = world.run(post_ops.sync_counter(keys, "run", 0))
    world.post(5)
    world.raw.delete(*(keys.root + name for name in world.look()))
    epoch = world.run(post_ops.sync_counter(keys, "run", 0))
    world.post(3)
    assert world.run(post_ops.sync_counter(keys, "run", 1, before)) == epoch
    assert post(world, epoch).first == 4 + FAR
    with world.unchanged():
        world.run(post_ops.sync_counter(keys, "run", 2, before))


@pytest.mark.parametrize("lost", ["all", "counter", "nothing"])
def test_whoever_saw_higher_ids_has_them_left_out(world, keys, lost):
    world.run(post_ops.sync_counter(keys, "run", 0))
    world.post(3)
    if lost != "nothing":
        world.raw.delete(*(keys.root + name for name in world.look() if lost in ("all", name)))
    epoch = world.run(post_ops.sync_counter(keys, "run", 500))
    assert post(world, epoch).first == 501 + FAR


def test_a_counter_alone_that_is_lost(world, keys):
    """Nobody knows an id, but the namespace is not new."""
    epoch = world.run(post_ops.sync_counter(keys, "run", 0))
    world.post(3)
    world.raw.delete(keys.counter)
    assert post(world, epoch) is None
    epoch = world.run(post_ops.sync_counter(keys, "run", 0))
    assert epoch.startswith("!")  # ids are looked at from now on
    assert post(world, epoch).first == 1 + FAR


@pytest.mark.parametrize("left", ["lanes", "metrics", "dead"])
def test_a_counter_that_is_lost_with_its_epoch(world, keys, left):
    """What else there is tells that the namespace is not new."""
    epoch = world.run(post_ops.sync_counter(keys, "run", 0))
    world.failed()
    world.raw.delete(*(keys.root + name for name in world.look() if name != left))
    if left == "metrics":
        world.raw.hset(keys.metrics, "default:attempts:succeeded", 1)
    if left == "lanes":
        world.raw.sadd(keys.lanes, "default")
    epoch = world.run(post_ops.sync_counter(keys, "run", 0))
    assert epoch.startswith("!")
    assert post(world, epoch).first == 1 + FAR


def test_clearing_counts_on_without_a_leap(world, keys):
    world.run(post_ops.sync_counter(keys, "run", 0))
    world.post(3)
    world.raw.delete(*(keys.root + name for name in world.look() if name != "counter"))
    epoch = world.run(post_ops.sync_counter(keys, "run", 3))
    assert post(world, epoch).first == 4


@pytest.mark.parametrize("left", ["post", "job", "stream"])
@pytest.mark.parametrize("place", [1, 3])
def test_nothing_is_overwritten_once_the_counter_was_lost(world, keys, left, place):
    """Neither a record, nor a result, nor what a job said."""
    world.run(post_ops.sync_counter(keys, "run", 0))
    key = getattr(keys, left) + str(FAR + place)
    world.raw.delete(keys.counter)
    world.raw.hset(key, "result", "secret")
    epoch = world.run(post_ops.sync_counter(keys, "run", 0))
    posted = world.run(job_ops.post(keys, "me", 1, "default", [b"0\n\x01"] * 3, epoch=epoch))
    assert posted.first == 1 + 2 * FAR
    assert world.raw.hgetall(key) == {b"result": b"secret"}
    assert "skipped-ids" not in world.look()  # lists must find what is there
    world.raw.delete(key)


@pytest.mark.parametrize("place", [1, 3])
def test_a_counter_that_lies_overwrites_nothing(world, keys, place):
    """It counts as lost."""
    epoch = world.run(post_ops.sync_counter(keys, "run", 0))
    world.raw.set(f"{keys.post}{place}", "secret")
    op = job_ops.post(keys, "me", 1, "default", [b"0\n\x01"] * 3, epoch=epoch)
    assert world.changes(op) == (None, {"counter": None})
    epoch = world.run(post_ops.sync_counter(keys, "run", 0))
    assert post(world, epoch).first == 1 + FAR
    assert world.raw.get(f"{keys.post}{place}") == b"secret"


def test_lists_pass_over_what_was_left_out(world, keys):
    """Ten restarts, and all jobs are on one page."""
    ids = [post(world, world.run(post_ops.sync_counter(keys, f"run {turn}", 0))).first for turn in range(10)]
    page, more = world.run(list_ops.listing(keys))
    assert ([int(job.id) for job in page], more) == (ids[::-1], "0")
    page, more = world.run(list_ops.listing(keys, str(ids[5]), 2))
    assert [int(job.id) for job in page] == [ids[4], ids[3]]


ASKS = {
    "read": job_ops.read,
    "info": job_ops.info,
    "glance": job_ops.glance,
    "outcome": job_ops.outcome,
    "wait": lambda keys, job_id: job_ops.wait(keys, job_id, "me", 10),
    "follow": lambda keys, job_id: follow_ops.follow(keys, job_id, "", 10, ("", b""), (0, 0)),
    "place": job_ops.place,
    "cancel": job_ops.cancel,
    "requeue": job_ops.requeue,
    "delete": job_ops.delete,
    "discard": job_ops.discard,
    "redeliver": delivery_ops.redeliver,
}


@pytest.mark.parametrize("ask", ASKS.values(), ids=ASKS)
def test_another_job_of_that_id_is_no_answer(world, keys, ask):
    """Nor is anything done to it, but that a waiter, who sleeps on his inbox already, is woken."""
    world.failed()
    before = world.look()
    with pytest.raises(JobLost, match="job 1 "):
        world.run(ask(keys, JobId("1", ELSEWHEN)))
    world.raw.delete(keys.inbox + "me")
    assert world.look() == before


@pytest.mark.parametrize("ask", ASKS.values(), ids=ASKS)
def test_a_job_of_which_only_the_end_is_left_is_no_answer(world, keys, ask):
    """Whose it was is not known any more."""
    world.failed()
    world.raw.delete(keys.post + "1")
    with pytest.raises(UnknownJob):
        world.run(ask(keys, JobId("1", ELSEWHEN)))


@pytest.mark.parametrize("name", ["read", "info", "glance", "outcome", "wait", "follow"])
def test_an_id_means_the_job_of_its_first_answer(world, keys, name):
    world.running()
    job_id = JobId("1")
    world.run(ASKS[name](keys, job_id))
    assert job_id.stamp == world.look()["post:1"][1]
    world.run(ASKS[name](keys, job_id))
    world.raw.delete(*(keys.root + key for key in world.look()))
    with pytest.raises(UnknownJob):
        world.run(ASKS[name](keys, job_id))
    world.running()
    with pytest.raises(JobLost):
        world.run(ASKS[name](keys, job_id))


def test_a_waiter_learns_whose_end_it_is(world, keys):
    claimed = world.running()
    world.run(job_ops.wait(keys, "1", "me", 10))
    world.settle(claimed)
    (told,) = world.raw.lrange(keys.inbox + "me", 0, -1)
    job_id, fields = announced(told)
    assert (job_id, job_id.stamp) == ("1", world.look()["post:1"][1])
    assert fields == world.raw_job("1")


def test_an_attempt_that_lost_its_job_waits_for_none(world, keys):
    """Another job may have its id."""
    claimed = world.running()
    world.post()
    world.run(job_ops.wait(keys, "2", "me", 10, f"{claimed.id}:stranger"))
    assert "waits_for" not in world.raw_job("1")
    world.run(job_ops.wait(keys, "2", "me", 10, claimed.lease))
    assert world.raw_job("1")["waits_for"] == b"2"


@pytest.mark.parametrize("counted", ["99999999999999", "999999999999990", "9007199254740993", "1e14"])
def test_a_counter_beyond_all_ids_loses_no_job(world, keys, counted):
    """It counts as lost: posts go on with ids that are free, also of a program that has seen such an id."""
    world.raw.set(keys.counter, counted)
    known = KnownIds(keys)
    for highest in (0, 999_999_999_999_990):
        known.saw([highest])
        world.run(known.sync_counter("run"))
        op = job_ops.post(keys, "me", world.number(), "default", [b"0\n\x01"] * 20, epoch=known.epoch("run"))
        posted = world.run(op)
        assert posted is not None
        assert {one.id for one in world.claim(20)} == set(map(str, posted.ids()))
