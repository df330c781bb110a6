"""Features that meet: schedules, shares, full queues, keys, limits, purges and registration."""

import pytest

from mlq.core.job import Record
from mlq.core.job_options import JobOptions
from mlq.core.limit import Gate, Limit
from mlq.core.schedule import BY_PERSON, Firing, schedule_of
from mlq.errors import InputError
from mlq.ops import gates as gate_ops
from mlq.ops import jobs as job_ops
from mlq.ops import lengths as length_ops
from mlq.ops import purging as purge_ops
from mlq.ops import schedules as schedule_ops
from mlq.ops import work as work_ops
from mlq.ops.purging import Purged
from mlq.ops.work import WorkerClass

DUE, NEXT = 1_700_000_000.0, 4_000_000_000.0


def schedule(overlap="queue", **options):
    return schedule_of("s", None, 60.0, None, "once", overlap, "m", None, ["f"], options)


def declare(world, **given):
    world.run(schedule_ops.declare(world.keys, schedule(**given), DUE, BY_PERSON))


def fire(world, *, by_person=False):
    """Post the job of its tick; what became of that."""
    known = world.run(schedule_ops.one(world.keys, "s"))[1]
    firing, call = Firing([DUE], NEXT, 0), ("worker", world.number())
    return world.run(schedule_ops.fire(world.keys, known, known.schedule(), firing, call, "", by_person=by_person))


def post(world, **given):
    """Post one job; its id, and whether it is new."""
    options = JobOptions.of(given)
    op = job_ops.post(
        world.keys, "me", world.number(), options.lane, [options.body(1)], when=options.when, keyed=options.keyed
    )
    posted = world.run(op)
    return str(posted.first), posted.new


def limit(world, gate, **given):
    world.run(gate_ops.limit(world.keys, gate, Limit(**given)))


def pause(world, gate, by="me"):
    world.run(gate_ops.pause(world.keys, gate, by))


def purge(world, lane, last=1000):
    found, cancelled = Purged(), 0
    while not found.is_over:
        found = world.run(purge_ops.purge(world.keys, lane, last, found))
        cancelled += found.cancelled
    return cancelled


def kept(world, *stems):
    """The names of keys that begin with one of these."""
    return [name for name in world.look() if name.startswith(stems) and not name.endswith(("||times", "||means"))]


# Schedules


def test_a_schedule_of_a_share(world):
    """Its job is of that share, and comes in its turn."""
    world.serving()
    world.post(3, functions=["f"], share="a")
    declare(world, share="b", priority=5)
    assert fire(world).word == "posted"
    assert world.look()["lane:default:f|b"]
    claimed = world.claim(4)
    assert {one.id for one in claimed[:2]} == {"1", "4"}
    assert Record.parse(claimed[[one.id for one in claimed].index("4")].record).options.tick == ("s", DUE)


def test_a_schedule_of_a_paused_share(world):
    """Its job waits, and begins when the share goes on."""
    world.serving()
    pause(world, Gate("share", "b"))
    declare(world, share="b")
    fire(world)
    assert not world.claim()
    pause(world, Gate("share", "b"), "")
    assert [one.id for one in world.claim()] == ["1"]


def test_the_schedule_of_a_full_queue(world):
    """A tick is posted all the same, as all that workers post, and counts for others."""
    limit(world, Gate("queue", "default"), length=1)
    world.run(length_ops.length(world.keys, "default"))
    world.post()
    declare(world, overlap="skip")
    assert fire(world).word == "posted"
    assert world.run(schedule_ops.one(world.keys, "s"))[2].next == NEXT
    assert world.run(length_ops.length(world.keys, "default")).jobs == 2


def test_a_schedule_whose_job_waits_in_a_paused_queue(world):
    """It has not ended, so there is one, however many ticks come."""
    pause(world, Gate("queue", "default"))
    declare(world, overlap="skip")
    assert [fire(world).word, fire(world, by_person=True).word] == ["posted", "overlaps"]


def test_a_schedule_has_no_key():
    with pytest.raises(InputError, match="overlap says"):
        schedule(key="k")


# Purges


def test_a_purge_of_shares(world):
    """One share of a ring, with some of its jobs paused, running and limited; nothing is left of it."""
    world.serving()
    for share in ("a", "b"):
        world.post(4, functions=["f"], share=share)
    limit(world, Gate("share", "a"), running=1)
    claimed = world.claim(2)
    assert {one.id for one in claimed} == {"1", "5"}
    assert (purge(world, "default:f|a"), purge(world, "default:f|b")) == (3, 3)
    assert kept(world, "lane") == []
    for one in claimed:
        assert world.settle(one)
    world.post(1, functions=["f"], share="a")
    assert [one.id for one in world.claim(9)] == ["9"]


