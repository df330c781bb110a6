"""Uploaded listeners are kept and removed, and the workers that accept some are told."""

import pytest

from mlq.ops import presence as presence_ops
from mlq.ops import uploads as upload_ops


@pytest.fixture
def workers(world, keys):
    """One that accepts uploads, one that does not, and one that accepted them and is gone."""
    for name, uploads, seconds in (
        ("eager", "accepted", 10.0),
        ("strict", "refused", 10.0),
        ("gone", "accepted", -1.0),
    ):
        world.run(presence_ops.alive(keys, name, seconds, {"uploads": uploads}))
    yield
    world.raw.delete(keys.workers)


def test_kept_and_told(world, keys, workers, about):
    """Those that listen by their inboxes, the others by the version."""
    _, changed = world.changes(upload_ops.put(keys, "f", b"head", b"code"))
    uploads = changed.pop("uploads")
    assert uploads["f"].split()[1] == "head"
    assert uploads["f"].split()[0] == about()
    assert changed == {"upload:f": "code", "uploads-version": about(), "inbox:eager": ["uploads"]}
    assert 0 < world.raw.ttl(keys.inbox + "eager") <= 60


def test_replaced(world, keys):
    """By the newer one of its name, and the version is another."""
    versions = []
    for code in (b"older", b"newer"):
        world.run(upload_ops.put(keys, "f", b"head", code))
        versions.append(world.run(upload_ops.version(keys)))
    assert versions[0] < versions[1]
    assert world.run(upload_ops.read(keys, "f", 100))[1] == b"newer"
    assert list(world.run(upload_ops.heads(keys))) == ["f"]


def test_no_more_is_read_than_may_be(world, keys):
    """Whoever can write to Redis may have put a gigabyte there."""
    world.run(upload_ops.put(keys, "f", b"head", b"0123456789"))
    assert world.run(upload_ops.read(keys, "f", 4))[1] == b"0123"


def test_removed(world, keys, workers):
    """Nothing stays of it, and who accepts uploads is told; a second time does nothing."""
    world.run(upload_ops.put(keys, "f", b"head", b"code"))
    world.run(upload_ops.put(keys, "g", b"head", b"code"))
    before = world.run(upload_ops.version(keys))
    assert world.run(upload_ops.remove(keys, "f"))
    assert list(world.run(upload_ops.heads(keys))) == ["g"]
    assert world.run(upload_ops.read(keys, "f", 100)) is None
    assert world.look()["inbox:eager"] == ["uploads"] * 3
    assert world.run(upload_ops.version(keys)) > before
    with world.unchanged():
        assert not world.run(upload_ops.remove(keys, "f"))


def test_a_worker_that_does_not_listen_is_told_a_hundred_times_at_most(world, keys, workers):
    for _ in range(101):
        world.run(upload_ops.put(keys, "f", b"head", b"code"))
    assert world.raw.llen(keys.inbox + "eager") == 100


def test_a_sign_of_life_is_answered_with_the_version(world, keys, workers):
    assert world.run(presence_ops.alive(keys, "eager", 10.0, {})) == ("", "")
    world.run(upload_ops.put(keys, "f", b"head", b"code"))
    assert world.run(presence_ops.alive(keys, "eager", 10.0, {}))[0] == world.run(upload_ops.version(keys))
