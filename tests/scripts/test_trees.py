"""The steps of a pipeline, its progress, and what blocked jobs wait for."""

import pytest

from mlq.core import codec
from mlq.core.progress import Progress, progress_of
from mlq.core.states import State
from mlq.core.tree import PAGE, Growing
from mlq.errors import UnknownJob
from mlq.ops import jobs as job_ops
from mlq.ops import lists as list_ops
from mlq.ops import pipelines as pipeline_ops
from mlq.ops import stats as stats_ops


def split(world, parts=3, **counts):
    """Job 1 as a split: its join is job 2, then come the parts, in a lane of their own. The ids of the parts."""
    world.post(functions=["scan"])
    world.post(functions=["merge"], part={"root": "1", "hop": 1, "tail": "1", "joins": True})
    ids = world.post(parts, functions=["read"], part={"root": "1", "hop": 1, "into": "2"})
    root, join = world.keys.job + "1", world.keys.job + "2"
    world.raw.zadd(f"{root}:steps", {"2-2": 2, f"3-{parts + 2}": 3})
    numbers = {"steps": parts + 1, "done": 0, "bad": 0} | counts
    world.raw.hset(root, mapping={"state": "blocked", "tail": "2", "started": 1.0, "attempts": 1} | numbers)
    world.raw.hset(join, mapping={"state": "blocked", "needs": parts, "of": parts, "parts": f"3-{parts + 2}"})
    for number in (1, 2):
        world.raw.zadd(world.keys.blocked, {str(number): 1.0})
        world.raw.zrem(world.keys.lane + ("default:scan", "default:merge")[number - 1], str(number))
    return ids


def grown(world, job_id, limit=1000):
    """The tree, read as a client does."""
    growing = Growing(limit)
    while not growing.is_whole:
        growing.add(world.run(pipeline_ops.tree(world.keys, job_id, growing.after, growing.wanted)))
    return growing.tree()


def test_each_step_is_below_the_job_that_it_ran_for(world, keys):
    """Whichever of them is asked for; and looking changes nothing."""
    split(world)
    world.raw.hset(keys.job + "4", mapping={
        "state": "failed", "error_type": "builtins.ValueError", "error": "é" * 1000, "reason": "error", "attempts": 2,
        "started": 5.0, "finished": 7.5})  # fmt: skip
    with world.unchanged():
        root, same = grown(world, "1"), grown(world, "4")
    assert root._replace(took=None, steps=[]) == same._replace(took=None, steps=[])
    assert (root.id, root.runs_as, root.state, root.functions) == ("1", "root", State.BLOCKED, ["scan"])
    assert (root.progress, root.left_out, root.becomes) == (Progress(0, 0, 4), 0, "2")
    (join,) = root.steps
    assert (join.id, join.runs_as, join.needs, join.parts) == ("2", "join", 3, 3)
    assert [(one.id, one.runs_as, one.state) for one in join.steps] == [
        ("3", "part", State.QUEUED), ("4", "part", State.FAILED), ("5", "part", State.QUEUED)]  # fmt: skip
    failed = join.steps[1]
    assert (failed.took, failed.attempts, failed.reason, failed.error_type) == (2.5, 2, "error", "builtins.ValueError")
    assert (failed.error or "").startswith("éé")
    assert len(failed.error or "") <= 300


def test_large_pipelines_are_read_page_by_page(world, keys):
    """Each call is bounded; every step comes once, however the pages are cut."""
    split(world, 2 * PAGE)
    page = world.run(pipeline_ops.tree(keys, "1", "", PAGE))
    assert (len(page.rows), page.after) == (PAGE + 1, str(PAGE + 1))
    assert [one.id for one in grown(world, "1", 3 * PAGE).steps[0].steps] == [str(i) for i in range(3, 2 * PAGE + 3)]


@pytest.mark.parametrize(("limit", "left_out"), [(1, 6), (3, 4), (6, 1), (7, 0), (8, 0)])
def test_the_caller_says_how_many_steps_it_wants(world, limit, left_out):
    """And learns how many there are beyond those."""
    split(world, 6)
    root = grown(world, "1", limit)
    assert (len(root.steps[0].steps), root.left_out) == (min(limit, 7) - 1, left_out)


def test_a_job_alone_is_shown_with_those_that_it_comes_after(world, keys):
    """And with no steps."""
    world.post(2)
    world.post(after=["1", "2"])
    root = grown(world, "3")
    assert [(one.id, one.runs_as) for one in root.steps] == [("1", "needed"), ("2", "needed")]
    assert (root.progress, root.left_out) == (None, 0)
    with pytest.raises(UnknownJob):
        grown(world, "9")


def test_a_job_after_many_others_with_long_urls(world, keys):
    """Its row has neither their names nor its URL; each of those is shown as one that it comes after."""
    needed = [world.post()[0] for _ in range(120)]
    world.post(after=needed, webhook="http://localhost/" + "x" * 2000)
    page = world.run(pipeline_ops.tree(world.keys, "121", "", 10))
    assert (page.needed, len(page.rows)) == (100, 101)
    record = page.rows[0].record
    assert record is not None
    assert (record.options.after, record.options.webhook) == (None, None)
    assert {one.runs_as for one in grown(world, "121").steps} == {"needed"}


