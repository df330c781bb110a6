"""Typed messages in every pool."""

import pytest

from mlq import JobFailed

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("name", ["typed", "typed_async"])
def test_messages_are_converted(shared, name):
    assert shared.mlq.submit({"size": 4}, functions=[name]).result(60) == {"size": 5}


@pytest.mark.parametrize("name", ["typed", "typed_async"])
def test_what_does_not_fit_fails_at_once(shared, name):
    job = shared.mlq.submit({"size": "large"}, functions=[name])
    with pytest.raises(JobFailed) as caught:
        job.result(60)
    assert caught.value.error_type == "mlq.errors.ValidationError"
    assert f"the message to {name} does not fit " in str(caught.value)
    assert ": size: " in str(caught.value)
    assert len(shared.mlq.get_job(job.id)["attempts"]) == 1


def test_an_unknown_type_is_said_in_the_log(shared):
    assert shared.mlq.submit({"size": "large"}, functions=["type_unknown"]).result(60) == {"size": "large"}
    shared.worker.logs("the message to type_unknown is not converted to the type that is declared: NameError: ")
