"""Declared routes in every pool."""

import pytest

from mlq import JobFailed

pytestmark = [pytest.mark.slow, pytest.mark.parametrize("name", ["sorts", "sorts_async", "sorts_together"])]


def test_what_is_returned_goes_on_in_the_step_of_its_value(shared, name):
    jobs = [shared.mlq.submit({"kind": kind}, functions=[name]) for kind in ("book", "twice", "book")]
    once, twice = {"read": {"kind": "book"}}, {"read": {"kind": 5, "before": {"kind": "twice"}}}
    assert [job.result(60) for job in jobs] == [once, twice, once]


@pytest.mark.parametrize("returned", [{"kind": "Book"}, {"kind": ["book"]}, {"kind": None}, {}, None, "book"])
def test_what_has_no_route_fails_at_once(shared, name, returned):
    """With an error of its own, which is not retried; jobs beside it go on."""
    beside = shared.mlq.submit({"kind": "book"}, functions=[name])
    job = shared.mlq.submit(returned, functions=[name])
    with pytest.raises(JobFailed, match=r"NoRoute: (no route for|.* without 'kind')"):
        job.result(60)
    found = shared.mlq.get_job(job.id)
    assert (found["error_type"], len(found["attempts"])) == ("mlq.errors.NoRoute", 1)
    assert beside.result(60) == {"read": {"kind": "book"}}
