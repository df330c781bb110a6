"""The throwaway process in which an upload is tried: loads the code on its stdin, and says on its stdout what it is."""

import contextlib
import json
import os
import resource
import sys
from pathlib import Path

from mlq.errors import InputError
from mlq.pools.uploads import described
from mlq.uploads import load

# What it may take; soft and hard, so that nothing it starts has more.
LIMITS = (
    (resource.RLIMIT_CORE, 0),
    (resource.RLIMIT_CPU, 20),  # seconds, of what it leaves behind, too
    (resource.RLIMIT_FSIZE, 64 * 1024 * 1024),  # bytes of one file
    (resource.RLIMIT_DATA, 2 * 1024**3),  # bytes of memory that is its own: numpy and torch load with less
)


def main() -> None:
    """Try it, and leave without a look at what it left behind."""
    answer, nowhere = os.dup(1), os.open(os.devnull, os.O_RDWR)
    code = sys.stdin.buffer.read()
    for number in (0, 1, 2):
        os.dup2(nowhere, number)  # what it prints is nobody's answer
    _limit()
    os.pwrite(answer, json.dumps(_tried(code)).encode(), 0)
    os._exit(0)


def _limit() -> None:
    for kind, most in LIMITS:
        hard = resource.getrlimit(kind)[1]
        allowed = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(kind, (allowed, allowed))
    with contextlib.suppress(OSError):  # where memory runs out all the same, this goes first
        Path("/proc/self/oom_score_adj").write_text("1000")


def _tried(code: bytes) -> dict[str, str]:
    try:
        return {"name": load(code)[0]}
    except InputError as error:
        return {"refused": str(error)}
    except BaseException as error:  # noqa: BLE001 - user code: what a pickle does when it is loaded may raise anything
        return {"refused": f"it can't be loaded: {described(error)}"}


if __name__ == "__main__":
    main()
