"""A pipeline goes on, whatever the keys of another one hold."""

import pytest

from mlq.core import codec
from mlq.core.job import Outcome, Record
from mlq.core.job_options import pack_body
from mlq.core.states import State
from mlq.ops import jobs as job_ops
from mlq.ops import settling as settle_ops
from mlq.ops.settling import Ending
from tests.scripts.pipes import LOSSES
from tests.scripts.test_garbage import BYTES, damages, of_another_type, put_back

pytestmark = pytest.mark.slow

PARTS = [
    1, "x", [], {"root": 7, "tail": [], "into": {}}, {"root": "x", "into": "99999999999999999", "tail": "-1"},
    {"root": "999", "tail": "999", "into": "999"}, {"root": "9" * 40},
]  # fmt: skip


def pipeline(pipes):
    """A split whose first part runs, one part held back, and a job after it; the attempt, and the join."""
    root = pipes.post()
    after = pipes.post(f"fail {root}")
    (claimed,) = pipes.take(root)
    join, parts = pipes.split(claimed, 3, at_once=2)
    (running,) = pipes.take(parts[0])
    pipes.end(parts[1])
    return running, join, {root, after, join, *parts}


def success(claimed):
    return Ending(claimed, Outcome(State.SUCCEEDED, {"result": b"\x01"}, "1"), Record.parse(claimed.record).options)


def own_keys(raw, keys, ids):
    """The keys of these jobs alone, but for their records, which never change."""
    stems = {(keys.job + one).encode() for one in ids}
    return [name for name in raw.scan_iter("*:job:*", count=1000) if name in stems or name.rpartition(b":")[0] in stems]


ACTS = {
    "succeed": lambda pipes, one: [success(one)],
    "fail": lambda pipes, one: [success(one)._replace(outcome=Outcome(State.FAILED, {"reason": "error"}))],
    "cancel": lambda pipes, one: pipes.cancel(one.id) and None,
}


@pytest.mark.parametrize("act", ACTS)
def test_another_pipeline_goes_on(pipes, world, raw, keys, act):
    """Whatever becomes of the damaged one: chores are done, and both claims and looks go on."""
    broken, _, own = pipeline(pipes)
    healthy, join, _ = pipeline(pipes)
    names = list(raw.scan_iter("*" + keys.root.replace("-", "\\-")[1:] + "*", count=1000))
    kept = [(name, max(0, raw.pttl(name)), raw.dump(name)) for name in names]
    for name in own_keys(raw, keys, own):
        changes = [("another type", lambda name=name: of_another_type(raw, name)), *damages(raw, name, own=False)]
        if raw.type(name) == b"list":
            changes += [(f"item {value!r}", lambda value=value, name=name: raw.lset(name, 0, value)) for value in BYTES]
        for how, damage in changes:
            damage()
            what = f"{name!r} is {how}"
            try:
                endings = ACTS[act](pipes, broken) or []
                assert pipes.run(settle_ops.settle(keys, [*endings, success(healthy)], LOSSES))[-1], what
            except Exception as error:
                if act == "cancel" and name.endswith(broken.id.encode()):
                    pipes.run(settle_ops.settle(keys, [success(healthy)], LOSSES))
                else:
                    raise AssertionError(what) from error
            pipes.chores()
            world.watched()
            world.reap()
            (last,) = [one for one in world.claim(20) if int(one.id) > int(join)]
            assert world.settle(last), what
            pipes.chores()
            assert pipes.state(join) == "queued", what
            put_back(raw, keys, kept)


@pytest.mark.parametrize("part", PARTS, ids=repr)
def test_a_record_may_say_anything(pipes, world, part):
    """Of its part: other jobs end all the same, and so does this one."""
    body = pack_body(codec.pack(None), {"part": part, "after": [1, {}, "x", None], "on_failure": 5})
    world.run(job_ops.post(pipes.keys, "poster", world.number(), "default", [body] * 4))
    one, other, third, fourth = world.claim(4)
    plain = Record.parse(world.raw.get(pipes.keys.post + pipes.post())).options
    for claimed in (one, other):
        ending = Ending(claimed, Outcome(State.FAILED, {"reason": "error"}), plain)
        assert world.run(settle_ops.settle(pipes.keys, [ending], LOSSES)) == [True]
    for claimed in (third, fourth):
        world.lapse(claimed)
    world.watched()
    world.reap()
    pipes.cancel(third.id)
    pipes.requeue(third.id)
    pipes.requeue(one.id)
    pipes.cancel(fourth.id)
    for claimed in (other, fourth):
        pipes.run(job_ops.discard(pipes.keys, other.id) if claimed is other else job_ops.delete(pipes.keys, fourth.id))
    pipes.chores()
    assert pipes.states(one.id, other.id, third.id, fourth.id) == ["queued", "gone", "queued", "gone"]


@pytest.mark.parametrize(
    "stored", [b"\xff", b"\xc0", b"\x93\x01\x02\x03", b"\x92\xa3end\xa3abc", b"\x91\xa6cancel", b""]
)
def test_chores_may_say_anything(pipes, stored):
    """They are done as far as that is possible."""
    pipes.raw.rpush(pipes.keys.chores, stored, stored)
    pipes.post()
    pipes.post("fail 1")
    pipes.end("1")
    pipes.chores()
    assert pipes.states("1", "2") == ["succeeded", "queued"]
    assert not pipes.raw.exists(pipes.keys.chores)


def test_chores_that_say_nothing_are_bounded_too(pipes):
    """One script meets no more of them than of those that say something."""
    pipes.raw.rpush(pipes.keys.chores, *[b""] * 1200)
    left = pipes.run(job_ops.chores(pipes.keys))
    assert 0 < left == pipes.raw.llen(pipes.keys.chores)
    pipes.chores()
    assert not pipes.raw.exists(pipes.keys.chores)


@pytest.mark.parametrize("value", [None, b"text", *BYTES], ids=repr)
def test_a_plan_that_is_damaged(pipes, world, value):
    """The attempt's job fails; the others of the same call end as they do."""
    pipes.post()
    one, other = pipes.take("1", pipes.post())
    pipes.plan(one, [3])
    plan = f"{pipes.keys.job}{one.lease}:plan"
    if value is None:
        pipes.raw.delete(plan)
    elif value == b"text":
        pipes.raw.delete(plan)
        pipes.raw.set(plan, value)
    else:
        pipes.raw.lset(plan, 0, value)
    outcome = Outcome(State.BLOCKED, {"plan": "10"})
    endings = [Ending(one, outcome, Record.parse(one.record).options), success(other)]
    assert pipes.run(settle_ops.settle(pipes.keys, endings, LOSSES, "e r")) == [True, True]
    assert pipes.states(one.id, other.id) == ["failed", "succeeded"]
    pipes.raw.delete(plan)
