"""What running listeners say (progress, partial results, logs), and those that follow it."""

import pytest

from mlq.core import codec
from mlq.core.identity import JobId
from mlq.core.job import ANY_JOB
from mlq.core.job_options import PLAIN
from mlq.core.states import State
from mlq.errors import UnknownJob
from mlq.ops import following as follow_ops
from mlq.ops import jobs as job_ops
from mlq.ops import settling as settle_ops
from mlq.ops import work as work_ops
from mlq.ops.following import ENTRIES, Entry
from mlq.ops.settling import Ending
from mlq.running.outcomes import success

ONE, TWO, LOG = codec.pack(1), codec.pack(2), b"half way"
ENTRIES_OF_ONE = [(1, "chunk", ONE), (2, "log", LOG), (3, "chunk", TWO)]


def follow(keys, known=("", b""), after=(0, 0), inbox="bob"):
    """The op that follows job 1."""
    return follow_ops.follow(keys, "1", inbox, 10, known, after)


# --- tell


def test_tell(world, keys):
    """Progress is a field, all else goes to the stream under its attempt and number; the stream lapses."""
    one = world.running()
    stood, changed = world.changes(work_ops.report(keys, one, codec.pack(50), ENTRIES_OF_ONE))
    assert stood
    assert changed.keys() == {"job:1", "stream:1"}
    assert changed["job:1"]["progress"] == "2"
    assert changed["stream:1"] == [
        ("1-1", "chunk", "\x01"),
        ("1-2", "log", "half way"),
        ("1-3", "chunk", "\x02"),
    ]
    assert 86_000 < world.raw.ttl(keys.stream + "1") <= 86_400


def test_tell_again_keeps_entries_once(world, keys):
    """The reply was lost; what follows is kept as well."""
    one = world.running()
    op = work_ops.report(keys, one, b"\x05", ENTRIES_OF_ONE[:2])
    assert world.run(op)
    with world.unchanged():
        assert world.run(op)
    assert world.tell(one, *ENTRIES_OF_ONE)
    assert [said.number for said in world.follow("1").entries] == [1, 2, 3]


def test_tell_progress_alone_makes_no_stream(world, keys):
    """Most jobs have none."""
    one = world.running()
    _, changed = world.changes(work_ops.report(keys, one, b"\x05", []))
    assert changed.keys() == {"job:1"}


def test_entries_alone_leave_the_progress(world):
    """As it was."""
    one = world.running()
    world.tell(one, progress=b"\x05")
    world.tell(one, *ENTRIES_OF_ONE)
    assert world.look()["job:1"]["progress"] == "\x05"


def test_tell_without_the_lease_is_refused(world, keys):
    """An attempt that lost its job says nothing more, the next one does."""
    first = world.running()
    world.tell(first, (1, "chunk", ONE))
    world.lapse(first)
    world.watched()
    world.reap()
    (second,) = world.claim()
    with world.unchanged():
        assert not world.tell(first, (2, "chunk", TWO), progress=b"\x05")
    assert world.tell(second, (1, "chunk", TWO))
    assert [entry[0] for entry in world.look()["stream:1"]] == ["1-1", "2-1"]


def test_tell_where_a_key_is_no_stream(world, keys):
    """It is replaced: a job whose words can't be recorded would never end."""
    one = world.running()
    world.raw.set(keys.stream + "1", "text", ex=60)
    assert world.tell(one, *ENTRIES_OF_ONE, progress=b"\x01")
    assert len(world.look()["stream:1"]) == len(ENTRIES_OF_ONE)


@pytest.mark.parametrize(
    ("outcome", "told"),
    [
        (success((b"s" * 10, b"r" * 9000)), {"short"}),
        (success((b"s" * 9000, b"r" * 10)), set()),
        (success(b"r" * 9000), set()),
        (success(b"r" * 10), {"result"}),
    ],
)
def test_an_end_brings_no_large_result(world, keys, outcome, told):
    """Many who followed a job with 60 MB kept the server busy for 10 s, and took its memory."""
    one = world.running()
    assert world.run(settle_ops.settle(keys, [Ending(one, outcome, PLAIN)], 2)) == [True]
    ended = world.run(follow(keys)).ended
    assert ended["state"] == b"succeeded"
    assert ended.keys() & {"short", "result"} == told


