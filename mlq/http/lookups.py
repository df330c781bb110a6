"""Asks the server about a job, and decodes a large reply only when it is this request's turn.

Progress of 64 KiB may have 65,000 parts, and the errors of twenty attempts 2 MB: 10 to 80 ms each.
"""

import contextlib
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from mlq import MLQ
from mlq.core.progress import progress_words
from mlq.http.turns import Turns, weight
from mlq.ops import Op
from mlq.ops import jobs as job_ops

MOST_WAITING = 50  # requests; more would wait for several seconds
_turns = Turns(MOST_WAITING)


@contextlib.contextmanager
def looked_up(mlq: MLQ, *ops: Op[Any], turns: Turns = _turns) -> Iterator[list[Callable[[], Any]]]:
    """Run the ops in one round trip; gives a function for each that decodes its reply, for use within the block.

    `turns`: those of this kind of replies. Raises Refused (503) if too many large ones wait to be decoded.
    """
    raw = [Op(op.command, lambda reply: reply, op.script, op.about) for op in ops]
    replies = [result() for result in mlq._shell.run_each(raw)]  # noqa: SLF001 - only this code decodes later
    with turns.take(weight(replies)):
        yield [partial(op.result, reply) for op, reply in zip(ops, replies, strict=True)]


def progress_text(mlq: MLQ, job_id: str) -> str:
    """What `MLQ.get_progress` gives."""
    op = job_ops.glance(mlq._keys, mlq._named(job_id))  # noqa: SLF001
    with looked_up(mlq, op) as (glance,):
        return progress_words(*glance())
