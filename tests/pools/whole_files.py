"""Listeners for chunks of files."""

import time
from typing import Any

from side_channel import mlq, say

from mlq.running.context import JobContext


@mlq.listener(batch=8)
def together_until_cancelled(messages: list[Any], contexts: list[JobContext]) -> list[Any]:
    say("batch", len(messages))
    while not contexts[0].cancelled:
        time.sleep(0.01)
    return messages