@pytest.mark.parametrize("gate", [Gate("queue", "default"), Gate("function", "f"), Gate("share", "a")])
def test_a_purge_of_what_is_paused(world, gate):
    """What is kept back is gone, too, and so is what kept it: nobody is woken for it."""
    world.serving()
    world.post(3, functions=["f"], share="a")
    pause(world, gate)
    assert not world.claim()
    assert purge(world, "default:f|a") == 3
    pause(world, gate, "")
    assert kept(world, "lane", "parked", "gates") == []
    assert not world.claim()
    assert world.run(work_ops.rests(world.keys, world.serving()))


def test_a_purge_frees_keys(world):
    keyed = {"functions": ["f"], "key": "k"}
    assert post(world, **keyed) == ("1", True)
    assert post(world, **keyed) == ("1", False)
    assert purge(world, "default:f") == 1
    assert kept(world, "unique") == []
    assert post(world, **keyed) == ("2", True)


# Replacing


@pytest.mark.parametrize("closed", [False, True])
@pytest.mark.parametrize(
    "other",
    [
        {"share": "b"},
        {"priority": 5},
        {"delay": 600},
        {"functions": ["f"], "share": "a", "expires": 60},
        {"queue": "gpu"},
    ],
    ids=["share", "priority", "delay", "expires", "queue"],
)
def test_a_replaced_job_is_where_the_last_post_says(world, other, closed):
    """Whatever it was before, and whether it may begin; once it has run, nothing is left."""
    world.serving()
    given = {"functions": ["f"], "key": "k", "replace": True}
    gate = Gate("share", "a")
    limit(world, gate, running=1)
    if closed:
        pause(world, gate)
    assert post(world, **given, share="a", priority=-3) == ("1", True)
    assert post(world, **(given | other)) == ("1", False)
    lane = JobOptions.of(given | other).lane
    assert world.look().get("lanes", set()) == (set() if "delay" in other else {lane})
    pause(world, gate, "")
    world.come_due()
    world.watched()
    world.reap()
    (claimed,) = world.claim(3)
    assert world.settle(claimed, used=1.0)
    world.run(gate_ops.limit(world.keys, gate, None))
    assert kept(world, "lane", "unique", "parked", "running", "scheduled", "expiring", "gates", "limits") == []


def test_one_whose_gate_is_closed_gets_functions_that_are_open(world):
    """A key is of its functions, so this is another job; the first one waits on."""
    world.serving()
    pause(world, Gate("function", "f"))
    assert post(world, functions=["f"], key="k", replace=True) == ("1", True)
    assert post(world, functions=["g"], key="k", replace=True) == ("2", True)
    assert [one.id for one in world.claim(3)] == ["2"]


# Registering


@pytest.mark.parametrize("gate", [Gate("queue", "default"), Gate("function", "f"), Gate("share", "a")])
def test_a_class_that_comes_while_rings_have_gates(world, gate):
    """It finds the lanes of all shares, open and closed ones, and what opens later."""
    world.post(2, functions=["f"], share="a")
    world.post(2, functions=["f"], share="b")
    world.post(1)
    pause(world, gate)
    late = WorkerClass.of(["default"], ["default"], ["f"])
    world.serving(late)

    def claim():
        op = work_ops.claim(world.keys, "late", world.number(), late.name, 60, 9)
        while (found := world.run(op)) is None:
            world.serving(late)
        return {one.id for one in found}

    begins = {"queue": set(), "function": {"5"}, "share": {"3", "4", "5"}}[gate.kind]
    assert claim() == begins
    pause(world, gate, "")
    assert claim() == {"1", "2", "3", "4", "5"} - begins
    assert kept(world, "lane", "parked") == []


def test_gates_that_were_there_for_a_while(world):
    """A class that knew of none is registered again, since its index lacks what was posted meanwhile."""
    name = world.serving()
    world.post(1, share="a")
    pause(world, Gate("queue", "default"))
    world.post(3)
    pause(world, Gate("queue", "default"), "")
    assert world.run(work_ops.claim(world.keys, "me", world.number(), name, 60, 9)) is None
    assert [one.id for one in world.claim(9)] == ["1", "2", "3", "4"]
