"""Garbage where jobs of a batch should be: it concerns those jobs alone."""

import pytest

from mlq import JobFailed


@pytest.mark.parametrize("count", [1, 3])
def test_a_batch_of_which_no_record_can_be_read(mlq, raw, keys, count):
    broken = [mlq.submit(number, functions=["double"]) for number in range(count)]
    for job in broken:
        lane, posted, _ = raw.get(keys.post + job.id).split(b"\n", 2)
        raw.set(keys.post + job.id, b"\n".join((lane, posted, b"no number", b"\xc1")))

    @mlq.listener(batch=8)
    def double(numbers):
        return [2 * number for number in numbers]

    mlq.create_listener()
    for job in broken:
        with pytest.raises(JobFailed, match="not a job's record"):
            job.result(20)
    assert [double.submit(number).result(20) for number in (1, 2)] == [2, 4]
