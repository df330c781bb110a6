"""Makes this process the one that gives way to all others: of cores, and when memory runs out."""

import contextlib
import os
from pathlib import Path

LOWEST = 19  # of `nice`
FIRST_TO_GO = "1000"  # for Linux, which kills a process when no memory is left


def lowest_priority() -> None:
    """Call it before this process has threads or children: those that come later inherit it."""
    os.nice(LOWEST)
    with contextlib.suppress(OSError):  # another system, or a container that forbids it
        Path("/proc/self/oom_score_adj").write_text(FIRST_TO_GO, "ascii")
