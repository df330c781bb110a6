"""The callback outbox: taken under a lease, tried a bounded number of times, ended once."""

import time

from mlq.ops import callbacks as callback_ops
from mlq.ops import jobs as job_ops

URL = "http://localhost/done"


def queued(world, said="4"):
    """The callback of a job that ended, taken for its first try."""
    world.settle(world.running(callback=URL), said=said)
    (callback,) = world.run(callback_ops.take(world.keys, 10, 10.0, 3))
    return callback


def come_due(world):
    """Let every callback come due."""
    for job_id in world.raw.zrange(world.keys.callbacks, 0, -1):
        world.raw.zadd(world.keys.callbacks, {job_id: time.time() - 1})


def test_take(world, keys, about):
    """It comes due again when the sender dies."""
    world.settle(world.running(callback=URL), said="four")
    due, changed = world.changes(callback_ops.take(keys, 10, 10.0, 3))
    (callback,) = due
    assert (callback.id, callback.attempt, callback.url, callback.success, callback.short_result) == (
        "1",
        1,
        URL,
        "1",
        "four",
    )
    assert changed["callbacks"] == {"1": about(10)}
    assert changed["callback:1"]["tries"] == "1"
    assert world.run(callback_ops.take(keys, 10, 10.0, 3)) == []


def test_short_result_that_is_left_out(world):
    """None is not the empty text."""
    assert queued(world, said=None).short_result is None


def test_nothing_due(world, keys):
    """Nothing is written, and nothing is to come."""
    due, changed = world.changes(callback_ops.take(keys, 10, 10.0, 3))
    assert (due, changed) == ([], {})


def test_oldest_first_and_bounded(world, keys):
    """So many as asked for."""
    for _ in range(3):
        world.settle(world.running(callback=URL))
    assert [one.id for one in world.run(callback_ops.take(keys, 2, 10.0, 3))] == ["1", "2"]
    assert [one.id for one in world.run(callback_ops.take(keys, 2, 10.0, 3))] == ["3"]


def test_sent(world, keys):
    """It leaves the outbox, and the job tells."""
    callback = queued(world)
    _, changed = world.changes(callback_ops.end(keys, callback, "sent", None))
    assert changed["callbacks"] is None
    assert changed["callback:1"] is None
    assert changed["job:1"]["callback_outcome"] == "sent"


def test_failed_try_comes_due_later(world, keys, about):
    """After the pause, with the next number."""
    callback = queued(world)
    _, changed = world.changes(callback_ops.end(keys, callback, "answered 500", 60.0))
    assert changed["callbacks"] == {"1": about(60)}
    assert changed["job:1"]["callback_outcome"] == "answered 500"
    come_due(world)
    assert world.run(callback_ops.take(keys, 1, 10.0, 3))[0].attempt == 2


def test_sender_that_died_every_time(world, keys):
    """No callback is tried more than three times, whoever tries."""
    attempts = [queued(world).attempt]
    for _ in range(3):
        come_due(world)
        attempts += [one.attempt for one in world.run(callback_ops.take(keys, 10, 10.0, 3))]
    assert attempts == [1, 2, 3]
    assert {"callbacks", "callback:1"}.isdisjoint(world.look())


def test_late_end_of_an_older_try_changes_nothing(world, keys):
    """Only the current try is recorded."""
    first = queued(world)
    come_due(world)
    world.run(callback_ops.take(keys, 1, 10.0, 3))
    with world.unchanged():
        world.run(callback_ops.end(keys, first, "sent", None))


def test_end_after_the_job_was_deleted(world, keys):
    """Nothing comes back to life."""
    callback = queued(world)
    world.run(job_ops.delete(keys, "1"))
    with world.unchanged():
        world.run(callback_ops.end(keys, callback, "sent", 5.0))


def test_entry_whose_text_lapsed_is_dropped(world, keys):
    """The outbox does not keep what can't be sent."""
    queued(world)
    world.raw.delete(keys.callback + "1")
    come_due(world)
    _, changed = world.changes(callback_ops.take(keys, 10, 10.0, 3))
    assert changed == {"callbacks": None}


def test_outcome_of_a_new_run_is_told_anew(world, keys):
    """Once per outcome; an older callback that was not sent yet makes room."""
    one = world.failed(callback=URL)
    world.run(job_ops.requeue(keys, one.id))
    world.settle(world.claim()[0])
    (callback,) = world.run(callback_ops.take(keys, 10, 10.0, 3))
    assert (callback.attempt, callback.success) == (1, "1")
