"""Listeners that take batches."""

import asyncio
import os
from typing import Any

from side_channel import hear, mlq, say

from mlq.running.context import JobContext


def answers(messages: list[Any]) -> list[Any]:
    """What each message asks for, beside how many there were."""
    if "raise" in messages:
        raise ZeroDivisionError("one of them")
    return [KeyError("returned") if message == "return error" else [message, len(messages)] for message in messages]


@mlq.listener(batch=8)
def together(messages: list[Any]) -> list[Any]:
    return answers(messages)


@mlq.listener(batch=8)
async def together_async(messages: list[Any]) -> list[Any]:
    await asyncio.sleep(0.01)
    return answers(messages)


@mlq.listener(batch=8)
def together_until_told(messages: list[Any], contexts: list[JobContext]) -> list[Any]:
    say("batch", len(messages))
    for message, context in zip(messages, contexts, strict=True):
        context.update_progress(message)
    hear("go on")
    return [os.getpid() for _ in messages]


@mlq.listener(batch=8)
def together_deadly(messages: list[Any]) -> list[Any]:
    if "die" in messages:
        os._exit(3)
    return messages


@mlq.listener(batch=8)
def together_lengths(messages: list[Any]) -> list[Any]:
    return [[len(message), len(messages)] for message in messages]
