"""Listeners that start processes of their own."""

import multiprocessing
import os
import subprocess
import time
from multiprocessing import shared_memory

from side_channel import hear, mlq, say

STUBBORN = "trap '' TERM; echo ready; while :; do sleep 1; done"


@mlq.listener
def starts_helpers(then: str) -> None:
    """A program, one that will not end by itself, and a forked process; then waits, or takes its child down."""
    program = subprocess.Popen(["sleep", "600"])
    stubborn = subprocess.Popen(["sh", "-c", STUBBORN], stdout=subprocess.PIPE)
    stubborn.stdout.readline()
    forked = multiprocessing.get_context("fork").Process(target=time.sleep, args=(600,), daemon=True)
    forked.start()
    say("helpers", " ".join(str(pid) for pid in (os.getpid(), program.pid, stubborn.pid, forked.pid)))
    hear("go on")
    if then == "crash":
        os._exit(9)
    while then == "hang":
        time.sleep(60)


@mlq.listener
def shares_memory(_: object) -> None:
    """Its tracker, another helper, would remove the segment."""
    segment = shared_memory.SharedMemory(create=True, size=1024)
    say("segment", segment.name)
    while True:
        time.sleep(60)


slow_forks = False
os.register_at_fork(after_in_child=lambda: slow_forks and time.sleep(0.3))  # before what MLQ does there


@mlq.listener
def forks_one(_: object) -> int:
    """Waits for the end of a forked process, which takes long to come about; its exit code."""
    global slow_forks  # noqa: PLW0603 - the hook is called without arguments
    slow_forks = True
    forked = multiprocessing.get_context("fork").Process(target=time.sleep, args=(60,), daemon=True)
    forked.start()
    say("forked", forked.pid)
    forked.join()
    return forked.exitcode
