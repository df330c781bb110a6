"""Runs a program in which a signal handler raises an exception thousands of times a second, wherever it happens to be.

The program sets `armed` to let the handler raise once, and `every(seconds)` sets its clock; 0 stops it.
"""

import subprocess
import sys

_HANDLER = """
import signal

class Interrupted(Exception):
    pass

armed = False

def interrupt(*_):
    global armed
    if armed:
        armed = False
        raise Interrupted

def every(seconds):
    signal.setitimer(signal.ITIMER_REAL, seconds, seconds)

signal.signal(signal.SIGALRM, interrupt)
"""


def run(program: str) -> str:
    """What the program printed; an AssertionError with what it said last if it failed."""
    done = subprocess.run(
        [sys.executable, "-c", _HANDLER + program], capture_output=True, text=True, timeout=60, check=False
    )
    assert not done.returncode, done.stderr[-2000:]
    return done.stdout
