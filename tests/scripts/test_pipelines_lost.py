"""What waits for a job whose keys were damaged or lost: it ends, too, and says why. Each loss by one act."""

import pytest

from mlq.core import codec
from mlq.core.job import Outcome
from mlq.core.job_options import PLAIN
from mlq.core.states import State
from mlq.errors import UnknownJob
from mlq.ops import jobs as job_ops
from mlq.ops import pipelines as pipeline_ops
from mlq.ops import settling as settle_ops
from mlq.ops.settling import Ending
from tests.scripts.pipes import LOSSES


@pytest.fixture
def split(pipes):
    """The join and the parts of a split that job 1 became; job 2 comes after job 1."""
    root, _ = pipes.post(), pipes.post("fail 1")
    return pipes.split(pipes.take(root)[0], 3)


def claim_all(pipes, one):
    """Workers meet the record: it is missing, or can't be read, and says nothing of a pipeline."""
    for claimed in pipes.world.claim(50):
        if claimed.id == one:
            ending = Ending(claimed, Outcome(State.FAILED, {"reason": "error", "error": "damaged"}), PLAIN)
            assert pipes.run(settle_ops.settle(pipes.keys, [ending], LOSSES)) == [True]


def seen(pipes):
    """All but where the looks are."""
    return {name: value for name, value in pipes.world.look().items() if name != "reaping"}


def drop(*stems):
    def lose(pipes, one):
        for stem in stems:
            assert pipes.raw.delete(getattr(pipes.keys, stem) + one) or stem == "job"

    return lose


def damage(pipes, one):
    pipes.raw.set(pipes.keys.post + one, b"\xff")


def met(lose):
    def lose_and_claim(pipes, one):
        lose(pipes, one)
        claim_all(pipes, one)

    return lose_and_claim


def scheduled(pipes, one):
    (claimed,) = pipes.take(one)
    assert pipes.world.settle(claimed, State.FAILED, None, retry_in=600.0)
    pipes.raw.delete(pipes.keys.post + one)
    pipes.world.come_due()


def lapsed(pipes, one):
    (claimed,) = pipes.take(one)
    pipes.raw.delete(pipes.keys.post + one)
    pipes.world.lapse(claimed)


def blocked(lose):
    """The job has become another one before."""

    def lose_blocked(pipes, one):
        pipes.forward(pipes.take(one)[0])
        lose(pipes, one)

    return lose_blocked


def of_another_type(pipes, one):
    pipes.raw.delete(pipes.keys.job + one)
    pipes.raw.set(pipes.keys.job + one, "text")


WAITING = {
    "record": drop("post"), "record, met": met(drop("post")), "damaged": damage, "damaged, met": met(damage),
    "retried": scheduled, "lapsed": lapsed,
}  # fmt: skip
BLOCKED = {
    "blocked": drop("post"), "hash": drop("job"), "all": drop("post", "job"), "garbage": of_another_type,
    "damaged": damage,
}  # fmt: skip
LOST = WAITING | {f"{how}, blocked": blocked(lose) for how, lose in BLOCKED.items()}


@pytest.mark.parametrize("how", LOST)
def test_a_lost_part_ends_all_that_waits(pipes, split, how):
    """Join, root and what comes after it fail; the other parts are cancelled."""
    join, parts = split
    LOST[how](pipes, parts[1])
    pipes.look_out()
    assert pipes.states("1", "2", join) == ["failed"] * 3
    for one in ("1", "2", join):
        assert [pipes.field(one, name) for name in ("reason", "cause")] == ["step", parts[1]]
    assert pipes.states(parts[0], parts[2]) == ["cancelled"] * 2
    assert not pipes.raw.exists(pipes.keys.blocked)


@pytest.mark.parametrize("how", WAITING)
def test_a_lost_part_of_a_join_that_runs_anyway(pipes, how):
    """It counts once, as one that ended badly; if nothing says whether it has been counted, the join fails."""
    join, parts = pipes.split(pipes.take(pipes.post())[0], 3, on_failure="run")
    WAITING[how](pipes, parts[1])
    pipes.look_out()
    if how in ("record", "damaged"):
        assert pipes.states("1", join) == ["failed"] * 2
        return
    pipes.look_out()
    assert (pipes.state(join), pipes.field(join, "needs")) == ("blocked", "2")


@pytest.mark.parametrize("how", BLOCKED)
def test_a_lost_join(pipes, split, how):
    """It can't run: its root ends, and its parts."""
    join, parts = split
    BLOCKED[how](pipes, join)
    pipes.look_out()
    assert pipes.states("1", "2") == ["failed"] * 2
    assert not pipes.raw.exists(pipes.keys.blocked)
    if how in ("blocked", "damaged"):
        assert pipes.states(*parts) == ["cancelled"] * 3
        assert pipes.field(join, "error_type") == "mlq.errors.Undecodable"
    else:
        with pytest.raises(UnknownJob, match="lost which parts"):  # requeued, it does not run without them
            pipes.run(pipeline_ops.parts(pipes.keys, join))


