"""Each job has a context of its own: it begins with what the module set, and shows nothing of another job."""

import pytest

pytestmark = pytest.mark.slow

FRESH = ["nobody", "set by the module", "12"]
KINDS = ("swaps", "swaps_async", "swaps_and_yields", "swaps_and_yields_async", "swaps_and_waits")


@pytest.mark.parametrize("name", KINDS)
def test_a_job_sees_nothing_of_an_earlier_one(shared, name):
    for _ in range(3):
        assert shared.mlq.submit("somebody", functions=[name]).result(60) == FRESH
    for other in KINDS:
        assert shared.mlq.submit("somebody", functions=[other]).result(60) == FRESH


def test_jobs_side_by_side_see_nothing_of_each_other(begin, mlq, tell):
    begin("thread", "--concurrency", "2")
    jobs = [mlq.submit(name, functions=["swaps_slowly"]) for name in "ab"]
    for _ in jobs:
        tell.heard("swapped")
    for _ in jobs:
        tell.say("go on")
    assert [job.result(60) for job in jobs] == [[*FRESH, "a"], [*FRESH, "b"]]