def test_followers_are_told(world, keys):
    """They stay on the list until the end; one that does not listen is told a hundred times, at last of any job."""
    one = world.running()
    world.run(follow(keys, known=("running", b"")))
    _, changed = world.changes(work_ops.report(keys, one, b"\x05", []))
    assert changed.keys() == {"job:1", "inbox:bob"}
    assert changed["inbox:bob"] == ["1"]
    for number in range(150):
        world.tell(one, (number + 1, "chunk", ONE))
    assert world.raw.lrange(keys.inbox + "bob", 0, -1) == [b"1"] * 99 + [ANY_JOB.encode()]
    assert 0 < world.raw.ttl(keys.inbox + "bob") <= 60


# --- follow


def test_follow_a_job_that_waits(world, keys):
    """Its state is news to one that knows nothing; whoever has news asks again, and is not remembered."""
    world.post()
    assert world.changes(follow(keys)) == ((State.QUEUED, 0, b"", [], None), {})


def test_follow_without_news_waits(world, keys):
    """The inbox, and that there is one, are remembered for a little longer than until the asker asks again."""
    world.post()
    news, changed = world.changes(follow(keys, known=("queued", b"")))
    assert (news.entries, news.ended) == ([], None)
    assert changed == {"waiters:1": {"bob"}, "followers": "1"}
    assert all(20 < world.raw.ttl(key) <= 30 for key in (keys.waiters + "1", keys.followers))


@pytest.mark.parametrize("change", ["state", "progress", "entry"])
def test_follow_with_news_is_answered_at_once(world, keys, change):
    """Whatever it is that is new."""
    one = world.running()
    known = ("queued", b"") if change == "state" else ("running", b"")
    if change == "progress":
        world.tell(one, progress=b"\x05")
    elif change == "entry":
        world.tell(one, (1, "log", LOG))
    news, changed = world.changes(follow(keys, known=known))
    assert changed == {}
    assert news.state is State.RUNNING
    assert news.attempt == 1
    assert news.progress == (b"\x05" if change == "progress" else b"")
    assert news.entries == ([Entry(1, 1, "log", LOG, len(LOG))] if change == "entry" else [])


def test_follow_goes_on_after_an_entry(world):
    """By attempt and number, also over a retry."""
    one = world.running()
    world.tell(one, *ENTRIES_OF_ONE)
    news = world.follow("1")
    assert news.entries == [Entry(1, *entry, len(entry[-1])) for entry in ENTRIES_OF_ONE]
    known, after = news.following((0, 0))
    assert (known, after) == (("running", b""), (1, 3))
    assert world.follow("1", after=after).following(after)[1] == (1, 3)
    world.settle(one, State.FAILED, None, retry_in=0.0)
    world.come_due()
    world.reap()
    (two,) = world.claim()
    world.tell(two, (1, "chunk", ONE))
    assert world.follow("1", after=after).entries == [Entry(2, 1, "chunk", ONE, len(ONE))]
    assert len(world.follow("1").entries) == 4


def test_follow_to_the_end(world, keys):
    """The outcome comes with the last entries, and stays for one that comes late."""
    one = world.running()
    world.tell(one, *ENTRIES_OF_ONE)
    world.settle(one)
    news, changed = world.changes(follow(keys, known=("running", b""), after=(1, 2)))
    assert news.entries == [Entry(1, 3, "chunk", TWO, len(TWO))]
    assert news.ended == world.raw_job("1")
    assert changed == {}
    assert world.follow("1").ended == news.ended


def test_follow_pages_through_many_entries(world):
    """The end is told only when all was read."""
    one = world.running()
    world.tell(one, *((number, "chunk", ONE) for number in range(1, 2 * ENTRIES + 1)))
    world.settle(one)
    after, pages = (0, 0), []
    while True:
        news = world.follow("1", after=after)
        pages.append(len(news.entries))
        if news.ended is not None:
            break
        after = news.following(after)[1]
    assert pages == [ENTRIES, ENTRIES, 0]


