"""What is told of a job without its payloads."""

import pytest

from mlq.core import codec
from mlq.core.states import State
from mlq.errors import UnknownJob
from mlq.ops import Op
from mlq.ops import jobs as job_ops

PAYLOADS = {"msg", "result", "short_result"}


@pytest.mark.parametrize("stage", ["queued", "running", "succeeded", "failed", "scheduled", "cancelled"])
def test_info_is_the_job_without_its_payloads(world, keys, stage):
    """In every state, and it changes nothing."""
    options = {"functions": ["f", "g"], "callback": "http://localhost/", "timeout": 5.0}
    if stage in {"queued", "cancelled"}:
        world.post(**options)
    else:
        one = world.failed(**options) if stage == "failed" else world.running(**options)
        if stage == "succeeded":
            world.settle(one)
        elif stage == "scheduled":
            world.settle(one, State.FAILED, None, retry_in=600.0)
    if stage == "cancelled":
        world.run(job_ops.cancel(keys, "1"))
    with world.unchanged():
        told, all_of_it = world.run(job_ops.info(keys, "1")), world.run(job_ops.read(keys, "1"))
    assert told["state"] == stage
    assert told == {name: value for name, value in all_of_it.items() if name not in PAYLOADS}


def test_payloads_do_not_travel(world, keys):
    """However large they are; also of a lane and options as long as they may be."""
    big = b"0\n" + codec.pack(b"x" * 1_000_000)
    longest = "q" * 100 + ":" + "f" * 899
    world.run(job_ops.post(keys, "me", 1, longest, [big]))
    world.raw.hset(keys.job + "1", mapping={"state": "succeeded", "result": b"y" * 10**6, "short": b"z" * 10**6})
    op = job_ops.info(keys, "1")
    assert world.run(op)["queue"] == "q" * 100
    assert sum(len(part) for part in _flat(world.run(Op(op.command, lambda reply: reply, op.script)))) < 2_000


def test_options_are_told_whole(world, keys):
    """Though they are longer than what is read of a record at first."""
    url = "http://localhost/" + "x" * 7000
    world.post(callback=url)
    assert world.run(job_ops.info(keys, "1"))["callback"] == url


def test_unknown_job(world, keys):
    """Is an error that names it."""
    with pytest.raises(UnknownJob, match="no job 7"):
        world.run(job_ops.info(keys, "7"))


def test_job_whose_record_is_gone(world, keys):
    """Is told of as `read` does."""
    world.running()
    world.raw.delete(keys.post + "1")
    told = []
    for op in (job_ops.info(keys, "1"), job_ops.read(keys, "1")):
        try:
            told.append(world.run(op)["state"])
        except Exception as error:  # noqa: BLE001 - whatever it is, both say the same
            told.append((type(error), str(error)))
    assert told[0] == told[1]


def test_last_id(world, keys):
    """0 before the first; it stays when the job goes."""
    assert world.run(job_ops.last_id(keys)) == 0
    world.post(3)
    assert world.run(job_ops.last_id(keys)) == 3
    world.run(job_ops.cancel(keys, "3"))
    world.run(job_ops.delete(keys, "3"))
    assert world.run(job_ops.last_id(keys)) == 3


def _flat(reply):
    for part in reply:
        if isinstance(part, list):
            yield from _flat(part)
        else:
            yield part if isinstance(part, bytes) else str(part).encode()
