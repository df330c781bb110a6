"""The throwaway processes in which an upload is tried: loads the code from stdin, and writes what it is to stdout.

There are three processes, each the child of the one before: one that the server starts and waits for; the first process
in the new namespaces (`isolation.py`), which no process in them can kill; and the one that loads the code. Without new
namespaces, one process does the work of the first two.
"""

import contextlib
import json
import os
import signal
import sys

from mlq.errors import InputError
from mlq.http import isolation
from mlq.pools.loading import described
from mlq.uploads.functions import load

LATE = 124  # the exit code if it took too long


def main() -> None:
    """Try the code for the number of seconds in the argument, and end everything that it started."""
    seconds = float(sys.argv[1])
    answer, nowhere = os.dup(1), os.open(os.devnull, os.O_RDWR)
    code = sys.stdin.buffer.read()
    for number in (0, 1, 2):
        os.dup2(nowhere, number)  # output of the code must not be taken for the answer
    isolation.limit()
    isolation.die_with_parent()
    is_isolated = isolation.isolate()
    if is_isolated:
        first = os.fork()
        if first:
            code_of_first = os.waitstatus_to_exitcode(os.waitpid(first, 0)[1])
            _end_as(128 - code_of_first if code_of_first > 128 else code_of_first)
        isolation.die_with_parent()
    else:
        isolation.adopt()
    child = os.fork()
    if not child:
        os.pwrite(answer, json.dumps(_tried(code)).encode(), 0)
        os._exit(0)
    ending = isolation.ended(child, seconds)
    if not is_isolated:  # else the kernel does so when this process ends
        isolation.sweep()
    if ending is None:
        os.ftruncate(answer, 0)
    _end_as(LATE if ending is None else ending)


def _end_as(ending: int) -> None:
    """End like that process: by its signal, or, if signals can't end this one, with the exit code that shells use."""
    if ending < 0:
        with contextlib.suppress(OSError, ValueError):  # SIGKILL has no handler
            signal.signal(-ending, signal.SIG_DFL)
        os.kill(os.getpid(), -ending)
    os._exit(ending if ending >= 0 else 128 - ending)


def _tried(code: bytes) -> dict[str, str]:
    try:
        return {"name": load(code)[0]}
    except InputError as error:
        return {"refused": str(error)}
    except BaseException as error:  # noqa: BLE001 - user code: loading a pickle may raise anything
        return {"refused": f"it can't be loaded: {described(error)}"}


if __name__ == "__main__":
    main()
