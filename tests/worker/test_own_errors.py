"""A listener's own MLQ errors are not taken for those of the call that waits."""

from typing import Any

import pytest

from mlq import MLQ, JobFailed, WaitTimeout


def test_a_listeners_own_errors_of_mlq(mlq: MLQ) -> None:
    """A wait of its own that timed out is no timeout of the waiter's."""

    def waits(message: Any, context: Any) -> Any:
        return context.block_until_result(context.post(1, functions=["nowhere"]), timeout=0.01)

    mlq.create_listener(waits)
    job = mlq.submit(1)
    with pytest.raises(JobFailed, match="WaitTimeout") as caught:
        job.result(60)
    assert not isinstance(caught.value, TimeoutError)
    assert caught.value.error_type == "mlq.errors.WaitTimeout"
    with pytest.raises(WaitTimeout):
        mlq.submit(1, functions=["nowhere"]).result(0.01)
