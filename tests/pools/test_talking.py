"""What a listener may say and ask while it runs, in every pool."""

import pytest

from mlq import JobFailed
from mlq.core.progress import progress_of

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("name", ["counts", "counts_async"])
def test_a_generator_streams(shared, name):
    """Each chunk is there before the listener goes on; the result is all of them."""
    job = shared.mlq.submit(3, functions=[name])
    seen = []
    for chunk in job.stream():
        seen.append(chunk)
        assert job.state() == "running"
        shared.tell.say("go on")
    assert seen == [0, 1, 2]
    assert job.result(60) == [0, 1, 2]
    assert list(job.stream()) == [0, 1, 2]


def test_emit_streams(shared):
    chunks = ["a", b"\xff", {"c": 1}]
    job = shared.mlq.submit(chunks, functions=["emits"])
    seen = []
    for chunk in job.stream():
        seen.append(chunk)
        assert not job.ready()
        shared.tell.say("go on")
    assert seen == chunks
    assert job.result(60) == "emitted"


def test_progress_is_told_live(shared):
    job = shared.mlq.submit([10, {"epoch": 2}], functions=["reports"])
    seen = []
    for news in shared.mlq.follow(job.id):
        value = progress_of(news.state, news.progress)
        if value in (10, {"epoch": 2}) and value not in seen:
            seen.append(value)
            assert job.progress() == value
            shared.tell.say("go on")
    assert seen == [10, {"epoch": 2}]
    assert (job.result(60), job.progress()) == ("reported", 100)


def test_store_fetch_and_post(shared):
    value = {"x": [1, b"\xff"]}
    key, fetched, unknown, posted = shared.mlq.submit(value, functions=["keeps"]).result(60)
    assert (fetched, unknown) == (value, None)
    assert shared.mlq.fetch_data(key) == value
    assert shared.mlq.wait(posted, 20) == "from a listener"


def test_post_for_later(shared):
    options = {"delay": 600, "expires": 900, "priority": 3}
    job = shared.mlq.get_job(shared.mlq.submit(options, functions=["posts_for_later"]).result(60))
    assert (job["state"], job["priority"], job["due"] - job["posted"]) == ("scheduled", 3, pytest.approx(600, abs=0.01))
    shared.mlq.cancel(job["id"])


@pytest.mark.parametrize("name", ["nests", "nests_async"])
def test_nested_waits_in_one_slot(shared, name):
    assert shared.mlq.submit(2, functions=[name]).result(60) == 2


def test_many_wait_in_one_slot(shared):
    ids = shared.mlq.post_many([1] * 5, functions=["nests"])
    assert [shared.mlq.wait(job_id, 20) for job_id in ids] == [1] * 5
    assert {shared.mlq.get_job(job_id)["retries"] for job_id in ids} == {0}


def test_how_the_other_job_ended_is_raised(shared):
    never = shared.mlq.submit(1, functions=["nobody"])
    failed = shared.mlq.submit(1, functions=["fails"])
    for job_id, kind in ((never.id, "WaitTimeout"), (failed.id, "ZeroDivisionError"), ("999999", "UnknownJob")):
        assert shared.mlq.submit(job_id, functions=["waits_for"]).result(60) == kind
    never.cancel()
    assert shared.mlq.submit(never.id, functions=["waits_for"]).result(60) == "JobCancelled"


def test_a_shared_loop_is_not_held_up(workers):
    """In the asyncio pool alone, where others run on it."""
    shared = workers("asyncio")
    job = shared.mlq.submit(1, functions=["echo"])
    job.result(60)
    with pytest.raises(JobFailed, match=r"InputError: .*await context"):
        shared.mlq.submit(job.id, functions=["blocks_its_loop"]).result(60)
    assert workers("thread").mlq.submit(1, functions=["echo"]).result(60) == 1
