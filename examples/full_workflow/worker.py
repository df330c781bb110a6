"""The worker: squares numbers, slowly enough to watch. Run as many of them as you like."""

import logging
import time
from typing import Any

from mlq import MLQ

STEPS = 10

mlq = MLQ("full_workflow")


def square(message: dict[str, float], ctx: Any) -> float:
    """Report the progress ten times on the way; the return value is the job's result."""
    for step in range(STEPS):
        ctx.update_progress(100 * step // STEPS)
        time.sleep(0.3)
    return message["number"] ** 2


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    mlq.create_listener(square)
