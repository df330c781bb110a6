"""Chunks of files for hosted models, in every pool; also of models in another interpreter."""

import json

import pytest

from mlq import JobFailed
from mlq.core.chunk import Chunk
from tests.chunks import post_chunk, predicted
from tests.models.interpreters import bare
from tests.models.test_foreign_workers import abroad_toml
from tests.models.test_workers import hosted

__all__ = ["abroad_toml", "bare"]

pytestmark = pytest.mark.slow


def values(*given):
    """A chunk of JSON Lines."""
    return Chunk("jsonl", "".join(f"{json.dumps(one)}\n" for one in given).encode(), 1)


def outputs(found):
    return [json.loads(line) for line in found.output.splitlines()]


@pytest.mark.parametrize("pool", ["process", "thread", "asyncio", "gevent", "solo"])
def test_in_every_pool(mlq, start, models_toml, pool):
    with start("worker", "--models", str(models_toml()), "--pool", pool):
        hosted(mlq)
        chunk = Chunk("csv", b"1,1\n2,x\n13,1\n1,7\n5,5\n", 2, ("length", "width"), (), ("length",))
        found = predicted(mlq, "iris@1", chunk)
        assert found.output == b"1,short\n5,long on cpu\n"
        assert [line.split(b",")[0] for line in found.errors.splitlines()] == [b"3", b"4", b"5"]
        assert b"seven is for the model alone" in found.errors
        assert [one["prediction"] for one in outputs(predicted(mlq, "numbers@1", values(*range(300))))] == [
            2 * n for n in range(300)
        ]
        assert outputs(predicted(mlq, "waiting@1", values(4))) == [{"prediction": -4}]
        assert outputs(predicted(mlq, "words@1", values("a b"))) == [{"prediction": "A B"}]
        with pytest.raises(JobFailed, match=r"weights\.bin"):
            post_chunk(mlq, "broken@1", values(1, 2, 3)).result(60)


@pytest.mark.parametrize("pool", ["process", "thread", "asyncio"])
def test_in_another_interpreter(mlq, start, abroad_toml, pool):
    with start("worker", "--models", abroad_toml("Sums Where Later"), "--pool", pool):
        hosted(mlq)
        assert [one["sum"] for one in outputs(predicted(mlq, "sums@1", values(*([n, 1] for n in range(100)))))] == [
            *range(1, 101)
        ]
        found = predicted(mlq, "where@1", Chunk("csv", b"1\n101\nx\n2\n", 2, ("n",)))
        assert (found.rows, found.failed) == (4, 2)
        assert [line.split(b",")[0] for line in found.errors.splitlines()] == [b"3", b"4"]
        assert outputs(predicted(mlq, "later@1", values(4))) == [{"prediction": 5}]


def test_a_worker_for_one_model_takes_no_chunks_of_others(mlq, start, models_toml):
    """A job of the other one waits."""
    with start("worker", "--models", str(models_toml()), "--queues", "numbers"):
        hosted(mlq)
        other = post_chunk(mlq, "iris@1", Chunk("csv", b"1,1\n", 2, ("length", "width")))
        assert outputs(predicted(mlq, "numbers@1", values(4))) == [{"prediction": 8}]
        assert other.state() == "queued"