@pytest.mark.parametrize("end", ["succeed", "fail", "retry", "cancel", "hand back", "lose", "delete"])
def test_no_turn_is_missed(world, keys, end):
    """A follower that waits is told of the end, and of whatever else becomes of the attempt."""
    one = world.running()
    world.run(follow(keys, known=("running", b"")))
    if end == "cancel":
        world.run(job_ops.cancel(keys, "1"))
    elif end == "hand back":
        world.run(work_ops.hand_back(keys, [(one, True)]))
    elif end == "lose":
        assert world.die(one)
    elif end == "delete":
        world.settle(one)
        world.raw.delete(keys.inbox + "bob")
        world.raw.sadd(keys.waiters + "1", "bob")
        world.run(job_ops.delete(keys, "1"))
    else:
        state = State.SUCCEEDED if end == "succeed" else State.FAILED
        world.settle(one, state, retry_in=600.0 if end == "retry" else None)
    told = world.raw.lrange(keys.inbox + "bob", 0, -1)
    world.raw.delete(keys.inbox + "bob", keys.waiters + "1")
    assert told
    assert all(item.startswith(b"1") for item in told)


def test_follow_leaves_no_trace_without_an_inbox(world, keys):
    """Whoever only reads."""
    one = world.running()
    world.tell(one, *ENTRIES_OF_ONE)
    with world.unchanged():
        world.follow("1")


def test_claim_tells_followers(world, keys):
    """They hear that the job runs, and stay on the list; whoever follows another job hears nothing."""
    world.post(2)
    world.run(follow(keys, known=("queued", b"")))
    world.run(follow_ops.follow(keys, "2", "ann", 10, ("queued", b""), (0, 0)))
    world.claim()
    after = world.look()
    assert after["inbox:bob"] == ["1"]
    assert after["waiters:1"] == {"bob"}
    assert "inbox:ann" not in after
    assert 0 < world.raw.ttl(keys.inbox + "bob") <= 60


def test_claim_tells_those_that_wait_for_the_end_only_where_somebody_follows(world, keys):
    """For them a claim is no news; where it does tell them, they ask again."""
    world.post(2)
    world.run(job_ops.wait(keys, "1", "carl", 10))
    world.claim()
    assert "inbox:carl" not in world.look()


def test_follow_a_job_that_is_gone(world, keys):
    """An error, and nothing is remembered."""
    with pytest.raises(UnknownJob, match="1"):
        world.run(follow(keys))
    assert world.look() == {}


def test_stream_goes_with_its_job(world, keys):
    """And is kept over a requeue."""
    one = world.running()
    world.tell(one, *ENTRIES_OF_ONE)
    world.settle(one, State.FAILED)
    world.run(job_ops.requeue(keys, "1"))
    assert len(world.follow("1").entries) == 3
    world.run(job_ops.delete(keys, "1"))
    assert "stream:1" not in world.look()


def test_a_large_stream_is_read_in_parts(world):
    """However many follow it, none gets more than 64 KiB and one entry at a time; the end comes last."""
    one = world.running()
    for number in range(1, 11):
        assert world.tell(one, (number, "chunk", b"x" * 30_000))
    assert world.settle(one)
    after, parts = (0, 0), []
    while not parts or parts[-1].ended is None:
        parts.append(world.follow(one.id, after=after))
        after = parts[-1].following(after)[1]
    assert [len(part.entries) for part in parts] == [3, 3, 3, 1]
    assert [said.number for part in parts for said in part.entries] == list(range(1, 11))


def test_a_large_entry_is_left_out_where_that_is_wanted(world, keys):
    """It is told how large it is, and can be read by itself."""
    one, large = world.running(), b"x" * 300_000
    assert world.tell(one, (1, "chunk", b"small"), (2, "chunk", large))
    news = world.run(follow_ops.follow(keys, one.id, "", 10, ("", b""), (0, 0), whole=False))
    assert news.entries == [Entry(1, 1, "chunk", b"small", 5), Entry(1, 2, "chunk", b"", 300_000)]
    assert world.run(follow_ops.entry(keys, one.id, news.entries[1])) == large
    world.raw.delete(keys.stream + one.id)
    assert world.run(follow_ops.entry(keys, one.id, news.entries[1])) is None


def test_whoever_waits_for_the_end_alone_gets_no_result(world, keys):
    """Nor does the server copy it."""
    one = world.running()
    assert world.settle(one)
    assert world.run(job_ops.wait(keys, JobId(one.id), "inbox", 10, whole=False)) == {"state": b"succeeded"}
    assert "result" in world.run(job_ops.wait(keys, JobId(one.id), "inbox", 10))