def test_a_step_that_is_gone_or_damaged_does_not_hide_the_others(world, keys):
    """It is shown without what is not known."""
    split(world)
    world.raw.delete(keys.post + "3")
    world.raw.set(keys.post + "4", b"nonsense")
    world.raw.set(keys.job + "5", b"not a hash")
    root = grown(world, "1")
    every = {one.id: one.state for one in (*root.steps, *root.steps[0].steps)}
    assert every == {"2": State.BLOCKED, "3": State.GONE, "4": State.GONE, "5": State.QUEUED}


def test_deep_pipelines_are_not_nested_without_end(world):
    """JSON writers and printers end with deep nesting."""
    world.post()
    steps = 200
    for i in range(steps):
        world.post(part={"root": "1", "hop": i + 1, "tail": str(i + 1)})
    world.raw.zadd(world.keys.job + "1:steps", {f"2-{steps + 1}": 2})
    world.raw.hset(world.keys.job + "1", "steps", steps)
    root, depth, count = grown(world, "1"), 0, 0
    level = [root]
    while level:
        count, depth, level = count + len(level), depth + 1, [below for one in level for below in one.steps]
    assert (count, depth < 60) == (steps + 1, True)


# --- progress


def test_progress_of_a_pipeline_is_that_of_its_steps(world, keys):
    """For whoever looks, lists or follows."""
    split(world, 9, done=4, bad=1)
    wanted = Progress(4, 1, 10)
    assert progress_of(*world.run(job_ops.glance(keys, "1"))) == wanted
    assert world.run(job_ops.info(keys, "1"))["progress"] == wanted
    news = world.follow("1")
    assert progress_of(news.state, news.progress) == wanted
    listed, _ = world.run(list_ops.listing(keys, "2", 1))
    assert listed[0].progress == wanted


@pytest.mark.parametrize("counts", [{"done": "many", "bad": "-1"}, {"done": b"\xff"}])
def test_damaged_counts_are_zero(world, keys, counts):
    """They stop nobody from looking at the state."""
    split(world, 9, **counts)
    assert progress_of(*world.run(job_ops.glance(keys, "1"))) == Progress(0, 0, 10)


def test_a_job_that_waits_before_it_begins_has_no_progress(world, keys):
    """As one in a lane."""
    split(world)
    assert progress_of(*world.run(job_ops.glance(keys, "2"))) is None


# --- counts


def test_blocked_jobs_are_counted_but_need_no_slot(world, keys):
    """Scaling would start workers for nothing."""
    split(world)
    counts, stats = world.run(job_ops.counts(keys)), world.run(stats_ops.stats(keys))
    assert (counts.blocked, counts.waiting) == (2, 3)
    assert (stats.blocked, stats.waiting, stats.wanted) == (2, 3, 3)


# --- what a blocked job waits for


@pytest.mark.parametrize("job_id", ["1", "2"])
def test_the_first_job_that_waits_for_no_other(world, keys, job_id):
    """Through the join, past parts that have ended."""
    split(world)
    world.raw.hset(keys.job + "3", "state", "succeeded")
    place = world.run(job_ops.place(keys, job_id))
    assert (place.ahead, place.blocker) == (None, ("4", "queued", "default:read", 0))


def test_what_a_job_after_others_waits_for(world, keys):
    """Also if that is gone, or waits itself."""
    world.post(2)
    world.post(after=["1", "2"])
    world.post(after=["3"])
    for job_id in ("3", "4"):
        world.raw.hset(keys.job + job_id, mapping={"state": "blocked", "needs": 1})
        world.raw.zadd(keys.blocked, {job_id: 1.0})
        world.raw.zrem(keys.lane + "default", job_id)
    world.raw.hset(keys.job + "1", "state", "succeeded")
    assert world.run(job_ops.place(keys, "4")).blocker == ("2", "queued", "default", 0)
    world.raw.delete(keys.post + "2")
    assert world.run(job_ops.place(keys, "4")).blocker == ("2", "gone", "", 0)


def test_looking_for_it_is_bounded(world, keys):
    """After many parts that have ended, the join is named."""
    ids = split(world, 700)
    for job_id in ids[:-1]:
        world.raw.hset(keys.job + job_id, "state", "succeeded")
    world.raw.hset(keys.job + "2", "needs", 1)
    assert world.run(job_ops.place(keys, "1")).blocker == ("2", "blocked", "default:merge", 1)


def test_only_blocked_jobs_have_one(world, keys):
    """Others cost nothing more."""
    world.post()
    running = world.claim()[0]
    assert world.run(job_ops.place(keys, running.id)) == (None, "default", None, None)
    world.settle(running)
    assert world.run(job_ops.place(keys, running.id)).blocker is None
    assert codec.unpack(world.raw_job(running.id)["result"]) == 4
