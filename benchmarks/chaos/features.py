"""What this MLQ can do already: the suite uses each of it as soon as it is there."""

import inspect
from collections.abc import Callable
from typing import Any

from mlq import MLQ
from mlq.cli.worker import worker

ALL_POOLS = ("thread", "process", "asyncio")

HAS_POOLS = any(option.name == "pool" for option in worker.params)
POOLS: tuple[str, ...] = ALL_POOLS if HAS_POOLS else ("thread",)


def _takes(function: Callable[..., Any], option: str) -> bool:
    """Whether it has that option, or hands options on: then its signature says only that there are any."""
    parameters = inspect.signature(function).parameters.items()
    return any(name == option or parameter.kind is parameter.VAR_KEYWORD for name, parameter in parameters)


def _has_batches() -> bool:
    try:
        MLQ("probe").listener(batch=2)
    except TypeError:
        return False
    return True


RETRIES = _takes(MLQ.post, "retries")
TIMEOUTS = _takes(MLQ.post, "timeout")
BACKOFF = _takes(MLQ.listener, "backoff")
BATCHES = _has_batches()


def pool_options(pool: str) -> list[str]:
    """The part of a worker's command line that chooses its pool."""
    return ["--pool", pool] if HAS_POOLS else []
