"""The outbox of deliveries: taken under a lease, tried a bounded number of times, ended once."""

import time

import pytest

from mlq.core import codec
from mlq.core.job import Outcome
from mlq.core.job_options import JobOptions
from mlq.core.states import State
from mlq.deliveries import webhook
from mlq.errors import UnknownJob, WrongState
from mlq.ops import deliveries as delivery_ops
from mlq.ops import jobs as job_ops
from mlq.ops import settling as settle_ops
from mlq.ops import work as work_ops
from mlq.ops.settling import Ending

URL = "http://localhost/done"


def take(world, kind="callback", most=10):
    """What is due, taken as a sender does."""
    return world.run(delivery_ops.take(world.keys, kind, most, 10.0, 3))


def queued(world, said="4"):
    """The callback of a job that ended, taken for its first try."""
    world.settle(world.running(callback=URL), said=said)
    (callback,) = take(world)
    return callback


def told(world, **options):
    """The webhook of a job that ended, taken for its first try."""
    world.settle(world.running(webhook=URL, **options))
    (taken,) = take(world, "webhook")
    return taken


def come_due(world):
    """Let every delivery come due."""
    for name in world.raw.scan_iter(f"{world.keys.deliveries}*".replace("-", "\\-")):
        for job_id in world.raw.zrange(name, 0, -1):
            world.raw.zadd(name, {job_id: time.time() - 1})


def test_take(world, keys, about):
    """It comes due again when the sender dies."""
    world.settle(world.running(callback=URL), said="four")
    due, changed = world.changes(delivery_ops.take(keys, "callback", 10, 10.0, 3))
    (callback,) = due
    assert (callback.kind, callback.id, callback.attempt, callback.text("url")) == ("callback", "1", 1, URL)
    assert (callback.text("success"), callback.text("says"), callback.text("said")) == ("1", "1", "four")
    assert changed["deliveries:callback"] == {"1": about(10)}
    assert changed["delivery:callback:1"]["tries"] == "1"
    assert take(world) == []


def test_short_result_that_is_left_out(world):
    """None is not the empty text."""
    assert queued(world, said=None).text("says") == "0"


def test_nothing_due(world, keys):
    """Nothing is written, and nothing is to come."""
    due, changed = world.changes(delivery_ops.take(keys, "callback", 10, 10.0, 3))
    assert (due, changed) == ([], {})


def test_oldest_first_and_bounded(world, keys):
    """So many as asked for."""
    for _ in range(3):
        world.settle(world.running(callback=URL))
    assert [one.id for one in take(world, most=2)] == ["1", "2"]
    assert [one.id for one in take(world, most=2)] == ["3"]


def test_sent(world, keys):
    """It leaves the outbox, and the job tells."""
    callback = queued(world)
    _, changed = world.changes(delivery_ops.end(keys, callback, 204, "sent", None))
    assert changed["deliveries:callback"] is None
    assert changed["delivery:callback:1"] is None
    assert changed["job:1"]["callback_outcome"] == "sent"


def test_failed_try_comes_due_later(world, keys, about):
    """After the pause, with the next number."""
    callback = queued(world)
    _, changed = world.changes(delivery_ops.end(keys, callback, 500, "answered 500", 60.0))
    assert changed["deliveries:callback"] == {"1": about(60)}
    assert changed["job:1"]["callback_outcome"] == "answered 500"
    come_due(world)
    assert take(world, most=1)[0].attempt == 2


def test_sender_that_died_every_time(world, keys):
    """Tries that nobody ended count only after ten."""
    attempts = [queued(world).attempt]
    for _ in range(10):
        come_due(world)
        attempts += [one.attempt for one in take(world)]
    assert attempts == [1] * 10
    assert {"deliveries:callback", "delivery:callback:1"}.isdisjoint(world.look())


def test_no_more_tries_than_allowed(world, keys):
    """Whoever tries."""
    callback = queued(world)
    for attempt in (1, 2):
        assert callback.attempt == attempt
        world.run(delivery_ops.end(keys, callback, 500, "no", 5.0))
        come_due(world)
        (callback,) = take(world)
    assert callback.attempt == 3
    world.run(delivery_ops.end(keys, callback, 500, "no", 5.0))
    come_due(world)
    assert take(world) == []


def test_late_end_of_an_older_try_changes_nothing(world, keys):
    """Only the current try is recorded."""
    first = queued(world)
    come_due(world)
    take(world, most=1)
    with world.unchanged():
        world.run(delivery_ops.end(keys, first, 200, "sent", None))


