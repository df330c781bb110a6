"""Listeners that use a resource, and count how many of them run at a time, in any process of any worker."""

import os
from typing import Any

from limited import metered
from side_channel import hear, mlq, say


@mlq.listener(uses="openai")
def calls_openai(value: Any) -> Any:
    with metered(3):
        return value


@mlq.listener(uses=["openai", "disk"], batch=4)
def calls_openai_together(values: list[Any]) -> list[Any]:
    for _ in values:
        with metered(3):
            pass
    return values


@mlq.listener(uses="openai")
def calls_openai_until_told(value: Any) -> Any:
    say("begun", os.getpid())
    hear("go on")
    return value
