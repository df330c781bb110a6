"""Makes jobs in the states that tests look at; the worker is the fixture `echo`."""

import pytest


def ended(mlq, msg, **options):
    """The id of a job that succeeded."""
    handle = mlq.submit(msg, **options)
    handle.result(60)
    return handle.id


def failed(mlq):
    handle = mlq.submit({"raise": "too small"})
    with pytest.raises(ValueError, match="too small"):
        handle.result(60)
    return handle.id


def cancelled(mlq):
    job_id = mlq.post(1, functions=["nobody"])
    mlq.cancel(job_id)
    return job_id


def address(mlq, job_id):
    """Where a job is found, by its reference."""
    return f"/jobs/{job_id}@{mlq.get_job(job_id)['timestamp']:.6f}"
