"""What a job changes of its process is put back before the next one, where one runs at a time."""

import signal
import time

import pytest

from mlq import JobFailed

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("pool", ["process", "solo"])
@pytest.mark.parametrize("how", ["return", "fail"])
def test_the_next_job_finds_them_as_the_first_one_did(pool, how, begin, mlq):
    worker = begin(pool, "--log-level", "warning")
    before = mlq.submit(None, functions=["tells_its_surroundings"]).result(60)
    closes = pool == "process"  # beside the solo pool's job, the worker's threads may be given the free number
    untidy = mlq.submit({"how": how, "closes": closes}, functions=["changes_its_surroundings"])
    if how == "fail":
        with pytest.raises((ValueError, JobFailed)):
            untidy.result(60)
    else:
        assert untidy.result(60)["mask"] != before["mask"]
    assert mlq.submit(None, functions=["tells_its_surroundings"]).result(60) == before
    time.sleep(0.3)  # a timer that was forgotten would end the process
    assert mlq.submit(None, functions=["tells_its_surroundings"]).result(60) == before
    worker.signal(signal.SIGTERM)
    assert worker.wait(20) == 0


def test_a_job_that_waits_keeps_its_own(begin, mlq):
    """What it waits for runs in the same child, and is through before it."""
    begin("process")
    assert mlq.submit(None, functions=["moves_and_waits"]).result(60) == ["/", "/", "/"]
