"""The listeners of pipelines: each does what the message says, and leaves a record of its run."""

import asyncio
import time
from collections.abc import Callable
from typing import Any

from benchmarks.chaos import effects
from benchmarks.chaos.pipelines.plans import GATHER, JOIN, MISSING, PARTS, QUEUE, RETRIES, STEP, WRAP, Spec
from mlq import MLQ, Forward, Split, step

PAUSE = 0.05  # seconds that a join and a wrap take: long enough to be killed now and then


def declare(mlq: MLQ, *, is_asyncio: bool, backoff: float) -> None:
    """Declare them all, as coroutines for the asyncio pool."""
    for name, body in {STEP: _take_step, JOIN: _join, WRAP: _wrap, GATHER: _gather}.items():
        made = _coroutine(body) if is_asyncio else _function(body)
        mlq.listener(name=name, backoff=backoff, queue=PARTS if name == WRAP else QUEUE)(made)


Body = Callable[[Any, Any, int], Any]


def _seconds(message: Any) -> float:
    return float(message["seconds"]) if isinstance(message, dict) else PAUSE


def _function(body: Body) -> Callable[..., Any]:
    def listener(message: Any, context: Any) -> Any:
        with effects.recorded(context.full_message) as attempt:
            time.sleep(_seconds(message))
            return body(message, context, attempt)

    return listener


def _coroutine(body: Body) -> Callable[..., Any]:
    async def listener(message: Any, context: Any) -> Any:
        with effects.recorded(context.full_message) as attempt:
            await asyncio.sleep(_seconds(message))
            return body(message, context, attempt)

    return listener


def _take_step(message: Spec, _: Any, attempt: int) -> Any:
    root, path = message["root"], message["path"]
    raises = message["raises"] == "always" or (message["raises"] and not effects.is_mended(root))
    if raises or attempt <= message["fails"]:
        raise ValueError(path)
    if "next" in message:
        return Forward({"root": root, **message["next"]}, step(STEP, queue=QUEUE, retries=RETRIES))
    if "parts" not in message:
        return path
    items = ({"root": root, **part} for part in message["parts"])
    bound = {"at_once": message["at_once"]} if message["at_once"] else {}
    each = step(STEP, queue=PARTS, retries=RETRIES)
    return Split(items, each=each, into=step(JOIN, queue=QUEUE), on_failure=message["on_failure"], **bound)


def _join(results: Any, _: Any, __: int) -> list[Any]:
    return [MISSING if isinstance(one, Exception) else one for one in results]


def _wrap(message: Any, _: Any, __: int) -> list[Any]:
    return [WRAP, message]


def _gather(message: Spec, context: Any, attempt: int) -> list[Any]:
    return [_take_step(message, context, attempt), *_join(context.results, context, attempt)]
