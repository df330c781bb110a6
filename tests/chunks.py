"""Posts chunks of files, as a run does."""

from typing import Any

from mlq import MLQ, JobHandle
from mlq.core.chunk import ROWS_QUEUE, Chunk, Predicted
from mlq.core.job_options import JobOptions


def post_chunk(mlq: MLQ, function: str, chunk: Chunk, **options: Any) -> JobHandle:
    """A chunk's job for one listener."""
    wanted = JobOptions(queue=ROWS_QUEUE, functions=(function,), **options)
    return mlq.job(str(mlq._post(wanted, [wanted.body(chunk)]).first))


def predicted(mlq: MLQ, function: str, chunk: Chunk) -> Predicted:
    """What a worker makes of it."""
    return Predicted.of(post_chunk(mlq, function, chunk).result(60))
