"""What a person or a program does to one job from outside: cancel, requeue, delete, and look."""

import pytest

from mlq.core import codec
from mlq.core.job import Outcome, Record, announced
from mlq.core.states import State
from mlq.errors import Undecodable, UnknownJob, WrongState
from mlq.ops import jobs as job_ops
from mlq.ops import lists as list_ops
from mlq.ops import settling as settle_ops
from mlq.ops import work as work_ops
from mlq.ops.settling import Ending


def in_state(world, state):
    """Job 1, with a callback, in a state."""
    world.post(callback="http://localhost/")
    if state == State.CANCELLED:
        world.run(job_ops.cancel(world.keys, "1"))
    elif state != State.QUEUED:
        (one,) = world.claim()
        if state == State.SCHEDULED:
            world.settle(one, State.FAILED, None, retry_in=600.0)
        elif state != State.RUNNING:
            world.settle(one, state)


def test_cancel(world, keys, about):
    """The job leaves its lane and is kept; its callback says that it did not succeed; those who wait are told."""
    world.post(2, callback="http://localhost/")
    world.run(job_ops.wait(keys, "1", "alice", 10))
    _, changed = world.changes(job_ops.cancel(keys, "1"))
    assert changed == {
        "job:1": {"state": "cancelled", "finished": about(), "reason": "cancelled"},
        "lane:default": {"2": 2.0},
        "deliveries:callback": {"1": about()},
        "delivery:callback:1": {
            "url": "http://localhost/",
            "success": "0",
            "says": "0",
            "said": "",
            "queued": about(),
            "tries": "0",
        },
        "waiters:1": None,
        "inbox:alice": changed["inbox:alice"],
    }
    (told,) = world.raw.lrange(keys.inbox + "alice", 0, -1)
    assert announced(told) == ("1", world.raw_job("1"))
    assert [one.id for one in world.claim(9)] == ["2"]


def test_cancel_a_running_job(world, keys, about):
    """It is fenced at once, and its worker is told; the attempt can say nothing more."""
    one = world.running(callback="http://localhost/", ttl=60.0)
    world.raw.hset(keys.job + "1", "waits_for", "9")
    _, changed = world.changes(job_ops.cancel(keys, "1"))
    assert changed["leases"] is None
    assert changed["inbox:worker"] == [f"lost {one.lease}"]
    assert 0 < world.raw.ttl(keys.inbox + "worker") <= 60
    assert changed["job:1"] == {
        "state": "cancelled",
        "attempts": "1",
        "worker": "worker",
        "started": about(),
        "finished": about(),
        "reason": "cancelled",
    }
    assert changed["deliveries:callback"] == {"1": about()}
    assert 0 < world.raw.ttl(keys.job + "1") <= 60
    with world.unchanged():
        assert not world.settle(one)
        assert not world.settle(one, State.FAILED, None, retry_in=1.0)
        assert not world.die(one)
        assert not world.tell(one, (1, "chunk", b"\x01"), progress=b"\x05")
        assert world.run(work_ops.hand_back(keys, [(one, True)])) == [False]
        assert world.run(work_ops.renew(keys, [one], 60)) == {one.lease}
    (run,) = world.run(job_ops.read(keys, "1"))["attempts"]
    assert (run["attempt"], run["reason"], run["finished"]) == (1, "cancelled", about())


def test_cancel_a_scheduled_job(world, keys):
    """Its retry does not come; the run that failed is still told."""
    in_state(world, State.SCHEDULED)
    _, changed = world.changes(job_ops.cancel(keys, "1"))
    assert changed["scheduled"] is None
    assert changed["job:1"]["state"] == "cancelled"
    assert "inbox:worker" not in changed
    world.watched()
    world.reap()
    assert world.claim() == []
    (run,) = world.run(job_ops.read(keys, "1"))["attempts"]
    assert (run["reason"], run["error"]) == ("error", "boom")


