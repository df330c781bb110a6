"""Children and their groups where the system has no room: nothing is left behind, and nothing forgotten."""

import os
import signal
import subprocess

import pytest

from mlq.pools import child_process
from mlq.pools.groups import Groups

SOON = 20.0
NOBODY = 5_000_000  # above all numbers of processes


def test_a_child_that_can_not_be_watched_is_none(monkeypatch):
    started = []

    def fails(pid):
        started.append(pid)
        raise OSError("too many open files")

    monkeypatch.setattr(os, "pidfd_open", fails, raising=False)
    with pytest.raises(OSError, match="too many"):
        child_process.Child(child_process.Program(["/bin/sh", "-c", "sleep 60"]), 1, kills=True)
    with pytest.raises(ChildProcessError):  # it was waited for
        os.waitpid(started[0], 0)


def test_the_helper_learns_of_all_groups_though_its_pipe_was_full():
    """It is busy while more is told than a pipe holds, and the worker is killed after the next look."""
    groups = Groups()
    helper = groups._helper
    os.kill(helper.pid, signal.SIGSTOP)
    for number in range(600):
        groups.begin(NOBODY + number)
    leader = subprocess.Popen(["/bin/sh", "-c", "sleep 60"], start_new_session=True)
    groups.begin(leader.pid)
    os.kill(helper.pid, signal.SIGCONT)
    while groups._untold:
        groups.look()
    helper.stdin.close()  # as the end of this process would
    assert leader.wait(SOON) == -signal.SIGTERM
    helper.wait(SOON)


@pytest.mark.parametrize("memory", ["much", None, [1]])
def test_what_a_child_says_of_its_memory_must_be_a_number(memory):
    """Other code may write to its wire; sums of memory would raise in the pool's own thread."""
    child = child_process.Child(child_process.Program(["/bin/sh", "-c", "sleep 60"]), 1, kills=True)
    try:
        with pytest.raises((TypeError, ValueError)):
            child.notes("model", ["a@1", "ready", 1.0, 1.0, "", memory, "cpu"])
        assert (child.loads.all(), child.weight) == ({}, 0)
        assert child.notes("model", ["a@1", "ready", 1.0, 1.0, "", 5, "cpu"])
        assert child.weight == 5
    finally:
        child.bury()