def test_one_that_was_put_back(world, keys, about):
    """It is due later, and was not tried."""
    callback = queued(world)
    _, changed = world.changes(delivery_ops.put_back(keys, callback, 5.0))
    assert changed == {
        "deliveries:callback": {"1": about(5)}, "delivery:callback:1": {**changed["delivery:callback:1"], "tries": "0"}
    }  # fmt: skip
    come_due(world)
    (again,) = take(world)
    assert (again.attempt, again.taken) == (1, 1)
    for _ in range(12):  # more often than senders may die
        world.run(delivery_ops.put_back(keys, again, 5.0))
        come_due(world)
        (again,) = take(world)


def test_one_that_somebody_else_took_is_not_put_back(world, keys):
    callback = queued(world)
    come_due(world)
    (theirs,) = take(world)
    assert world.changes(delivery_ops.put_back(keys, callback, 5.0))[1] == {}
    world.run(delivery_ops.end(keys, theirs, 200, "sent", None))
    assert world.changes(delivery_ops.put_back(keys, theirs, 5.0))[1] == {}


def test_end_after_the_job_was_deleted(world, keys):
    """Nothing comes back to life."""
    callback = queued(world)
    world.run(job_ops.delete(keys, "1"))
    with world.unchanged():
        world.run(delivery_ops.end(keys, callback, None, "no", 5.0))


def test_entry_whose_text_lapsed_is_dropped(world, keys):
    """The outbox does not keep what can't be sent."""
    queued(world)
    world.raw.delete(keys.delivery + "callback:1")
    come_due(world)
    _, changed = world.changes(delivery_ops.take(keys, "callback", 10, 10.0, 3))
    assert changed == {"deliveries:callback": None}


def test_outcome_of_a_new_run_is_told_anew(world, keys):
    """Once per outcome; an older callback that was not sent yet makes room."""
    one = world.failed(callback=URL)
    world.run(job_ops.requeue(keys, one.id))
    world.settle(world.claim()[0])
    (callback,) = take(world)
    assert (callback.attempt, callback.text("success")) == (1, "1")


# --- webhooks


def test_webhook_is_queued_with_all_that_it_says(world, keys, about):
    """In the step that ends the job, and it lapses long after its last try."""
    one = world.running(webhook=URL, functions=["g", "f"])
    _, changed = world.changes(world.ending(one))
    assert changed["deliveries:webhook"] == {"1": about()}
    entry = changed["delivery:webhook:1"]
    assert entry.pop("head").startswith("default:f,g\n")
    assert entry == {
        "url": URL, "queued": about(), "tries": "0", "state": "succeeded", "attempts": "1", "finished": about(),
        "reason": "", "error": "", "error_type": "", "short": "\x04",
    }  # fmt: skip
    assert world.raw.ttl(keys.delivery + "webhook:1") > sum(webhook.PAUSES) + webhook.LONGEST
    assert "deliveries:callback" not in changed


def test_job_may_have_both(world, keys):
    """And each is a delivery of its own."""
    world.settle(world.running(callback=URL, webhook=URL + "/w"))
    assert [one.text("url") for one in take(world) + take(world, "webhook")] == [URL, URL + "/w"]


@pytest.mark.parametrize("end", ["failed", "cancelled", "timeout", "lost", "died"])
def test_every_end_is_told(world, keys, end):
    """With the state, and why."""
    one = world.running(webhook=URL)
    if end == "failed":
        world.settle(one, State.FAILED, None)
    elif end == "cancelled":
        world.run(job_ops.cancel(keys, "1"))
    elif end == "timeout":
        world.overdue(one, 100)
        world.run(work_ops.overrun(keys, 10.0, 0))
    elif end == "lost":
        world.watched()
        world.lapse(one)
        world.reap(losses=0)
    else:
        world.raw.hset(keys.job + "1", "losses", 9)
        world.die(one)
    (taken,) = take(world, "webhook")
    said = webhook.event(taken)
    reason = {"failed": "error", "died": "oom"}.get(end, end)
    assert (said["data"]["reason"], said["data"]["state"]) == (reason, "cancelled" if end == "cancelled" else "failed")
    assert said["type"] == f"job.{said['data']['state']}"
    assert take(world) == []


def test_retry_tells_nothing(world, keys):
    """It is no end."""
    world.scheduled(webhook=URL)
    assert take(world, "webhook") == []


@pytest.mark.parametrize(("size", "kept"), [(4000, True), (5000, False)])
def test_large_result_is_left_out(world, keys, size, kept):
    """A webhook is small, whatever the result."""
    one = world.running(webhook=URL)
    ending = Ending(one, Outcome(State.SUCCEEDED, {"result": codec.pack("x" * size)}), JobOptions(webhook=URL))
    world.run(settle_ops.settle(keys, [ending], 2))
    (taken,) = take(world, "webhook")
    assert ("short" in taken.fields) == kept