@pytest.mark.parametrize("before", [State.QUEUED, State.SCHEDULED, State.RUNNING])
def test_cancel_again_changes_nothing(world, keys, before):
    """Twice is once: nobody is told twice either."""
    in_state(world, before)
    world.run(job_ops.cancel(keys, "1"))
    with world.unchanged():
        world.run(job_ops.cancel(keys, "1"))


def test_cancel_with_long_options(world, keys):
    """The callback is found however many functions a job names, and nothing is half done."""
    world.post(callback="http://localhost/", functions=["f"] * 20_000)
    world.run(job_ops.cancel(keys, "1"))
    assert world.look()["delivery:callback:1"]["url"] == "http://localhost/"


def test_requeue_a_dead_letter(world, keys, about):
    """The failure is history; runs are counted on, losses and errors forgiven; the old callback is not sent."""
    one = world.running(callback="http://localhost/")
    fields = {"reason": "error", "error": "e", "error_type": "t", "error_args": "a", "traceback": "x"}
    fields |= {"error_state": "s", "error_tuples": "1"}
    ending = Ending(one, Outcome(State.FAILED, fields), Record.parse(one.record).options)
    world.run(settle_ops.settle(keys, [ending], 2))
    world.raw.hset(keys.job + "1", mapping={"losses": 1, "overruns": 1, "errors": 3, "progress": "5", "waits_for": "9"})
    world.token(taken=True)
    _, changed = world.changes(job_ops.requeue(keys, "1"))
    assert changed == {
        "job:1": {
            "state": "queued",
            "attempts": "1",
            "past:1": ["worker", about(), about(), "error", "t", "e", "x"],
        },
        "dead": None,
        "deliveries:callback": None,
        "delivery:callback:1": None,
        "lane:default": {"1": 1.0},
        "lanes": {"default"},
    }
    assert world.token()
    (two,) = world.claim()
    assert (two.attempt, two.errors) == (2, 0)


def test_requeue_remembers_a_run_that_was_cancelled(world, keys):
    """It began, so it counts; a retry that was cancelled is not told twice."""
    in_state(world, State.RUNNING)
    world.run(job_ops.cancel(keys, "1"))
    world.run(job_ops.requeue(keys, "1"))
    (one,) = world.claim()
    assert one.attempt == 2
    world.settle(one, State.FAILED, None, retry_in=600.0)
    world.run(job_ops.cancel(keys, "1"))
    world.run(job_ops.requeue(keys, "1"))
    runs = world.run(job_ops.read(keys, "1"))["attempts"]
    assert [(run["attempt"], run["reason"]) for run in runs] == [(1, "cancelled"), (2, "error")]


def test_requeue_goes_to_the_old_place(world, keys):
    """A job that was posted earlier comes first."""
    world.post(3)
    (one,) = world.claim()
    world.settle(one, State.FAILED)
    world.run(job_ops.requeue(keys, one.id))
    assert [one.id for one in world.claim(9)] == ["1", "2", "3"]


def test_requeue_a_cancelled_job(world, keys):
    """It was kept for that."""
    in_state(world, State.CANCELLED)
    world.run(job_ops.requeue(keys, "1"))
    assert world.look()["job:1"] == {"state": "queued"}
    assert [one.id for one in world.claim()] == ["1"]


@pytest.mark.parametrize("state", [State.QUEUED, State.SCHEDULED, State.SUCCEEDED, State.FAILED, State.CANCELLED])
def test_delete_leaves_nothing(world, keys, state):
    """Not a key tells of the job; whoever waited is told, and then learns that there is none."""
    in_state(world, state)
    world.raw.sadd(keys.waiters + "1", "alice")
    world.raw.xadd(keys.stream + "1", {"chunk": "x"})
    world.run(job_ops.delete(keys, "1"))
    left = world.look()
    assert left.pop("inbox:alice") == ["1"]
    assert left.keys() <= {"counter", "replay:poster", "replay:worker"}
    with pytest.raises(UnknownJob, match=r"\b1\b"):
        world.run(job_ops.wait(keys, "1", "alice", 10))
    world.raw.delete(keys.inbox + "alice")


