"""Isolates the process that tries an upload from the rest of the machine, as far as the kernel lets a user do so.

On Linux with user namespaces it gets its own namespaces: no network, no access to other processes (their environment
and memory), and when its first process ends, the kernel ends all others. Most containers forbid that. Then orphans are
reparented to the process that watches it, which ends them. On other systems only its process group is ended.
"""

import contextlib
import ctypes
import os
import resource
import signal
import sys
import time
from pathlib import Path

# Its resource limits, soft and hard, so that nothing it starts can have more.
LIMITS = (
    (resource.RLIMIT_CORE, 0),
    (resource.RLIMIT_CPU, 20),  # seconds
    (resource.RLIMIT_FSIZE, 64 * 1024 * 1024),  # bytes of one file
    (resource.RLIMIT_DATA, 2 * 1024**3),  # bytes of private memory: numpy and torch load with less
)
LOOK = 0.005  # seconds between checks
_NAMESPACES = 0x10000000 | 0x20000000 | 0x40000000 | 0x08000000  # CLONE_NEWUSER, NEWPID, NEWNET, NEWIPC
_DEATH_SIGNAL, _DUMPABLE, _SUBREAPER, _NO_NEW_PRIVILEGES = 1, 4, 36, 38  # of prctl


def limit() -> None:
    """Limit the resources of this process and of all that it starts; setuid programs don't make them root."""
    for kind, most in LIMITS:
        hard = resource.getrlimit(kind)[1]
        allowed = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(kind, (allowed, allowed))
    _prctl(_NO_NEW_PRIVILEGES, 1)
    with contextlib.suppress(OSError):  # if memory runs out all the same, the kernel kills this process first
        Path("/proc/self/oom_score_adj").write_text("1000")


def die_with_parent() -> None:
    """Have the kernel kill this process when its parent ends."""
    _prctl(_DEATH_SIGNAL, signal.SIGKILL)


def be_unreadable() -> None:
    """Keep other processes of this user from reading the environment and memory of this one, which hold secrets."""
    _prctl(_DUMPABLE, 0)


def isolate() -> bool:
    """Enter new namespaces, in which the next forked process is the first one; whether the kernel allowed it."""
    if sys.platform != "linux":
        return False
    user, group = os.geteuid(), os.getegid()
    if ctypes.CDLL(None).unshare(_NAMESPACES):
        return False
    with contextlib.suppress(OSError):  # user and group have the same ids in it
        Path("/proc/self/setgroups").write_text("deny")
        Path("/proc/self/uid_map").write_text(f"{user} {user} 1")
        Path("/proc/self/gid_map").write_text(f"{group} {group} 1")
    return True


def adopt() -> None:
    """Make this process the parent of its descendants' orphans."""
    _prctl(_SUBREAPER, 1)


def ended(child: int, seconds: float) -> int | None:
    """The exit code of a child (see `os.waitstatus_to_exitcode`); None if it took too long and was killed."""
    give_up = time.monotonic() + seconds
    while time.monotonic() < give_up:
        pid, status = os.waitpid(child, os.WNOHANG)
        if pid:
            return os.waitstatus_to_exitcode(status)
        time.sleep(LOOK)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return None


def sweep(seconds: float = 2.0) -> None:
    """Kill all children, and the orphans that each of them leaves."""
    give_up = time.monotonic() + seconds
    with contextlib.suppress(ChildProcessError, OSError):
        while time.monotonic() < give_up:
            for child in Path(f"/proc/self/task/{os.getpid()}/children").read_text().split():
                os.kill(int(child), signal.SIGKILL)
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
            time.sleep(LOOK)


def _prctl(option: int, value: int) -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(option, value, 0, 0, 0)
