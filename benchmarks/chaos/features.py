"""What this MLQ can do already: the suite uses each of it as soon as it is there."""

import inspect

from mlq import MLQ
from mlq.cli.worker import worker

ALL_POOLS = ("thread", "process", "asyncio")

HAS_POOLS = any(option.name == "pool" for option in worker.params)
POOLS: tuple[str, ...] = ALL_POOLS if HAS_POOLS else ("thread",)
RETRIES = "retries" in inspect.signature(MLQ.post).parameters
TIMEOUTS = "timeout" in inspect.signature(MLQ.post).parameters
# `listener` hands its options on, so its signature says only that there are any.
BACKOFF = any(
    name == "backoff" or parameter.kind is parameter.VAR_KEYWORD
    for name, parameter in inspect.signature(MLQ.listener).parameters.items()
)


def _has_batches() -> bool:
    try:
        MLQ("probe").listener(batch=2)
    except TypeError:
        return False
    return True


BATCHES = _has_batches()


def pool_options(pool: str) -> list[str]:
    """The part of a worker's command line that chooses its pool."""
    return ["--pool", pool] if HAS_POOLS else []