@pytest.mark.parametrize(
    ("op", "state"),
    [
        (job_ops.cancel, State.SUCCEEDED),
        (job_ops.cancel, State.FAILED),
        (job_ops.requeue, State.QUEUED),
        (job_ops.requeue, State.SCHEDULED),
        (job_ops.requeue, State.RUNNING),
        (job_ops.requeue, State.SUCCEEDED),
        (job_ops.delete, State.RUNNING),
    ],
)
def test_refused_in_the_wrong_state(world, keys, op, state):
    """The error says the id and the state, and nothing has changed."""
    in_state(world, state)
    with world.unchanged(), pytest.raises(WrongState, match=f"job 1: it is {state}"):
        world.run(op(keys, "1"))


@pytest.mark.parametrize(
    "op",
    [
        job_ops.cancel,
        job_ops.requeue,
        job_ops.delete,
        job_ops.place,
        job_ops.read,
        job_ops.glance,
        job_ops.outcome,
    ],
)
def test_unknown_job(world, keys, op):
    """The error names the id; asking makes no key."""
    with pytest.raises(UnknownJob, match=r"\b17\b"):
        world.run(op(keys, "17"))
    assert world.look() == {}


def test_place(world, keys):
    """How many stand before it in its lane."""
    world.post(3)
    world.post(functions=["f"])
    world.claim()
    places = [world.run(job_ops.place(keys, str(i))) for i in (1, 2, 3, 4)]
    assert [(place.ahead, place.lane) for place in places][1:3] == [(0, "default"), (1, "default")]
    assert (places[0].ahead, places[3]) == (None, (0, "default:f", None, None))


def test_counts(world, keys):
    """What waits by lane, what runs, what is dead."""
    world.post(4)
    world.post(2, functions=["f"])
    first, second, _ = world.claim(3)
    world.settle(first, State.FAILED)
    world.settle(second)
    counts = world.run(job_ops.counts(keys))
    assert (counts.running, counts.dead, counts.lanes, counts.waiting) == (1, 1, {"default": 1, "default:f": 2}, 3)


def test_read(world, keys, about):
    """Everything of a job, as of one moment."""
    world.post(callback="http://localhost/")
    waiting = world.run(job_ops.read(keys, "1"))
    assert waiting == {
        "id": "1",
        "timestamp": about(),
        "worker": None,
        "processing_started": None,
        "processing_finished": None,
        "progress": None,
        "short_result": None,
        "result": None,
        "callback": "http://localhost/",
        "retries": 0,
        "functions": None,
        "msg": "message 0",
        "state": "queued",
        "queue": "default",
        "posted": about(),
        "started": None,
        "finished": None,
        "due": None,
        "expires": None,
        "priority": 0,
        "error": None,
        "error_type": None,
        "traceback": None,
        "reason": None,
        "callback_outcome": None,
        "timeout": None,
        "attempts": [],
        "errors": 0,
        "losses": 0,
        "webhook": None,
        **dict.fromkeys(("key", "share", "schedule", "tick")),
        "deliveries": [],
        **dict.fromkeys(("after", "on_failure", "then", "root", "becomes", "gave", "cause", "steps")),
    }
    (one,) = world.claim()
    assert world.run(job_ops.read(keys, "1"))["progress"] == 0
    world.tell(one, progress=codec.pack("half"))
    assert world.run(job_ops.read(keys, "1"))["progress"] == "half"
    world.settle(one)
    done = world.run(job_ops.read(keys, "1"))
    assert (done["progress"], done["result"], done["worker"], done["processing_finished"]) == (
        100,
        4,
        "worker",
        about(),
    )