def test_short_result_is_told_beside_a_large_one(world, keys):
    """Where the listener told them apart."""
    one = world.running(webhook=URL)
    fields = {"result": codec.pack("x" * 9000), "short": codec.pack("brief")}
    world.run(settle_ops.settle(keys, [Ending(one, Outcome(State.SUCCEEDED, fields), JobOptions(webhook=URL))], 2))
    assert webhook.event(take(world, "webhook")[0])["data"]["short_result"] == "brief"


def test_log_of_tries(world, keys, about):
    """When, how, and when again; the last twenty."""
    taken = told(world)
    world.run(delivery_ops.end(keys, taken, 500, "answered 500", 60.0))
    (first,) = world.run(job_ops.read(keys, "1"))["deliveries"]
    assert first == {
        "kind": "webhook", "try": 1, "at": about(), "status": 500, "error": "answered 500", "next": about(60)
    }  # fmt: skip
    for number in range(25):
        world.run(delivery_ops.redeliver(keys, "1"))
        (taken,) = take(world, "webhook")
        world.run(delivery_ops.end(keys, taken, None, f"error {number}", None))
    world.run(delivery_ops.redeliver(keys, "1"))
    world.run(delivery_ops.end(keys, take(world, "webhook")[0], 204, "sent", None))
    tries = world.run(job_ops.read(keys, "1"))["deliveries"]
    assert [one["error"] for one in tries] == [f"error {number}" for number in range(6, 25)] + [None]
    assert (tries[-1]["status"], tries[-1]["next"], tries[-2]["status"]) == (204, None, None)
    assert world.run(job_ops.info(keys, "1"))["deliveries"] == tries


def test_failed_try_keeps_the_entry_alive(world, keys):
    """However long the pauses are."""
    taken = told(world)
    world.raw.expire(keys.delivery + "webhook:1", 60)
    world.run(delivery_ops.end(keys, taken, 500, "answered 500", 86_400.0))
    assert world.raw.ttl(keys.delivery + "webhook:1") > 600_000


def test_redelivered_event_is_the_same(world, keys):
    """With the same id, and all its tries again; a try that was under way counts no more."""
    taken = told(world)
    world.run(delivery_ops.redeliver(keys, "1"))
    (again,) = take(world, "webhook")
    assert (again.attempt, webhook.event(again), webhook.event_id_of(again)) == (
        1, webhook.event(taken), webhook.event_id_of(taken)
    )  # fmt: skip
    with world.unchanged():
        world.run(delivery_ops.end(keys, taken, 200, "sent", None))


def test_what_can_not_be_redelivered(world, keys):
    """Each with the reason, and nothing is written."""
    world.post()
    world.post(webhook=URL)
    world.settle(world.claim()[0])
    with world.unchanged():
        with pytest.raises(WrongState, match="without a webhook"):
            world.run(delivery_ops.redeliver(keys, "1"))
        with pytest.raises(WrongState, match="queued"):
            world.run(delivery_ops.redeliver(keys, "2"))
        with pytest.raises(UnknownJob):
            world.run(delivery_ops.redeliver(keys, "3"))


def test_webhook_of_a_job_that_expired(world, keys):
    """All that it says is in its own entry."""
    taken = told(world)
    world.raw.delete(keys.job + "1", keys.post + "1")
    come_due(world)
    (again,) = take(world, "webhook")
    assert webhook.event(again) == webhook.event(taken)
    world.run(delivery_ops.end(keys, again, 200, "sent", None))
    assert not {"job:1", "delivery:webhook:1", "deliveries:webhook"} & world.look().keys()


@pytest.mark.parametrize("change", [job_ops.requeue, job_ops.delete])
def test_webhook_of_an_end_that_is_no_more_is_not_sent(world, keys, change):
    """Neither of a job that runs again nor of one that is gone."""
    world.failed(webhook=URL)
    world.run(change(keys, "1"))
    assert not {"delivery:webhook:1", "deliveries:webhook"} & world.look().keys()


def test_each_end_has_an_id_of_its_own(world, keys):
    """So a receiver that drops what it had before misses nothing."""
    one = world.failed(webhook=URL)
    (first,) = take(world, "webhook")
    world.run(job_ops.requeue(keys, one.id))
    world.settle(world.claim()[0])
    (second,) = take(world, "webhook")
    assert webhook.event_id_of(first) != webhook.event_id_of(second)
    assert "." not in webhook.event_id_of(first)


def test_reap_counts_due_webhooks(world):
    """A worker that looks learns that one waits for a sender."""
    world.settle(world.running(webhook=URL))
    assert world.reap().deliveries_due == 1