@pytest.mark.parametrize("how", WAITING)
def test_a_lost_tail_ends_its_root(pipes, how):
    """With an error that names it."""
    second = pipes.forward(pipes.take(pipes.post())[0])
    WAITING[how](pipes, second)
    pipes.look_out()
    assert (pipes.state("1"), pipes.field("1", "cause")) == ("failed", second)
    assert not pipes.raw.exists(pipes.keys.blocked)


@pytest.mark.parametrize("how", LOST)
def test_a_lost_job_that_others_come_after(pipes, how):
    """They fail."""
    first, other = pipes.post(), pipes.post()
    third = pipes.post(f"fail {other} {first}")
    LOST[how](pipes, first)
    pipes.look_out()
    assert (pipes.state(third), pipes.field(third, "cause")) == ("failed", first)
    assert not pipes.raw.exists(pipes.keys.blocked)


@pytest.mark.parametrize("how", BLOCKED)
def test_a_lost_root(pipes, split, how):
    """What comes after it ends; and if its record is gone, its steps."""
    join, parts = split
    BLOCKED[how](pipes, "1")
    pipes.look_out()
    assert pipes.state("2") == "failed"
    if how in ("blocked", "damaged"):
        assert pipes.states(join, *parts) == ["cancelled"] * 4


def test_a_part_that_was_counted_is_not_counted_again(pipes):
    """Its record was lost after it had ended, and its hash has what the join needs."""
    join, parts = pipes.split(pipes.take(pipes.post())[0], 3, on_failure="run")
    pipes.end(parts[0], State.FAILED)
    pipes.end(parts[1])
    pipes.raw.delete(pipes.keys.post + parts[0], pipes.keys.post + parts[1])
    before = seen(pipes)
    pipes.look_out()
    assert seen(pipes) == before
    pipes.end(parts[2])
    assert pipes.state(join) == "queued"


def test_looks_go_round(pipes):
    """Each is at some of the blocked jobs only; what waits rightly stays as it is."""
    roots = [pipes.post() for _ in range(250)]
    after = [pipes.post(f"fail {root}") for root in roots]
    _, parts = pipes.split(pipes.take(pipes.post())[0], 250)
    before = seen(pipes)
    for _ in range(8):
        pipes.look_out()
    assert seen(pipes) == before
    pipes.raw.delete(pipes.keys.post + roots[200], pipes.keys.post + parts[240])
    for _ in range(9):
        pipes.look_out()
    failed = [one for one in after if pipes.state(one) == "failed"]
    assert (failed, pipes.state("501")) == ([after[200]], "failed")


def test_a_look_waits_for_chores(pipes, split):
    """An end that is yet to be told is not a lost one; and it is done once a second, however many workers there are."""
    pipes.raw.delete(pipes.keys.post + split[1][0])
    pipes.world.watched()
    pipes.raw.rpush(pipes.keys.chores, b"")
    pipes.world.reap()
    assert pipes.state("1") == "blocked"
    pipes.world.reap()
    assert pipes.state("1") == "failed"
    pipes.world.post()
    pipes.look_out()
    pipes.raw.hset(pipes.keys.reaping, "place", 7)
    pipes.world.reap()
    assert pipes.raw.hget(pipes.keys.reaping, "place") == b"7"


@pytest.mark.parametrize("policy", [None, "run"])
@pytest.mark.parametrize("what", ["part", "tail"])
def test_a_step_that_is_discarded_before_its_end_was_told(pipes, policy, what):
    """As chores that were yet to be done; what waits for it is told, with its error, and once."""
    (root,) = pipes.take(pipes.post())
    join, parts = pipes.split(root, 3, on_failure=policy) if what == "part" else ("1", [pipes.forward(root)])
    (claimed,) = pipes.take(parts[0])
    pipes.raw.hset(pipes.keys.job + parts[0], mapping={"state": "failed", "reason": "error", "error": "boom"})
    pipes.raw.zadd(pipes.keys.dead, {parts[0]: 1})
    pipes.raw.zrem(pipes.keys.leases, claimed.lease)
    pipes.raw.rpush(pipes.keys.chores, codec.pack(["end", parts[0], "failed"]))
    pipes.run(job_ops.discard(pipes.keys, parts[0]))
    pipes.chores()
    assert pipes.state(parts[0]) == "gone"
    if what == "part" and policy == "run":
        assert (pipes.state(join), pipes.field(join, "needs"), pipes.field("1", "bad")) == ("blocked", "2", "1")
    else:
        assert (pipes.states("1", join), pipes.field("1", "error")) == (["failed"] * 2, "boom")