def test_read_when_a_job_is_due(world, keys, about):
    """While it is scheduled; one that waits to run apart has no such time, and a damaged key hides nothing else."""
    world.scheduled()
    due = world.run(job_ops.read(keys, "1"))["due"]
    assert due == world.raw.zscore(keys.scheduled, "1") == world.run(job_ops.info(keys, "1"))["due"]
    world.raw.zadd(keys.scheduled, {"1": 1e11 + due})
    assert world.run(job_ops.read(keys, "1"))["due"] is None
    world.raw.set(keys.scheduled, "x")
    told = world.run(job_ops.read(keys, "1"))
    assert (told["state"], told["due"], world.run(job_ops.info(keys, "1"))["due"]) == ("scheduled", None, None)


def test_read_a_dead_letter(world, keys):
    """Its result is the error's text."""
    world.failed()
    dead = world.run(job_ops.read(keys, "1"))
    assert (dead["progress"], dead["result"], dead["error_type"]) == (-1, "boom", "builtins.ValueError")


def test_list_pages_newest_first(world, keys):
    """Page by page, each job once, with an id to go on below."""
    world.post(7)
    world.run(job_ops.delete(keys, "3"))
    first, below = world.run(list_ops.listing(keys, "", 4))
    rest, end = world.run(list_ops.listing(keys, below, 4))
    assert [one.id for one in first + rest] == ["7", "6", "5", "4", "2", "1"]
    assert (len(first), end) == (4, "0")


def test_list_of_one_state(world, keys):
    """With what each became of."""
    world.post(3)
    one, _ = world.claim(2)
    world.settle(one)
    listed = {state: world.run(list_ops.listing(keys, "", 50, state))[0] for state in State}
    assert {state: [job.id for job in jobs] for state, jobs in listed.items() if jobs} == {
        "queued": ["3"],
        "running": ["2"],
        "succeeded": ["1"],
    }
    running = listed[State.RUNNING][0]
    assert (running.worker, running.attempts, running.progress) == ("worker", 1, None)
    assert 0 <= running.took <= running.age < 60


def test_list_shows_retries_losses_and_progress(world, keys):
    """What a running job reports, if it is short; a report that can't be decoded is left out."""
    world.post()
    (one,) = world.claim()
    for report, shown in ((codec.pack("half"), "half"), (codec.pack("x" * 300), None), (b"\xc1", None)):
        world.tell(one, progress=report)
        assert world.run(list_ops.listing(keys))[0][0].progress == shown
    world.raw.hset(keys.job + "1", mapping={"errors": 2, "losses": 1, "shared": 3})
    (listed,), _ = world.run(list_ops.listing(keys))
    assert (listed.errors, listed.losses) == (2, 4)


def test_list_bounds_a_call(world, keys):
    """A gap of many thousand ids takes several calls, none of them long."""
    world.post()
    world.raw.set(keys.counter, 5000)
    below, calls, found = "", 0, []
    while below != "0":
        page, below = world.run(list_ops.listing(keys, below, 50))
        found += page
        calls += 1
    assert ([one.id for one in found], calls) == (["1"], 3)


def test_list_of_an_empty_namespace(world, keys):
    """An empty page, at its end."""
    assert world.run(list_ops.listing(keys)) == ([], "0")


def test_list_with_a_record_that_is_not_ours(world, keys):
    """No error but ours for bytes that MLQ did not write."""
    world.post()
    world.raw.set(keys.post + "1", b"garbage")
    try:
        page, _ = world.run(list_ops.listing(keys))
    except Undecodable:
        return
    assert [one.id for one in page] == ["1"]


def test_dead_letters(world, keys, about):
    """Oldest death first, by place."""
    for _ in range(3):
        world.failed()
    letters = world.run(list_ops.dead(keys, 0, -1))
    assert [one.id for one in letters] == ["1", "2", "3"]
    assert letters[0] == ("1", about(), "error", "builtins.ValueError", "boom", 1, 0, 0, "default")
    assert [one.id for one in world.run(list_ops.dead(keys, 1, 1))] == ["2"]
    assert world.run(list_ops.dead(keys, 5, 9)) == []
