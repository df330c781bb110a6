"""The faces of pipelines for programs: trees, progress, why a blocked job waits, and the results of steps."""

import asyncio
import time

import pytest

from mlq import AfterFailure, AsyncMLQ, Forward, Progress, Split, State, UnknownJob, WaitTimeout


@pytest.fixture
def pipeline(mlq, gate):
    """A queue whose listeners split, forward and join; its worker runs one job at a time."""

    def scan(count):
        return Split(range(count), each="read", into="merge", on_failure="run")

    def read(number):
        if number == 3:
            raise ValueError("page 3")
        if number == 5:
            return Forward(number, "ocr")
        if number > 7:
            assert gate.wait(20)
        return number

    def ocr(number):
        return number

    def merge(results):
        return Forward(len(results), "finish")

    def finish(count):
        return count

    for function in (scan, read, ocr, merge, finish):
        mlq.listener(function)
    mlq.create_listener()
    give_up = time.monotonic() + 20
    while not mlq.workers():  # it says that it lives when it has begun
        assert time.monotonic() < give_up
        time.sleep(0.01)
    return mlq


def blocked(mlq, job, ended):
    """Follow the job until so many of its steps have ended; what was told of its progress."""
    seen = []
    for update in job.follow(every=5):
        if isinstance(update.progress, Progress):
            seen.append(update.progress)
            if update.progress.done + update.progress.failed >= ended:
                return seen
    raise AssertionError(f"the job has ended: {seen}")


def test_a_tree_while_it_grows_and_when_it_has_ended(pipeline, gate):
    """Every step is below the job that it ran for."""
    job = pipeline.submit(9, functions=["scan"])
    seen = blocked(pipeline, job, 7)
    assert seen == sorted(seen)
    root = job.tree()
    assert (root.id, root.state, root.functions) == (job.id, State.BLOCKED, ["scan"])
    assert root.progress == job.progress()
    (join,) = root.steps
    assert (join.runs_as, join.functions, join.parts) == ("join", ["merge"], 9)
    assert [one.functions for one in join.steps] == [["read"]] * 9
    failed = join.steps[3]
    assert (failed.state, failed.error_type, failed.error) == (State.FAILED, "builtins.ValueError", "page 3")
    assert [(one.runs_as, one.functions) for one in join.steps[5].steps] == [("next", ["ocr"])]
    gate.set()
    assert job.result(60) == 9
    root = pipeline.tree(join.steps[5].steps[0].id)  # of a step: that of the whole
    assert (root.id, root.state, [one.runs_as for one in root.steps]) == (job.id, "succeeded", ["join", "next"])
    assert (root.progress, root.left_out) == (Progress(11, 1, 12), 0)
    assert root.posted <= root.started <= root.finished
    assert pipeline.tree(job.id, limit=2).left_out == 10


def test_progress_in_words_and_in_documents(pipeline, gate):
    """Wherever progress is told."""
    job = pipeline.submit(9, functions=["scan"])
    blocked(pipeline, job, 7)
    wanted = Progress(*job.progress())
    assert (wanted.failed, wanted.of) == (1, 11)
    assert str(wanted) == f"{wanted.done} of 11 steps, 1 failed"
    assert pipeline.get_progress(job.id) == f"[{wanted}]"
    found = pipeline.get_job(job.id)
    assert (found["state"], found["progress"], found["steps"]) == ("blocked", wanted, 11)
    assert (found["becomes"], found["root"]) == (job.tree().steps[0].id, None)
    assert next(one for one in pipeline.jobs(State.BLOCKED) if one.id == job.id).progress == wanted
    assert pipeline.counts().blocked == pipeline.stats().blocked == len(list(pipeline.jobs(State.BLOCKED)))


def test_a_job_that_has_not_begun_has_no_progress(mlq):
    """It waits for others."""
    first = mlq.submit(1, functions=["nobody"])
    job = mlq.submit(1, functions=["nobody"], after=[first])
    assert (job.state(), job.progress()) == (State.BLOCKED, None)
    assert mlq.get_progress(job.id) == "[blocked; waits for other jobs]"
    found = mlq.get_info(job.id)
    assert (found["after"], found["on_failure"], found["then"]) == ([first.id], "fail", None)
    assert mlq.job_count() == 2


def test_why_a_blocked_job_waits(pipeline):
    """For the job that is at fault, with what is wrong with it."""
    first = pipeline.submit(1, functions=["nobody"])
    middle = pipeline.submit(1, functions=["ocr"], after=[first])
    last = pipeline.submit(1, functions=["ocr"], after=[middle])
    why = f"it waits for job {first.id}, which is queued; no live worker has a listener 'nobody'"
    assert (last.missing(), first.missing()) == (why, "no live worker has a listener 'nobody'")
    with pytest.raises(WaitTimeout) as failed:
        last.result(0.2)
    assert str(failed.value) == f"job {last.id} did not end within 0.2 s: {why}"


@pytest.mark.parametrize("functions", [["merge"], ["ocr"]])
def test_the_result_of_a_step_is_that_of_the_job_that_got_it(pipeline, gate, functions):
    """Whichever way it is asked for, and also while that job has not ended."""
    job = pipeline.submit(9, functions=["scan"])
    blocked(pipeline, job, 7)
    (join,) = job.tree().steps
    step, wanted = (join.id, 9) if functions == ["merge"] else (join.steps[5].steps[0].id, 5)
    if functions == ["merge"]:
        with pytest.raises(WaitTimeout):
            pipeline.job(step).result(0.1)
    gate.set()
    assert pipeline.job(step).result(60) == wanted
    job.result(60)
    assert (pipeline.wait(step, 20), pipeline.get_result(step), pipeline.wait_many([step, job])) == (
        wanted,
        wanted,
        [wanted, 9],
    )
    assert pipeline.get_info(step)["gave"]


def test_with_asyncio(pipeline, gate, server_url):
    """The same."""

    async def look(job_id):
        async with AsyncMLQ(pipeline.namespace, url=server_url) as mlq:
            root = await mlq.tree(job_id)
            assert root == await mlq.job(job_id).tree()
            first = await mlq.submit(1, functions=["nobody"])
            last = await mlq.submit(1, functions=["nobody"], after=[first])
            with pytest.raises(WaitTimeout, match=f"it waits for job {first.id}, which is queued; no live worker"):
                await last.result(0.2)
            step = root.steps[0].id
            results = await mlq.wait(step, 20), await mlq.get_result(step), await mlq.wait_many([step])
            return root, results, await mlq.job(job_id).progress()

    job = pipeline.submit(6, functions=["scan"])
    gate.set()
    job.result(60)
    root, results, progress = asyncio.run(look(job.id))
    assert (root, results, progress) == (job.tree(), (6, 6, [6]), 100)


def test_posts_after_jobs_that_can_never_be_needed(mlq):
    """Nothing is posted."""
    cancelled = mlq.post(1)
    mlq.cancel(cancelled)
    with pytest.raises(AfterFailure, match="has ended without a result"):
        mlq.submit(1, after=[cancelled])
    with pytest.raises(UnknownJob, match="after: there is no job 9"):
        mlq.submit(1, after=["9"])
    assert mlq.last_id() == 1
