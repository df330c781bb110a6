"""Listeners that leave their process changed, and one that tells what it is like."""

import asyncio
import hashlib
import locale
import os
import signal
import sys
import tempfile
import threading
from pathlib import Path
from typing import Any

from side_channel import mlq, say

from mlq.running.context import JobContext

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGALRM, signal.SIGUSR1, signal.SIGCHLD)


def strange(*_: Any) -> None:
    """Some handler or hook."""


@mlq.listener
def tells_its_surroundings(_: Any) -> dict[str, Any]:
    mask = os.umask(0)
    os.umask(mask)
    return {
        "pid": os.getpid(),
        "folder": os.path.realpath("."),
        "files": [[os.fstat(number).st_dev, os.fstat(number).st_ino] for number in (0, 1, 2)],
        "hooks": [sys.excepthook is strange, sys.unraisablehook is strange, threading.excepthook is strange],
        "streams": [sys.stdout is sys.__stderr__, sys.stderr is sys.__stdout__],
        "handlers": [repr(signal.getsignal(number)) for number in SIGNALS],
        "timer": signal.getitimer(signal.ITIMER_REAL)[0] > 0,
        "locale": locale.setlocale(locale.LC_ALL),
        "mask": mask,
    }


@mlq.listener
def changes_its_surroundings(message: dict[str, Any]) -> dict[str, Any]:
    """All at once; standard input is closed too, if the message says so."""
    folder = tempfile.mkdtemp()
    os.chdir(folder)
    Path(folder).rmdir()  # it can't even be asked for
    elsewhere = os.open(os.devnull, os.O_RDWR)
    for number in (1, 2):
        os.dup2(elsewhere, number)
    os.close(elsewhere)
    if message["closes"]:
        os.close(0)
    sys.excepthook = sys.unraisablehook = threading.excepthook = strange
    sys.stdout, sys.stderr = sys.__stderr__, sys.__stdout__
    for number in SIGNALS:
        signal.signal(number, strange)
    signal.setitimer(signal.ITIMER_REAL, 0.2)
    locale.setlocale(locale.LC_ALL, "C.UTF-8" if locale.setlocale(locale.LC_ALL) == "C" else "C")
    os.umask(0o027)
    if message["how"] == "fail":
        raise ValueError("fail")
    return {"pid": os.getpid(), "mask": 0o027}


@mlq.listener
def moves_and_waits(_: Any, context: JobContext) -> list[str]:
    """Where it is before and after it waited, and where the other job was."""
    os.chdir("/")
    before = os.path.realpath(".")
    other = context.block_until_result(context.post(None, functions=["tells_its_surroundings"]), 20)
    return [before, other["folder"], os.path.realpath(".")]


@mlq.listener
def minds_signals_in_a_loop(_: Any) -> None:
    async def main() -> None:
        asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, strange)

    asyncio.run(main())


@mlq.listener
def computes(_: Any) -> bytes:
    """For very long, in C code that lets other threads run."""
    say("begun")
    return hashlib.pbkdf2_hmac("sha256", b"", b"", 2**31 - 1)
